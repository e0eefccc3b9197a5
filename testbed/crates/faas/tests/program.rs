//! The program itself: options, exit codes, signals, and that nothing outlives it.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use common::{eventually, exchange, is_alive, is_root};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dfaas-faas");
const FREE_PORTS: [&str; 8] = [
    "--gateway-port",
    "0",
    "--provider-port",
    "0",
    "--metrics-port",
    "0",
    // The scripts of these tests are where sandboxes do not look.
    "--isolation",
    "none",
];

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// A started program with its gateway's address.
struct Started {
    child: Child,
    gateway: SocketAddr,
}

impl Started {
    fn with(arguments: &[&str]) -> Self {
        Self::of(Command::new(PROGRAM).args(FREE_PORTS).args(arguments))
    }

    /// What becomes the program.
    fn of(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines
            .find_map(|line| line.ok().filter(|line| line.contains("gateway on ")))
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let address = line
            .split("gateway on ")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        Started {
            child,
            gateway: address.parse().unwrap(),
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

/// Nothing a test starts survives it.
impl Drop for Started {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGTERM);
            self.child.wait().unwrap();
        }
    }
}

fn deployments(directory: &Path, content: &str) -> String {
    let file = directory.join("functions.json");
    std::fs::write(&file, content).unwrap();
    file.display().to_string()
}

/// A function that writes its process id to a file and sleeps for long; the file's content when it is there.
fn sleeper(directory: &Path) -> (String, impl Fn() -> Option<u32>) {
    let pid_file = directory.join("pid");
    let script = directory.join("script");
    std::fs::write(
        &script,
        format!("echo $$ >{}; exec sleep 1000", pid_file.display()),
    )
    .unwrap();
    let deployment = format!(
        r#"[{{"service":"sleeper","image":"functions/alpine","envProcess":"sh {}"}}]"#,
        script.display()
    );
    let file = deployments(directory, &deployment);
    (file, move || {
        std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok()
    })
}

#[test]
fn help_and_images_are_told() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for option in [
        "--gateway-port",
        "--bind",
        "--deploy",
        "--basic-auth-file-directory",
        "127.0.0.1",
    ] {
        assert!(text.contains(option), "{option}");
    }
    let images = String::from_utf8(run(&["images"]).stdout).unwrap();
    assert!(images.lines().any(|line| line.starts_with("figlet ")), "{images}");
    assert_eq!(run(&["--no-such-option"]).status.code(), Some(2));
}

#[test]
fn another_file_system_over_the_cgroups_only_takes_the_limits() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = deployments(
        directory.path(),
        r#"[{"service":"echo","image":"functions/alpine","envProcess":"cat","limits":{"memory":"64Mi"}}]"#,
    );
    let script = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"";
    let ports = &FREE_PORTS[..6]; // and isolated
    let platform = Started::of(
        Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh", PROGRAM, "--deploy", &file])
            .args(ports),
    );
    let reply = exchange(platform.gateway, "POST", "/function/echo", &[], b"here");
    assert_eq!((reply.status, reply.text().as_str()), (200, "here"));
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&[
        "--gateway-port",
        "0",
        "--provider-port",
        &port,
        "--metrics-port",
        "0",
    ]);
    assert_eq!(output.status.code(), Some(5));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains(&port) && message.contains("provider") && message.contains("in use"),
        "{message}"
    );
}

#[test]
fn wrong_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let cases = [
        ("{}", "expected an array"),
        ("[{", "EOF"),
        (r#"[{"service":1}]"#, "of type string"),
        (
            r#"[{"service":"f","image":"ghcr.io/nope/none"}]"#,
            "unable to pull image",
        ),
        (
            r#"[{"service":"f","image":"cat","namespace":"other"}]"#,
            "namespace not valid",
        ),
    ];
    for (content, part) in cases {
        let file = deployments(directory.path(), content);
        let output = run(&[&FREE_PORTS[..], &["--deploy", &file]].concat());
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{content}: {message}");
        assert!(message.contains(part), "{content}: {message}");
    }
    let output = run(&["--deploy", "/no/such/file"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("/no/such/file")
    );
    let output = run(&["--basic-auth-file-directory", "/no/such/directory"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("basic-auth-user")
    );
}

#[test]
fn built_in_functions_serve() {
    let directory = tempfile::tempdir().unwrap();
    let file = deployments(
        directory.path(),
        r#"[{"service":"nodeinfo","image":"ghcr.io/openfaas/nodeinfo:latest"},
            {"service":"sleep","image":"ghcr.io/openfaas/sleep:latest","envVars":{"sleep_duration":"10ms"}},
            {"service":"model","image":"model","envVars":{"service_time":"uniform 10ms 20ms"}},
            {"service":"wrong","image":"model","envVars":{"service_time":"sometimes"}}]"#,
    );
    let started = Started::with(&["--deploy", &file]);
    let call = |path: &str, headers: &[(&str, &str)]| exchange(started.gateway, "POST", path, headers, b"");
    let info = call("/function/nodeinfo", &[]).text();
    assert!(
        info.starts_with("Hostname: ") && info.contains("\nCPUs: "),
        "{info}"
    );
    assert_eq!(call("/function/sleep", &[]).text(), "Slept for: 0.010000s");
    assert_eq!(
        call("/function/sleep", &[("X-Sleep", "20ms")]).text(),
        "Slept for: 0.020000s"
    );
    let model = call("/function/model", &[]);
    let taken: f64 = model.text().trim().parse().unwrap();
    assert!((0.01..=0.02).contains(&taken), "{taken}");
    let measured: f64 = model.header("X-Duration-Seconds").unwrap().parse().unwrap();
    assert!(measured >= taken, "{measured} for {taken}");
    assert_eq!(call("/function/wrong", &[]).status, 500);
}

#[test]
fn a_function_s_remarks_are_logged_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("talker");
    std::fs::write(&script, "echo remark >&2; echo answer").unwrap();
    let file = deployments(
        directory.path(),
        &format!(
            r#"[{{"service":"talker","image":"functions/alpine","envProcess":"sh {}","envVars":{{"combine_output":"false"}}}}]"#,
            script.display()
        ),
    );
    let mut child = Command::new(PROGRAM)
        .args(FREE_PORTS)
        .args(["--deploy", &file])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("gateway on ") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0);
    }
    let address = line
        .split("gateway on ")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    let reply = exchange(address.parse().unwrap(), "GET", "/function/talker", &[], b"");
    assert_eq!(reply.text(), "answer\n");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("talker: stderr: remark"), "{rest}");
}

