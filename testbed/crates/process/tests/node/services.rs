//! Services: start, end, start again, logs.

use std::fs;
use std::time::{Duration, Instant};

use dfaas_process::{Event, ExitStatus, ProcessError, Restart};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::fixture::{LONG, Place, eventually, shell};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "services::the_environment_and_files_are_exactly_as_given",
        environment_and_files,
    ),
    (
        "services::a_service_that_fails_is_started_again_later_and_later",
        back_off,
    ),
    (
        "services::what_cannot_be_started_is_refused_with_a_reason",
        refused,
    ),
    ("services::stop_and_signal", stop_and_signal),
    (
        "services::last_words_are_in_the_log_when_the_end_is_told",
        last_words,
    ),
    (
        "services::orphans_are_reaped_and_a_services_group_ends_with_it",
        orphans,
    ),
    ("services::a_full_disk_does_not_stop_a_service", full_disk),
    ("services::numbers_are_known_inside_and_outside", numbers),
];

fn environment_and_files() {
    let place = Place::new();
    let node = place.node("n1");
    let mut service = shell("look", "", Restart::Never);
    service.command = vec!["env".into()];
    service.env.insert("ONLY".into(), "a b\nc".into());
    node.init.start_service(service).expect("service");
    node.exit_of("look");
    assert_eq!(
        node.log("look"),
        format!("ONLY=a b\nc\nPATH={}\n", crate::fixture::environment()["PATH"])
    );

    let mut service = shell(
        "files",
        "pwd; cat /etc/service/file; od -An -tx1 /etc/binary",
        Restart::Never,
    );
    service.directory = "/var/lib/service/deep".into();
    service.files = vec![
        ("/etc/service/file".into(), b"text\n".to_vec()),
        ("/etc/binary".into(), vec![0, 255, 128]),
    ];
    node.init.start_service(service).expect("service");
    node.exit_of("files");
    assert_eq!(node.log("files"), "/var/lib/service/deep\ntext\n 00 ff 80\n");
    assert!(!fs::exists("/etc/binary").expect("host"));
}

fn back_off() {
    let place = Place::new();
    let node = place.node("n1");
    let began = Instant::now();
    node.init
        .start_service(shell("fails", "echo run; exit 3", Restart::Always))
        .expect("service");
    let mut told = Vec::new();
    for _ in 0..4 {
        let (status, delay) = node.exit_of("fails");
        assert_eq!(status, ExitStatus::Code(3));
        told.push(delay.expect("it will start again").as_millis());
    }
    assert_eq!(told, [100, 200, 400, 800]);
    let elapsed = began.elapsed();
    assert!(
        elapsed >= Duration::from_millis(700),
        "three delays have passed: {elapsed:?}"
    );
    assert!(elapsed < Duration::from_millis(1500), "and no more: {elapsed:?}");
    assert_eq!(node.log("fails"), "run\n".repeat(4));
    node.init.stop_service("fails").expect("stopped while it waits");
    assert!(matches!(
        node.init.stop_service("fails"),
        Err(ProcessError::Service { .. })
    ));
}

fn refused() {
    let place = Place::new();
    let node = place.node("n1");
    let reason = |service| node.init.start_service(service).expect_err("refused").to_string();
    let mut unknown = shell("unknown", "", Restart::Always);
    unknown.command = vec!["no-such-program".into()];
    let text = reason(unknown);
    assert!(
        text.contains("n1") && text.contains("unknown") && text.contains("no-such-program"),
        "{text}"
    );
    assert!(reason(shell("../up", "true", Restart::Never)).contains("../up"));
    node.init
        .start_service(shell("twice", "sleep 60", Restart::Never))
        .expect("service");
    assert!(reason(shell("twice", "sleep 60", Restart::Never)).contains("already"));
    let mut file = shell("file", "true", Restart::Never);
    file.files = vec![("/proc/x".into(), Vec::new())];
    assert!(reason(file).contains("/proc/x"));
}

fn stop_and_signal() {
    let place = Place::new();
    let node = place.node("n1");
    let polite = "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.05; done";
    node.init
        .start_service(shell("polite", polite, Restart::Always))
        .expect("service");
    eventually("the service is up", LONG, || node.log("polite") == "up\n");
    node.init.stop_service("polite").expect("stopped");
    assert_eq!(node.exit_of("polite"), (ExitStatus::Code(4), None));
    assert_eq!(node.log("polite"), "up\nbye\n");

    node.init
        .start_service(shell("killed", "sleep 60", Restart::Always))
        .expect("service");
    node.init
        .signal_service("killed", libc::SIGKILL)
        .expect("signalled");
    assert_eq!(
        node.exit_of("killed"),
        (ExitStatus::Signal(9), Some(Duration::from_millis(100)))
    );
    let restarts = node.wait_for(|event| match event {
        Event::ServiceStarted { name, restarts, .. } if name == "killed" => Some(*restarts),
        _ => None,
    });
    assert_eq!(restarts, 1);
    assert!(node.init.signal_service("nobody", libc::SIGTERM).is_err());
}

fn last_words() {
    let place = Place::new();
    let node = place.node("n1");
    let (status, text) = node.script("dies", "seq 1 20000; echo 'last words' >&2; kill -SEGV $$");
    assert_eq!(status, ExitStatus::Signal(libc::SIGSEGV));
    assert!(
        text.starts_with("1\n2\n3\n") && text.ends_with("\n20000\nlast words\n"),
        "{} bytes",
        text.len()
    );
}

fn orphans() {
    let place = Place::new();
    let node = place.node("n1");
    let script = "(sleep 0.05 &); sleep 1000 & (setsid sleep 0.2 &); exit 0";
    assert!(node.script("parent", script).0.success());
    let init = node.init.pid();
    let children = || fs::read_to_string(format!("/proc/{init}/task/{init}/children")).expect("children");
    eventually("nothing but init is left", LONG, || children().is_empty());
}

fn full_disk() {
    let place = Place::new();
    let spec = place.spec("n1");
    // Large enough for a line, not for all.
    mount(
        Some("tmpfs"),
        &spec.log_directory,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=16k"),
    )
    .expect("tmpfs");
    let logs = spec.log_directory.clone();
    let node = place.ready(spec);
    node.init
        .start_service(shell("talks", "seq 1 100000; echo done", Restart::Never))
        .expect("service");
    let warning = node.wait_for(|event| match event {
        Event::Warning { text } => Some(text.clone()),
        _ => None,
    });
    assert!(warning.contains("talks.log"), "{warning}");
    assert_eq!(node.exit_of("talks").0, ExitStatus::Code(0));
    let text = node.log("talks");
    assert!(
        text.len() <= 16 << 10 && text.starts_with("1\n2\n"),
        "{} bytes",
        text.len()
    );
    drop(node);
    umount2(&logs, MntFlags::MNT_DETACH).expect("unmount");
}

fn numbers() {
    let place = Place::new();
    let node = place.node("n1");
    node.init
        .start_service(shell("sleeps", "exec sleep 60", Restart::Never))
        .expect("service");
    let (pid, inner) = node.wait_for(|event| match event {
        Event::ServiceStarted { pid, inner_pid, .. } => Some((*pid, *inner_pid)),
        _ => None,
    });
    assert_eq!(inner, 2);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process, seen from outside");
    assert!(
        status.contains(&format!("PPid:\t{}\n", node.init.pid())),
        "{status}"
    );
}
