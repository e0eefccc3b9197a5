//! Without root's power over the machine: in a user namespace, where an overlay over the whole root is refused.

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use dfaas_process::{Event, execute_in};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::fixture::{LONG, Place, command};

pub(crate) const TESTS: &[crate::Test] = &[("unprivileged::a_node_in_a_user_namespace", user_namespace)];

/// Started as a process of its own with one thread: becomes root of a new user namespace and makes a node there.
pub(crate) fn run() -> ExitCode {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).expect("user namespace");
    fs::write("/proc/self/setgroups", "deny").expect("groups");
    fs::write("/proc/self/uid_map", "0 0 1").expect("user");
    fs::write("/proc/self/gid_map", "0 0 1").expect("group");
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .expect("private");
    let place = Place::new();
    let node = place.spawn(place.spec("n1"));
    node.init.wait_ready(LONG).expect("ready");
    let warning = node.wait_for(|event| match event {
        Event::Warning { text } if text.contains("put together from parts") => Some(text.clone()),
        Event::Ready => panic!("no warning came"),
        _ => None,
    });
    println!("{warning}");
    let script = "hostname; cat /etc/hosts; echo x > /etc/made-in-a-node; ls /proc/1 > /dev/null && echo proc; \
        echo x > /usr/bin/made-in-a-node; echo x > /tmp/ok && cat /tmp/ok; ls -l /dev/null";
    let (_, text) = node.script("look", script);
    assert!(text.starts_with("n1\n127.0.0.1"), "{text}");
    assert!(
        text.contains("10.0.0.2\tn2\n") && text.contains("proc\n") && text.contains("\nx\n"),
        "{text}"
    );
    assert!(text.contains("crw"), "{text}");
    for path in ["/etc/made-in-a-node", "/usr/bin/made-in-a-node"] {
        assert!(!fs::exists(path).expect("host"), "{path} is on the host");
    }
    let code = execute_in(
        &node.init.reference(),
        &command(&["sh", "-c", "test $(hostname) = n1 && exit 6"]),
    );
    assert_eq!(code.expect("an exit code"), 6);
    println!(
        "{}",
        serde_json::to_string(&node.init.reference()).expect("reference")
    );
    ExitCode::SUCCESS
}

fn user_namespace() {
    let output = Command::new(std::env::current_exe().expect("own path"))
        .arg("--as-unprivileged")
        .stderr(Stdio::inherit())
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("put together from parts"), "{text}");
}
