//! `node` and `limits`: what runs in a node ends and comes back, its links stay.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::{Lab, federation, is_running, root, wait_for};
use crate::{ping, refused};

const HOSTS: &str = "
name: NAME
nodes:
  a: { kind: host, exec: [\"echo up >> /var/tmp/../../srv/starts; touch /run/mark\"] }
  b: { kind: host }
  s: { kind: switch }
links: [{ endpoints: [a, s] }, { endpoints: [b, s] }]
";

fn state(lab: &Lab, node: &str) -> String {
    let detail = lab.json(&["inspect", "--json"]);
    let nodes = detail["nodes"].as_array().unwrap();
    let found = nodes.iter().find(|it| it["name"] == node).unwrap();
    found["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_host_is_shut_down_and_comes_back_with_its_disk_and_its_links() {
    if !root() {
        return;
    }
    let lab = Lab::new(HOSTS);
    lab.up();
    let mut sleeper = lab.spawn(&["exec", "a", "--", "sleep", "300"]);
    lab.ok(&[
        "exec",
        "a",
        "--",
        "sh",
        "-c",
        "test -e /run/mark && touch /run/gone",
    ]);
    let addresses = || lab.ok(&["exec", "b", "--", "cat", "/etc/hosts"]);
    let before = addresses();

    assert_eq!(lab.ok(&["node", "a", "stop"]), "a is stopped\n");
    assert_ne!(
        sleeper.wait().unwrap().code(),
        Some(0),
        "what ran in it has ended"
    );
    assert_eq!(state(&lab, "a"), "stopped");
    assert!(refused(&lab, 125, &["exec", "a", "--", "true"]).contains("it is stopped"));
    assert_eq!(lab.ok(&["node", "a", "stop"]), "a is stopped\n", "a second time");
    let link = lab.json(&["link", "--json", "a--s"]);
    assert_eq!(link["up"], true, "the link keeps its carrier");

    lab.ok(&["node", "a", "start"]);
    assert_eq!(lab.ok(&["exec", "a", "--", "cat", "/srv/starts"]), "up\nup\n");
    let gone = lab.run(&["exec", "a", "--", "test", "-e", "/run/gone"]);
    assert_eq!(gone.status.code(), Some(1), "/run is new after a start");
    assert_eq!(ping(&lab, "b", "a", 2).len(), 2);
    assert_eq!(addresses(), before);

    lab.ok(&["node", "a", "kill"]);
    lab.ok(&["node", "a", "restart"]);
    assert_eq!(ping(&lab, "a", "b", 2).len(), 2);
    let processes = lab.processes();
    lab.ok(&["node", "a", "kill"]);
    lab.ok(&["down"]);
    lab.assert_gone(&processes);
}

#[test]
fn a_paused_node_stands_still_and_goes_on() {
    if !root() {
        return;
    }
    let lab = Lab::new(HOSTS);
    lab.up();
    let counter = "i=0; while :; do i=$((i+1)); echo $i > /run/count; sleep 0.02; done";
    let mut running = lab.spawn(&["exec", "a", "--", "sh", "-c", counter]);
    let pid = lab.json(&["inspect", "--json"])["nodes"][0]["pid"]
        .as_i64()
        .unwrap();
    let count = || {
        let text = std::fs::read_to_string(format!("/proc/{pid}/root/run/count"));
        text.ok().and_then(|text| text.trim().parse::<u64>().ok())
    };
    wait_for("it counts", || count() > Some(2));
    lab.ok(&["node", "a", "pause"]);
    assert_eq!(state(&lab, "a"), "paused");
    let (first, _) = (count(), std::thread::sleep(Duration::from_millis(300)));
    assert_eq!(count(), first, "it does not count while it is paused");
    assert!(refused(&lab, 125, &["exec", "a", "--", "true"]).contains("it is paused"));
    assert!(refused(&lab, 5, &["node", "a", "start"]).contains("resume it"));
    lab.ok(&["node", "a", "resume"]);
    wait_for("it counts on", || count() > first);

    // Down with a node that stands still leaves nothing either.
    lab.ok(&["node", "a", "pause"]);
    lab.end();
    assert_ne!(running.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_done_to_a_node_is_said() {
    if !root() {
        return;
    }
    let lab = Lab::new(HOSTS);
    lab.up();
    assert!(refused(&lab, 2, &["node", "c", "stop"]).contains("has no node `c`"));
    assert!(refused(&lab, 5, &["node", "s", "stop"]).contains("take its links down instead"));
    let message = refused(&lab, 2, &["node", "a", "explode"]);
    assert!(
        message.contains("possible values: stop, start, restart, kill, pause, resume"),
        "{message}"
    );
    lab.ok(&["node", "b", "stop"]);
    assert!(refused(&lab, 5, &["node", "b", "pause"]).contains("it is stopped"));
}

const FEDERATION: &str = "
name: NAME
defaults: { dfaas: { functions: { figlet: { maxrate: 10 } } } }
nodes:
  n1: { kind: dfaas, ports: [\"PORT:80\"] }
  n2: { kind: dfaas }
links: [{ endpoints: [n1, n2] }]
";

/// A request through a published port; nothing when nobody answers behind it.
fn published(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request =
        "POST /function/figlet HTTP/1.1\r\nHost: n1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nHi";
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

#[test]
fn a_killed_dfaas_node_comes_back_as_the_same_peer() {
    if !federation() {
        return;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let lab = Lab::new(&FEDERATION.replace("PORT", &port.to_string()));
    lab.up();
    let answer = published(port).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let before = lab.json(&["inspect", "--json"])["nodes"][0].clone();
    let init = i32::try_from(before["pid"].as_i64().unwrap()).unwrap();

    let node = lab.json(&["node", "--json", "n1", "kill"]);
    assert_eq!(node["state"], "stopped");
    assert!(!is_running(init));
    assert_eq!(
        published(port),
        None,
        "the port stays, but nobody answers behind it"
    );

    let node = lab.json(&["node", "--json", "n1", "start"]);
    assert_eq!(node["state"], "running");
    assert_eq!(node["peer_id"], before["peer_id"]);
    assert_eq!(node["addresses"], before["addresses"]);
    let answer = published(port).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200"),
        "its function runs again: {answer}"
    );
    assert_eq!(
        lab.ok(&["wait", "--ready", "--timeout", "60s"]),
        "ready; agents: 2\n",
        "the two agents know each other again"
    );
}

#[test]
fn limits_hold_at_once_and_are_lifted() {
    if !root() {
        return;
    }
    let lab = Lab::new(HOSTS);
    lab.up();
    lab.ok(&["exec", "b", "--", "true"]); // the init, and with it the control group
    // What the node itself sees of its group, on version 1 or 2.
    let seen = |files: [&str; 2]| {
        let read = format!(
            "cat /sys/fs/cgroup/{} 2>/dev/null || cat /sys/fs/cgroup/{}",
            files[0], files[1]
        );
        lab.ok(&["exec", "b", "--", "sh", "-c", &read]).trim().to_owned()
    };
    let memory = || seen(["memory.max", "memory/memory.limit_in_bytes"]);
    let pids = || seen(["pids.max", "pids/pids.max"]);
    let unlimited = memory();

    let node = lab.json(&["limits", "--json", "b", "cpus=0.5", "memory=64MiB", "pids=100"]);
    assert_eq!(
        node["limits"],
        json!({ "cpus": 0.5, "memory": "64MiB", "pids": 100 })
    );
    assert_eq!((memory(), pids()), ((64 << 20).to_string(), "100".to_owned()));
    let cpu = seen(["cpu.max", "cpu/cpu.cfs_quota_us"]);
    assert!(cpu.starts_with("50000"), "{cpu}");

    // Up and down again, and what is not named stays.
    lab.ok(&["limits", "b", "memory=256MiB"]);
    assert_eq!(memory(), (256 << 20).to_string());
    lab.ok(&["limits", "b", "memory=32MiB"]);
    assert_eq!((memory(), pids()), ((32 << 20).to_string(), "100".to_owned()));

    // They outlive a restart.
    lab.ok(&["node", "b", "restart"]);
    assert_eq!(memory(), (32 << 20).to_string());

    assert_eq!(
        lab.ok(&["limits", "b", "memory=none", "cpus=none", "pids=none"]),
        "b   no limits\n"
    );
    assert_eq!((memory(), pids()), (unlimited, "max".to_owned()));
    let message = refused(&lab, 2, &["limits", "b", "cpu=1"]);
    assert!(
        message.contains("node `b`: unknown key `cpu`; did you mean `cpus`?"),
        "{message}"
    );
    let message = refused(&lab, 2, &["limits", "b", "memory=12"]);
    assert!(
        message.contains("node `b`: ") && message.contains("12"),
        "{message}"
    );
}
