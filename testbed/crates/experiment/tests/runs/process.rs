//! The load process as its caller sees it: standard input, standard output, signals, exit code.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dfaas_experiment::load::{Arrivals, LoadFlow, LoadMessage, LoadPlan};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::unistd::Pid;

use super::results::federation;

pub(crate) const TESTS: &[super::Test] = &[
    (
        "process::rows_come_while_the_load_runs",
        rows_come_while_the_load_runs,
    ),
    (
        "process::a_signal_ends_it_in_good_order",
        a_signal_ends_it_in_good_order,
    ),
    (
        "process::a_reader_that_goes_away_ends_it",
        a_reader_that_goes_away_ends_it,
    ),
    ("process::a_bad_plan_is_refused", a_bad_plan_is_refused),
];

/// As `run` starts it, which keeps signals for a thread of its own: what it starts inherits that.
fn start() -> Child {
    let kept: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    let before = kept.thread_swap_mask(SigmaskHow::SIG_BLOCK).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .arg("load")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    before.thread_set_mask().unwrap();
    child.unwrap()
}

fn plan(port: u16, seconds: u64) -> String {
    let flow = LoadFlow {
        name: "users".to_owned(),
        target: ([127, 0, 0, 1], port).into(),
        host: "n1".to_owned(),
        path: "/".to_owned(),
        method: "GET".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        start: Duration::ZERO,
        duration: Duration::from_secs(seconds),
        arrivals: Arrivals::Constant { per_second: 50.0 },
        timeout: Duration::from_secs(1),
        max_connections: None,
        recorded_headers: Vec::new(),
    };
    let start = jiff::Timestamp::now().as_nanosecond() as i64 + 100_000_000;
    let plan = LoadPlan {
        start_unix_nanoseconds: start,
        in_flight_limit: 100,
        flows: vec![flow],
    };
    serde_json::to_string(&plan).unwrap()
}

/// Starts a process, gives it a plan without closing its standard input, and gives its lines.
fn started(seconds: u64, port: u16) -> (Child, std::io::Lines<BufReader<std::process::ChildStdout>>) {
    let mut child = start();
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(plan(port, seconds).as_bytes())
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

fn message(line: std::io::Result<String>) -> LoadMessage {
    serde_json::from_str(&line.unwrap()).unwrap()
}

fn rows_come_while_the_load_runs() {
    let server = federation();
    let (mut child, mut lines) = started(3, server.address.port());
    assert_eq!(message(lines.next().unwrap()), LoadMessage::Waiting);
    let begin = Instant::now();
    assert!(matches!(message(lines.next().unwrap()), LoadMessage::Row(row) if row.seq == 0));
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "the first row must not wait for the last one"
    );
    let rest: Vec<LoadMessage> = lines.map(message).collect();
    assert_eq!(rest.len(), 150);
    assert_eq!(
        rest[149],
        LoadMessage::Finished {
            requests: 150,
            interrupted: false
        }
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn a_signal_ends_it_in_good_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let server = federation();
        let (mut child, mut lines) = started(60, server.address.port());
        for _ in 0..4 {
            message(lines.next().unwrap());
        }
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let begin = Instant::now();
        let rest: Vec<LoadMessage> = lines.map(message).collect();
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        // The three rows before the signal are not in `rest`, the closing line is.
        let expected = LoadMessage::Finished {
            requests: rest.len() as u64 + 2,
            interrupted: true,
        };
        assert_eq!(rest.last(), Some(&expected));
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}

fn a_reader_that_goes_away_ends_it() {
    let server = federation();
    let (mut child, mut lines) = started(60, server.address.port());
    message(lines.next().unwrap());
    drop(lines);
    let begin = Instant::now();
    let status = child.wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(status.code(), Some(5));
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(
        errors.starts_with("load: cannot write results to standard output: "),
        "{errors}"
    );
}

fn a_bad_plan_is_refused() {
    let unsendable = plan(1, 1).replace("\"GET\"", "\"G E T\"");
    for (text, reason) in [
        ("", "load: cannot read the load plan from standard input: EOF"),
        (
            "{\"flows\":[]}",
            "load: cannot read the load plan from standard input: missing field",
        ),
        (
            unsendable.as_str(),
            "load: flow `users`: method `G E T` cannot be sent over HTTP: ",
        ),
    ] {
        let mut child = start();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.starts_with(reason), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}
