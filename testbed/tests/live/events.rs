//! `events` and `wait`.

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Lab, root};
use crate::{ping, refused};

const PAIR: &str = "
name: NAME
nodes: { a: { kind: host }, b: { kind: host } }
links: [{ endpoints: [a, b], delay: 1ms }]
";

/// Starts `events` and hands over its lines as they come.
fn listen(lab: &Lab) -> (std::process::Child, Receiver<Value>) {
    let mut child = lab.spawn(&["events", "--all"]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // Whoever listened has ended: the test has failed already.
            let _ = sender.send(serde_json::from_str(&line).unwrap());
        }
    });
    (child, receiver)
}

/// The next event of this kind; those before it are passed over.
fn next(events: &Receiver<Value>, kind: &str) -> Value {
    loop {
        let event = events
            .recv_timeout(Duration::from_secs(10))
            .unwrap_or_else(|error| panic!("no event `{kind}`: {error}"));
        if event["event"] == kind {
            return event;
        }
    }
}

#[test]
fn everything_that_is_done_to_a_lab_is_told_in_order() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let (mut child, events) = listen(&lab);
    let ready = next(&events, "lab");
    assert_eq!((&ready["number"], &ready["state"]), (&json!(1), &json!("ready")));
    assert!(ready["time"].as_str().unwrap().ends_with('Z'), "{ready}");

    lab.ok(&["link", "a--b", "set", "forward.loss=100%"]);
    let link = next(&events, "link");
    assert_eq!(link["forward"], json!({ "delay": "1ms", "loss": "100%" }));
    assert_eq!(link["backward"], json!({ "delay": "1ms" }));
    assert!(ping(&lab, "a", "b", 3).is_empty());
    let mut lost = 0;
    while lost < 3 {
        let drops = next(&events, "drops");
        assert_eq!(
            (&drops["link"], &drops["direction"]),
            (&json!("a--b"), &json!("forward"))
        );
        lost += drops["drops"]["loss"].as_u64().unwrap();
    }

    lab.ok(&["partition", "a / b"]);
    assert_eq!(next(&events, "partition")["groups"], json!([["a"], ["b"]]));
    lab.ok(&["heal"]);
    assert_eq!(next(&events, "heal")["groups"], json!([["a"], ["b"]]));
    lab.ok(&["limits", "a", "pids=50"]);
    assert_eq!(next(&events, "limits")["limits"], json!({ "pids": 50 }));
    lab.ok(&["node", "b", "stop"]);
    let node = next(&events, "node");
    assert_eq!((&node["node"], &node["state"]), (&json!("b"), &json!("stopped")));
    lab.ok(&["node", "b", "start"]);
    assert_eq!(next(&events, "node")["state"], "idle");

    lab.ok(&["down"]);
    assert_eq!(next(&events, "lab")["state"], "stopping");
    assert_eq!(child.wait().unwrap().code(), Some(0), "it ends with the lab");
}

#[test]
fn an_init_that_is_killed_from_outside_is_told_with_the_reason() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    lab.ok(&["exec", "a", "--", "true"]);
    let pid = lab.json(&["inspect", "--json"])["nodes"][0]["pid"]
        .as_i64()
        .unwrap();
    let (mut child, events) = listen(&lab);
    crate::support::kill(i32::try_from(pid).unwrap(), nix::sys::signal::Signal::SIGKILL);
    let node = next(&events, "node");
    assert_eq!((&node["node"], &node["state"]), (&json!("a"), &json!("stopped")));
    assert!(node["reason"].as_str().unwrap().contains("SIGKILL"), "{node}");
    lab.ok(&["node", "a", "start"]);
    lab.ok(&["exec", "a", "--", "true"]);
    lab.ok(&["down"]);
    child.wait().unwrap();
}

#[test]
fn wait_returns_when_the_lab_is_ready_and_says_when_there_is_none() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    let message = refused(
        &lab,
        2,
        &["wait", "--ready", "--timeout", "100ms", "-l", &lab.name],
    );
    assert!(message.contains("no lab named"), "{message}");
    // Begun before the lab is.
    let waiting = lab.spawn(&["wait", "--ready", "--timeout", "60s", "-l", &lab.name]);
    lab.up();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", crate::support::text(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ready\n");
}
