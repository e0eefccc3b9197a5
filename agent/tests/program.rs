//! The program itself: verbs, `--check`, signals, logs, and the unit that runs it.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dfaas-agent");
const PATIENCE: Duration = Duration::from_secs(60);

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn keys_are_made_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    let path = path.to_str().unwrap();
    let made = run(&["key", path]);
    assert!(made.status.success(), "{made:?}");
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let named = run(&["peer-id", path]);
    assert_eq!(text(&named.stdout), text(&made.stdout));
    assert!(text(&named.stdout).starts_with("12D3KooW"), "{named:?}");

    let again = run(&["key", path]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("exists"), "{again:?}");
    assert_eq!(run(&["peer-id", path]).stdout, named.stdout, "it is left alone");

    let printed = run(&["key"]);
    assert!(
        text(&printed.stdout).starts_with("-----BEGIN PRIVATE KEY-----\n"),
        "{printed:?}"
    );
    let missing = run(&["peer-id", "/nonexistent/key.pem"]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn keys_of_openssl_are_taken_and_ours_by_openssl() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let openssl = |arguments: &[&str]| Command::new("openssl").args(arguments).output();
    let Ok(made) = openssl(&["genpkey", "-algorithm", "ed25519", "-out", &path("theirs.pem")]) else {
        eprintln!("skipped: no openssl");
        return;
    };
    assert!(made.status.success(), "{made:?}");
    let named = run(&["peer-id", &path("theirs.pem")]);
    assert!(text(&named.stdout).starts_with("12D3KooW"), "{named:?}");
    assert!(run(&["key", &path("ours.pem")]).status.success());
    let read = openssl(&["pkey", "-in", &path("ours.pem"), "-noout", "-text"]).unwrap();
    assert!(text(&read.stdout).contains("ED25519 Private-Key"), "{read:?}");
}

#[test]
fn a_check_names_every_wrong_variable_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.env");
    let check = |lines: &str| {
        std::fs::write(&file, lines).unwrap();
        run(&["--config", file.to_str().unwrap(), "--check"])
    };
    let wrong = check("AGENT_RECALC_PERIOD=5\nAGENT_HAPROXY_PORT=99999\nAGENT_DEBUGG=true\n");
    assert_eq!(wrong.status.code(), Some(2));
    let lines: Vec<&str> = text(&wrong.stderr).lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (severity, variable) in [
        ("error: ", "AGENT_RECALC_PERIOD"),
        ("error: ", "AGENT_HAPROXY_PORT"),
        ("warning: ", "AGENT_DEBUGG"),
    ] {
        let named = lines
            .iter()
            .any(|line| line.starts_with(severity) && line.contains(variable));
        assert!(named, "{variable} is missing from {lines:?}");
    }
    assert!(wrong.stdout.is_empty());

    let key = directory.path().join("key.pem");
    std::fs::write(&key, "nonsense").unwrap();
    let unusable = check(&format!("AGENT_PRIVATE_KEY_FILE={}\n", key.display()));
    assert_eq!(unusable.status.code(), Some(2));
    assert!(text(&unusable.stderr).contains("openssl genpkey"), "{unusable:?}");

    std::fs::remove_file(&key).unwrap();
    let right = check(&format!("AGENT_PRIVATE_KEY_FILE={}\n", key.display()));
    assert!(right.status.success(), "{right:?}");
    assert_eq!(text(&right.stdout), "the configuration is valid\n");
    assert!(!key.exists(), "a check makes nothing");
}

/// A running agent with a configuration file; it ends when dropped.
struct Agent {
    child: Child,
    directory: TempDir,
    host: IpAddr,
    values: BTreeMap<String, String>,
}

impl Agent {
    const SERVER_PORT: u16 = 27_408;

