//! `link`: what it changes, and what it refuses.

use serde_json::json;

use crate::support::{Lab, root, text, wait_for};
use crate::{fastest, ping, refused};

const PAIR: &str = "
name: NAME
nodes: { a: { kind: host }, b: { kind: host } }
links: [{ endpoints: [a, b] }]
";

#[test]
fn a_link_changes_under_way_and_goes_back() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    assert!(fastest(&lab, "a", "b") < 20.0, "nothing holds packets back yet");

    // Also where the kernel carried the link so far and has no netem.
    let link = lab.json(&["link", "--json", "a--b", "set", "delay=20ms", "forward.delay=5ms"]);
    assert_eq!(link["forward"], json!({ "delay": "5ms" }));
    assert_eq!(link["backward"], json!({ "delay": "20ms" }));
    let slow = fastest(&lab, "a", "b");
    assert!((25.0..35.0).contains(&slow), "5 ms and 20 ms back: {slow}");

    // What is not named stays; the name works in either order.
    let link = lab.json(&["link", "--json", "b--a", "set", "backward.loss=100%"]);
    assert_eq!(link["backward"], json!({ "delay": "20ms", "loss": "100%" }));
    assert!(ping(&lab, "a", "b", 3).is_empty(), "every answer is lost");

    let link = lab.json(&["link", "--json", "a--b", "reset"]);
    assert_eq!([&link["forward"], &link["backward"]], [&json!({}); 2]);
    assert!(fastest(&lab, "a", "b") < 20.0);
}

#[test]
fn a_link_that_is_down_has_no_carrier_on_either_end() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let carriers = || {
        ["a", "b"].map(|node| {
            let read = "cat /sys/class/net/eth0/carrier";
            lab.ok(&["exec", node, "--", "sh", "-c", read]).trim().to_owned()
        })
    };
    assert_eq!(carriers(), ["1", "1"]);
    assert_eq!(lab.json(&["link", "--json", "a--b", "down"])["up"], false);
    assert_eq!(carriers(), ["0", "0"]);
    assert!(ping(&lab, "a", "b", 1).is_empty());
    assert_eq!(lab.json(&["link", "--json", "a--b", "up"])["up"], true);
    assert_eq!(carriers(), ["1", "1"]);
    assert_eq!(ping(&lab, "a", "b", 2).len(), 2);
    // What is done behind the lab's back is told as well.
    let up = || lab.json(&["inspect", "--json"])["links"][0]["up"].clone();
    assert_eq!(up(), true);
    lab.ok(&["exec", "b", "--", "ip", "link", "set", "eth0", "down"]);
    assert_eq!(up(), false);
    lab.ok(&["exec", "b", "--", "ip", "link", "set", "eth0", "up"]);
    assert_eq!(up(), true);
}

#[test]
fn what_is_replayed_begins_anew_when_a_run_begins() {
    if !root() {
        return;
    }
    let lab = Lab::new(&PAIR.replace("[a, b]", "[a, b], trace: link.csv"));
    // Slow at first, and then no more for as long as anybody looks.
    let table = "time,delay\n0s,40ms\n1.5s,0ms\n600s,0ms\n";
    std::fs::write(lab.directory.path().join("link.csv"), table).unwrap();
    lab.up();
    wait_for("the link is fast", || fastest(&lab, "a", "b") < 40.0);
    let socket = lab.state().join(&lab.name).join("control.sock");
    let begun = std::process::Command::new("curl")
        .args(["-sf", "-X", "POST", "--unix-socket"])
        .arg(&socket)
        .arg("http://lab/v1/replays")
        .output()
        .unwrap();
    assert!(begun.status.success(), "{}", text(&begun));
    assert!(ping(&lab, "a", "b", 1)[0] >= 80.0, "slow both ways again");
    wait_for("the link is fast again", || fastest(&lab, "a", "b") < 40.0);
}

#[test]
fn the_control_socket_takes_the_words_of_the_file() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let socket = lab.state().join(&lab.name).join("control.sock");
    let curl = |body: &str| {
        let output = std::process::Command::new("curl")
            .args(["-s", "-w", " %{http_code}", "-X", "PATCH", "--unix-socket"])
            .arg(&socket)
            .args(["-H", "content-type: application/json", "-d", body])
            .arg("http://lab/v1/links/a--b")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let answer = curl(r#"{"set": {"delay": "2ms", "forward": {"loss": "1%"}}}"#);
    assert!(answer.ends_with(" 200"), "{answer}");
    assert!(
        answer.contains(r#""forward":{"delay":"2ms","loss":"1%"}"#),
        "{answer}"
    );
    let answer = curl(r#"{"set": {"delay": "2"}}"#);
    assert!(answer.ends_with(" 400"), "{answer}");
}

#[test]
fn mistakes_are_named_and_change_nothing() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let before = lab.json(&["link", "--json", "a--b"]);
    for (arguments, words) in [
        (&["link", "a--c"][..], "no link `a--c`; did you mean `a--b`?"),
        (&["link", "a--b", "set", "dealy=3ms"], "did you mean `delay`?"),
        (&["link", "a--b", "set", "delay=1ms", "delay=2ms"], "given twice"),
        (&["link", "a--b", "set", "jitter=3ms"], "jitter 3ms is more than"),
        (&["link", "a--b", "set"], "for example"),
        (&["link", "a--b", "up", "delay=3ms"], "only `set` takes settings"),
    ] {
        let message = refused(&lab, 2, arguments);
        assert!(message.contains(words), "{arguments:?}: {message}");
    }
    let after = lab.json(&["link", "--json", "a--b"]);
    assert_eq!(after["forward"], before["forward"]);
    assert_eq!(after["backend"], before["backend"]);
}
