//! How nodes end: asked to, or because whoever started them is gone.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use dfaas_process::{Event, ExitStatus, ProcessError, Restart, process_alive, start_time};

use crate::fixture::{LONG, Place, eventually, shell};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "lifetime::nothing_survives_a_killed_supervisor",
        killed_supervisor,
    ),
    ("lifetime::services_end_in_reverse_order", reverse_order),
    (
        "lifetime::a_service_that_will_not_end_is_killed_after_the_grace",
        grace,
    ),
    ("lifetime::a_terminated_init_ends_its_services", terminated_init),
    ("lifetime::dropping_an_init_or_the_spawner_kills", dropping),
    ("lifetime::an_init_that_cannot_start_says_why", cannot_start),
    ("lifetime::requests_to_an_ended_node_are_errors", ended_node),
];

const NODES: usize = 5;

/// Started as a process of its own by the next test: makes nodes, tells their processes, waits to be killed.
pub(crate) fn supervise() -> ExitCode {
    crate::machine().expect("a mount namespace of its own");
    let place = Place::new();
    let nodes: Vec<_> = (0..NODES)
        .map(|number| place.node(&format!("n{number}")))
        .collect();
    for node in &nodes {
        let script = "setsid sleep 1000 & trap '' TERM HUP; sleep 1000";
        node.init
            .start_service(shell("sleeps", script, Restart::Always))
            .expect("service");
        let pid = node.wait_for(|event| match event {
            Event::ServiceStarted { pid, .. } => Some(*pid),
            _ => None,
        });
        for pid in [node.init.pid(), pid] {
            println!("{pid} {}", start_time(pid).expect("it runs"));
        }
    }
    println!("all");
    std::thread::sleep(Duration::from_secs(60));
    ExitCode::FAILURE
}

fn killed_supervisor() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut supervisor = Command::new(std::env::current_exe().expect("own path"))
        .arg("--as-supervisor")
        .env("TMPDIR", directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("supervisor");
    let lines = BufReader::new(supervisor.stdout.take().expect("output"))
        .lines()
        .map_while(Result::ok);
    let processes: Vec<(i32, u64)> = lines
        .take_while(|line| line != "all")
        .map(|line| {
            let (pid, start) = line.split_once(' ').expect("two numbers");
            (pid.parse().expect("pid"), start.parse().expect("start time"))
        })
        .collect();
    assert_eq!(processes.len(), 2 * NODES);
    assert!(processes.iter().all(|(pid, start)| process_alive(*pid, *start)));
    supervisor.kill().expect("killed");
    supervisor.wait().expect("ended");
    let took = eventually(
        "every process of every node is gone",
        Duration::from_secs(1),
        || !processes.iter().any(|(pid, start)| process_alive(*pid, *start)),
    );
    println!(
        "  {} processes gone {:.1} ms after the supervisor",
        processes.len(),
        took.as_secs_f64() * 1e3
    );
}

fn reverse_order() {
    let place = Place::new();
    let node = place.node("n1");
    for name in ["first", "second", "third"] {
        let script = "trap 'sleep 0.05; exit 0' TERM; echo up; while :; do sleep 0.01; done";
        node.init
            .start_service(shell(name, script, Restart::Always))
            .expect("service");
        eventually("the service is up", LONG, || node.log(name) == "up\n");
    }
    node.init.shutdown(Duration::from_secs(10)).expect("shut down");
    let mut ends = Vec::new();
    loop {
        match node.next() {
            Event::ServiceExited {
                name,
                status,
                will_restart_in,
            } => {
                assert_eq!((status, will_restart_in), (ExitStatus::Code(0), None));
                ends.push(name);
            }
            Event::InitExited { status } => {
                assert_eq!(status, ExitStatus::Code(0));
                break;
            }
            _ => {}
        }
    }
    assert_eq!(ends, ["third", "second", "first"]);
}

fn grace() {
    let place = Place::new();
    let node = place.node("n1");
    for name in ["deaf-1", "deaf-2"] {
        node.init
            .start_service(shell(name, "trap '' TERM; echo up; sleep 60", Restart::Always))
            .expect("service");
        eventually("the service is up", LONG, || node.log(name) == "up\n");
    }
    let began = Instant::now();
    node.init.shutdown(Duration::from_millis(300)).expect("shut down");
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_millis(900),
        "{took:?}"
    );
    assert_eq!(node.exit_of("deaf-2").0, ExitStatus::Signal(9));
}

fn terminated_init() {
    let place = Place::new();
    let node = place.node("n1");
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    node.init
        .start_service(shell("polite", script, Restart::Always))
        .expect("service");
    eventually("the service is up", LONG, || node.log("polite") == "up\n");
    let sent = dfaas_process::kill_process(node.init.pid(), node.init.start_time(), libc::SIGTERM);
    assert!(sent.expect("sent"));
    assert_eq!(node.init.wait_exit(LONG), Some(ExitStatus::Code(0)));
    assert_eq!(node.log("polite"), "up\nbye\n");
}

fn dropping() {
    let mut place = Place::new();
    let (first, second) = (place.node("n1"), place.node("n2"));
    let (pid, start) = (first.init.pid(), first.init.start_time());
    drop(first);
    eventually("the dropped node is gone", LONG, || !process_alive(pid, start));
    assert!(process_alive(second.init.pid(), second.init.start_time()));
    place.spawner.take();
    assert!(
        !process_alive(second.init.pid(), second.init.start_time()),
        "gone when the spawner is"
    );
    assert_eq!(second.init.wait_exit(Duration::ZERO), Some(ExitStatus::Signal(9)));
}

fn cannot_start() {
    let place = Place::new();
    let mut spec = place.spec("n1");
    spec.executable = "/no/such/program".into();
    let message = place
        .spawn(spec)
        .init
        .wait_ready(LONG)
        .expect_err("no program")
        .to_string();
    assert!(
        message.contains("n1") && message.contains("execute") && message.contains("No such file"),
        "{message}"
    );
    let mut spec = place.spec("n2");
    spec.log_directory = "/no/such/directory".into();
    let node = place.spawn(spec);
    let message = node.init.wait_ready(LONG).expect_err("no directory").to_string();
    assert!(
        message.contains("n2") && message.contains("/no/such/directory"),
        "{message}"
    );
    assert!(matches!(node.next(), Event::InitFailed { .. }));
    assert_eq!(
        node.next(),
        Event::InitExited {
            status: ExitStatus::Code(1)
        }
    );
}

fn ended_node() {
    let place = Place::new();
    let node = place.node("n1");
    node.init.kill();
    assert_eq!(node.init.wait_exit(LONG), Some(ExitStatus::Signal(9)));
    let error = node
        .init
        .start_service(shell("late", "true", Restart::Never))
        .expect_err("ended");
    assert!(matches!(error, ProcessError::InitEnded { .. }), "{error}");
    node.init
        .shutdown(Duration::from_secs(1))
        .expect("there is nothing to do");
}