    fn start(extra: &[(&str, &str)]) -> Self {
        static LAST: AtomicU8 = AtomicU8::new(0);
        let [.., high, low] = std::process::id().to_be_bytes();
        let number = 1 + LAST.fetch_add(1, Ordering::Relaxed);
        let host = IpAddr::V4(Ipv4Addr::new(127, 16 + high % 200, low, number));
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let mut values: BTreeMap<String, String> = [
            ("AGENT_NODE_IP", host.to_string()),
            ("AGENT_PRIVATE_KEY_FILE", path("key.pem")),
            ("AGENT_LISTEN", format!("/ip4/{host}/tcp/26400")),
            ("AGENT_HAPROXY_CONFIG_FILE", path("haproxy.cfg")),
            ("AGENT_HAPROXY_EXECUTABLE", String::new()),
            ("AGENT_HAPROXY_SOCK_PATH", path("admin.sock")),
            ("AGENT_HAPROXY_MASTER_SOCK_PATH", path("master.sock")),
            ("AGENT_OPENFAAS_PORT", "1".to_owned()),
            ("AGENT_HTTPSERVER_HOST", host.to_string()),
            ("AGENT_HTTPSERVER_PORT", Self::SERVER_PORT.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, value) in extra {
            values.insert((*name).to_owned(), (*value).to_owned());
        }
        write(&directory.path().join("agent.env"), &values);
        let child = Command::new(PROGRAM)
            .args(["--config", &path("agent.env")])
            .env_clear()
            // The file wins.
            .env("AGENT_HTTPSERVER_PORT", "1")
            .stderr(std::fs::File::create(path("log")).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self {
            child,
            directory,
            host,
            values,
        };
        agent.wait("an answer", || agent.get("/healthz").is_some());
        agent
    }

    fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
        write(&self.directory.path().join("agent.env"), &self.values);
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    fn wait(&self, what: &str, arrived: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !arrived() {
            assert!(
                Instant::now() < deadline,
                "{what} does not come; the log says\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_for_log(&self, words: &str) {
        self.wait(words, || self.log().contains(words));
    }

    fn get(&self, path: &str) -> Option<String> {
        self.get_from(SocketAddr::new(self.host, Self::SERVER_PORT), path)
    }

    fn get_from(&self, address: SocketAddr, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(address).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        self.signal(signal);
        let status = self.child.wait().unwrap();
        (status.code(), self.log())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(path: &Path, values: &BTreeMap<String, String>) {
    let lines: String = values
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    std::fs::write(path, lines).unwrap();
}

#[test]
fn health_says_what_is_down() {
    let agent = Agent::start(&[]);
    let answer = agent.get("/healthz").unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains("HAProxy status: down (") && answer.contains("OpenFaaS status: down ("),
        "{answer}"
    );
    let (code, log) = agent.end("-TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("ending on SIGTERM"), "{log}");
}

#[test]
fn a_changed_configuration_is_taken_and_a_wrong_one_is_not() {
    let mut agent = Agent::start(&[]);
    let key = std::fs::read(agent.directory.path().join("key.pem")).unwrap();
    agent.signal("-HUP");
    agent.wait_for_log("SIGHUP: the configuration is still the same");

    agent.set("AGENT_RECALC_PERIOD", "nonsense");
    agent.signal("-HUP");
    agent.wait_for_log("SIGHUP: the configuration stays as it was");
    assert!(
        agent.log().contains("AGENT_RECALC_PERIOD=\"nonsense\""),
        "{}",
        agent.log()
    );

    agent.set("AGENT_RECALC_PERIOD", "5s");
    agent.set("AGENT_HTTPSERVER_PORT", "27409");
    agent.set("AGENT_DEBUG", "true");
    agent.signal("-HUP");
    agent.wait_for_log("SIGHUP: the new configuration is in force");
    let moved = SocketAddr::new(agent.host, 27_409);
    agent.wait("an answer at the new port", || {
        agent.get_from(moved, "/healthz").is_some()
    });
    assert_eq!(agent.get("/healthz"), None, "the old port is free");
    agent.wait_for_log("DEBUG");

    // An address that is not this host's cannot be listened on: back to what worked.
    agent.set("AGENT_HTTPSERVER_HOST", "192.0.2.1");
    agent.signal("-HUP");
    agent.wait_for_log("SIGHUP: back to the old configuration");
    agent.wait("an answer at the last good port", || {
        agent.get_from(moved, "/healthz").is_some()
    });
    assert_eq!(
        std::fs::read(agent.directory.path().join("key.pem")).unwrap(),
        key
    );
    let (code, log) = agent.end("-INT");
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn log_lines_can_be_json() {
    let agent = Agent::start(&[("AGENT_LOG_FORMAT", "json")]);
    agent.wait_for_log("listening");
    let (_, log) = agent.end("-TERM");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            line["timestamp"].is_string() && line["level"].is_string(),
            "{line}"
        );
        assert!(line["message"].is_string(), "{line}");
    }
}

#[test]
fn log_lines_can_do_without_time() {
    let agent = Agent::start(&[("AGENT_LOG_DATETIME", "false")]);
    agent.wait_for_log("listening");
    let (_, log) = agent.end("-TERM");
    assert!(
        log.lines()
            .any(|line| line.trim_start().starts_with("INFO listening")),
        "{log}"
    );
}

#[test]
fn systemd_takes_the_unit() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/dfaas-agent.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let copy: PathBuf = directory.path().join("dfaas-agent.service");
    // It is not installed here.
    std::fs::write(&copy, unit.replace("/usr/local/bin/dfaas-agent", PROGRAM)).unwrap();
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(&copy).output() else {
        eprintln!("skipped: no systemd-analyze");
        return;
    };
    assert!(
        verified.status.success() && verified.stderr.is_empty(),
        "{}",
        text(&verified.stderr)
    );
}
