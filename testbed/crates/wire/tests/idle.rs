//! An engine without packets sleeps. Alone in its file: it looks at the engine threads of the whole process.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use dfaas_wire::Impairment;
use support::{Network, may_make_namespaces, receive_numbered, send_numbered};

#[test]
fn an_idle_engine_does_not_wake() {
    if !may_make_namespaces() {
        return;
    }
    let network = Network::new(10);
    let slow = Impairment::delayed(Duration::from_millis(5));
    let engine = network.start(1, &slow, &slow);
    let (sender, receiver) = network.udp_pair(0);
    send_numbered(sender, 5, 100, Duration::ZERO).join().unwrap();
    assert_eq!(receive_numbered(&receiver, 5).len(), 5);
    std::thread::sleep(Duration::from_millis(100)); // until it sleeps again
    let awake = wake_ups();
    assert!(awake > 0, "five packets woke it");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(wake_ups(), awake);
    assert_eq!(engine.engine_statistics().memory_bytes, 0);
    // It has answered before it sleeps again, which is what is counted.
    let deadline = Instant::now() + Duration::from_secs(10);
    while wake_ups() == awake {
        assert!(Instant::now() < deadline, "a question wakes it");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How often the engine's thread went to sleep.
fn wake_ups() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let statuses = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    let engine = statuses.filter(|status| status.starts_with("Name:\twire-0\n"));
    let switches = engine.map(|status| {
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"))
            .unwrap();
        line.rsplit('\t').next().unwrap().parse::<u64>().unwrap()
    });
    switches.sum()
}
