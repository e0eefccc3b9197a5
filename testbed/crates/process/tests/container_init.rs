//! `dfaas-init` as process 1 of a pid namespace, as it is in a container. Needs root.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "a skip says why")]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dfaas-init");

fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|it| it == "root"), "root is required");
        eprintln!("skipped: this test needs root");
    }
    root
}

/// The init, its lines, and the directory of its files. It ends with the test.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    directory: tempfile::TempDir,
}

impl Running {
    fn start(services: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("services.json");
        std::fs::write(&file, services).unwrap();
        // A process that makes a pid namespace is not in it; its first child is.
        let mut child = Command::new("/usr/bin/unshare")
            .args(["--pid", "--fork", "--kill-child=SIGKILL", PROGRAM])
            .arg(&file)
            .arg(directory.path().join("logs"))
            .env("FROM_CONTAINER", "container")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            directory,
        }
    }

    /// The next line that a service has printed, with its name before it.
    fn line_of(&mut self, service: &str) -> String {
        let wanted = format!("{service} | ");
        self.lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.starts_with(&wanted))
            .unwrap_or_else(|| panic!("the output ended without a line of {service}"))
    }

    /// The init itself, the only child of `unshare`.
    fn init(&self) -> Pid {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        Pid::from_raw(children.trim().parse().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `unshare` takes the init with it.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn services_run_with_the_container_s_environment_and_their_lines_are_named() {
    if !root() {
        return;
    }
    let mut running = Running::start(
        r#"[{"name": "web", "command": ["/bin/sh", "-c", "echo $$ $FROM_CONTAINER $OWN; exec sleep 100"],
             "environment": {"OWN": "own"}}]"#,
    );
    assert_eq!(running.line_of("init"), "init | web started (process 2)");
    assert_eq!(running.line_of("web"), "web | 2 container own");
    let log = running.directory.path().join("logs/web.log");
    assert_eq!(std::fs::read_to_string(log).unwrap(), "2 container own\n");
    kill(running.init(), Signal::SIGTERM).unwrap();
    assert!(running.child.wait().unwrap().success());
}

#[test]
fn a_service_that_ends_is_started_again_and_its_orphans_are_reaped() {
    if !root() {
        return;
    }
    let mut running = Running::start(
        r#"[{"name": "once", "command": ["/bin/sh", "-c", "(sleep 0.01 &); echo here; exit 3"]}]"#,
    );
    // Its words and word of its end come over different ways.
    let mut lines = Vec::new();
    while lines.iter().filter(|line| *line == "once | here").count() < 2 {
        lines.push(running.lines.next().unwrap().unwrap());
    }
    let ended = "init | once ended (exit code 3), starts again in";
    assert!(lines.iter().any(|line| line.starts_with(ended)), "{lines:?}");
    let init = running.init();
    let zombies = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap();
    let dead = zombies.split_ascii_whitespace().filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'))
    });
    assert!(
        dead.count() <= 1,
        "the orphan of the first run is gone: {zombies}"
    );
    kill(running.init(), Signal::SIGTERM).unwrap();
    assert!(running.child.wait().unwrap().success());
}

#[test]
fn the_last_service_ends_first() {
    if !root() {
        return;
    }
    let service = |name: &str| {
        format!(
            r#"{{"name": "{name}", "command": ["/bin/sh", "-c",
                "trap 'echo ends; exit' TERM; echo runs; while :; do sleep 0.01; done"]}}"#
        )
    };
    let mut running = Running::start(&format!("[{}, {}]", service("first"), service("last")));
    let mut started = 0;
    while started < 2 {
        let line = running.lines.next().unwrap().unwrap();
        started += u32::from(line.ends_with("| runs"));
    }
    kill(running.init(), Signal::SIGTERM).unwrap();
    let rest: Vec<String> = running.lines.by_ref().map(Result::unwrap).collect();
    let ends: Vec<&String> = rest.iter().filter(|line| line.ends_with("| ends")).collect();
    assert_eq!(ends, ["last | ends", "first | ends"], "{rest:?}");
    assert!(running.child.wait().unwrap().success());
}

#[test]
fn bad_input_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("services.json");
    let run = |text: Option<&str>| -> Output {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        Command::new(PROGRAM)
            .arg(&file)
            .arg(directory.path())
            .output()
            .unwrap()
    };
    for (text, part) in [
        (None, "cannot be read"),
        (Some("[]"), "it has no service"),
        (Some(r#"[{"name": "web"}]"#), "missing field `command`"),
        (
            Some(r#"[{"name": "web", "command": [], "x": 1}]"#),
            "unknown field `x`",
        ),
    ] {
        let output = run(text);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(part) && said.contains("services.json"), "{said}");
    }
    let output = Command::new(PROGRAM).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage"));
}