#[test]
fn sigterm_lets_a_call_end() {
    let directory = tempfile::tempdir().unwrap();
    let file = deployments(
        directory.path(),
        r#"[{"service":"nap","image":"functions/alpine","envProcess":"sleep 0.7"}]"#,
    );
    let mut started = Started::with(&["--deploy", &file]);
    let gateway = started.gateway;
    let call = std::thread::spawn(move || exchange(gateway, "GET", "/function/nap", &[], b"").status);
    std::thread::sleep(std::time::Duration::from_millis(300));
    started.signal(Signal::SIGTERM);
    assert_eq!(call.join().unwrap(), 200);
    assert_eq!(started.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_grace_ends() {
    let directory = tempfile::tempdir().unwrap();
    let (file, pid) = sleeper(directory.path());
    let mut started = Started::with(&["--deploy", &file, "--grace", "300ms"]);
    let gateway = started.gateway;
    let call = std::thread::spawn(move || exchange(gateway, "GET", "/function/sleeper", &[], b"").status);
    eventually("the function runs", || pid().is_some());
    started.signal(Signal::SIGTERM);
    assert_eq!(call.join().unwrap(), 502);
    assert_eq!(started.child.wait().unwrap().code(), Some(0));
    assert!(!is_alive(pid().unwrap()));
}

/// Children of a process, by their parent field.
fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat
            .rsplit_once(") ")
            .map(|(_, rest)| rest.to_owned())
            .unwrap_or_default();
        rest.split(' ').nth(1) == Some(&parent.to_string())
    })
    .collect()
}

#[test]
fn nothing_outlives_a_killed_server() {
    let directory = tempfile::tempdir().unwrap();
    let (file, pid) = sleeper(directory.path());
    let mut started = Started::with(&["--deploy", &file]);
    let gateway = started.gateway;
    let secret = exchange(
        gateway,
        "POST",
        "/system/secrets",
        &[],
        br#"{"name":"s","value":"v"}"#,
    );
    assert_eq!(secret.status, 200);
    std::thread::spawn(move || {
        std::panic::catch_unwind(|| exchange(gateway, "GET", "/function/sleeper", &[], b""))
    });
    eventually("the function runs", || pid().is_some());
    let server = children(started.child.id());
    assert_eq!(server.len(), 1, "the guard has one child");
    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", server[0])).unwrap();
    let temporary = arguments.split('\0').skip_while(|it| *it != "--guarded").nth(1);
    let temporary = std::path::PathBuf::from(temporary.unwrap());
    assert!(temporary.join("secrets/openfaas-fn/s").exists());
    kill(Pid::from_raw(i32::try_from(server[0]).unwrap()), Signal::SIGKILL).unwrap();
    assert_eq!(started.child.wait().unwrap().code(), Some(137));
    assert!(
        !is_alive(pid().unwrap()),
        "the guard waits for the function's end"
    );
    assert!(!temporary.exists(), "the guard removes what the server has left");
}

#[test]
fn nothing_outlives_a_killed_guard() {
    let directory = tempfile::tempdir().unwrap();
    let (file, pid) = sleeper(directory.path());
    let mut started = Started::with(&["--deploy", &file, "--grace", "100ms"]);
    let gateway = started.gateway;
    std::thread::spawn(move || {
        std::panic::catch_unwind(|| exchange(gateway, "GET", "/function/sleeper", &[], b""))
    });
    eventually("the function runs", || pid().is_some());
    let server = children(started.child.id())[0];
    started.child.kill().unwrap();
    started.child.wait().unwrap();
    eventually("the server has gone", || !is_alive(server));
    eventually("the function has gone", || !is_alive(pid().unwrap()));
}
