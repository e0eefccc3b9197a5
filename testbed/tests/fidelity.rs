//! What links really do: measured link by link, and composed paths against the paths they stand for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::Value;
use support::{Lab, root, text};

const CHAIN: &str = "
name: NAME
nodes:
  a: { kind: host }
  b: { kind: host }
  s: { kind: switch }
links:
  - { endpoints: [a, s], delay: 10ms, rate: 10mbit, queue: 50ms, backend: wire }
  - { endpoints: [s, b], delay: 3ms, loss: 5%, backend: wire }
";

/// One parameter of the direction from a node.
fn parameter<'a>(fidelity: &'a Value, link: &str, from: &str, name: &str) -> &'a Value {
    let links = fidelity["links"].as_array().unwrap();
    let link = links.iter().find(|it| it["link"] == link).unwrap();
    let directions = link["directions"].as_array().unwrap();
    let direction = directions.iter().find(|it| it["from"] == from);
    let direction = direction.unwrap_or_else(|| panic!("not measured: {link}"));
    let parameters = direction["parameters"].as_array().unwrap();
    parameters.iter().find(|it| it["name"] == name).unwrap()
}

fn measured(parameter: &Value) -> f64 {
    parameter["measured"]
        .as_f64()
        .unwrap_or_else(|| panic!("{parameter}"))
}

#[test]
fn every_link_is_measured_alone_and_a_lie_is_seen() {
    if !root() {
        return;
    }
    let lab = Lab::new(CHAIN);
    lab.up();
    let file = lab.directory.path().join("fidelity.json");
    let verify = |links: &[&str]| -> (Option<i32>, Value) {
        let fixed = ["verify", "-l", &lab.name, "--json", "-o", file.to_str().unwrap()];
        let output = lab.run(&[&fixed, links].concat());
        let printed = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
        let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(written, printed);
        (output.status.code(), printed)
    };
    let (_, honest) = verify(&[]);
    // Far enough from each other to see that no link is measured through the other one, also on a busy machine.
    for (link, from, asked) in [
        ("a--s", "a", 10.0),
        ("a--s", "s", 10.0),
        ("s--b", "s", 3.0),
        ("s--b", "b", 3.0),
    ] {
        let delay = parameter(&honest, link, from, "delay");
        assert_eq!(delay["asked"], asked);
        assert!(
            (asked - 0.1..asked + 2.9).contains(&measured(delay)),
            "{link} from {from}: {delay}"
        );
        let loss = parameter(&honest, link, from, "loss");
        assert_eq!(loss["verdict"], "good", "{link} from {from}: {loss}");
        assert_eq!(parameter(&honest, link, from, "mtu")["verdict"], "good");
    }
    let rate = measured(parameter(&honest, "a--s", "a", "rate"));
    assert!((9.5..10.2).contains(&rate), "{rate} Mbit/s for 10");

    // A user's own qdisc at the node's end: the lab knows nothing of it, but the packets do.
    let exec = ["exec", "-l", &lab.name, "a", "--"];
    let limit = [
        "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "2mbit", "burst", "5000", "limit",
        "20000",
    ];
    lab.ok(&[&exec[..], &limit].concat());
    let (code, lie) = verify(&["s--a"]);
    assert_eq!(code, Some(1));
    assert_eq!(lie["good"], false);
    assert_eq!(lie["links"].as_array().unwrap().len(), 1);
    let rate = parameter(&lie, "a--s", "a", "rate");
    assert_eq!(rate["verdict"], "off");
    assert!(measured(rate) < 2.5, "{rate}");

    let unknown = lab.run(&["verify", "-l", &lab.name, "a--t"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        text(&unknown).contains("did you mean `a--s`?"),
        "{}",
        text(&unknown)
    );
}

const PATH: &str = "
name: NAME
MODE
nodes:
  a: { kind: host }
  b: { kind: host }
  s: { kind: switch }
  r: { kind: router }
links:
  - { endpoints: [a, s], delay: 4ms, loss: 4% }
  - { endpoints: [s, r], delay: 6ms, jitter: 1ms, loss: 3%, rate: 50mbit }
  - { endpoints: [r, b], delay: 5ms }
";

/// Fastest round trip in milliseconds, and how many of 300 echoes came back.
fn ping(lab: &Lab) -> (f64, usize) {
    let output = lab.run(&[
        "exec", "-l", &lab.name, "a", "--", "ping", "-i", "0.01", "-c", "300", "-W", "1", "b",
    ]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let times: Vec<f64> = printed
        .lines()
        .filter_map(|line| line.split_once("time="))
        .map(|(_, rest)| rest.split(' ').next().unwrap().parse().unwrap())
        .collect();
    (times.iter().copied().fold(f64::INFINITY, f64::min), times.len())
}

#[test]
fn a_composed_path_does_what_the_whole_path_did() {
    if !root() {
        return;
    }
    let full = Lab::new(&PATH.replace("MODE\n", ""));
    let collapsed = Lab::new(&PATH.replace("MODE", "mode: collapsed"));
    let mut seen = Vec::new();
    for lab in [&full, &collapsed] {
        lab.up();
        let (fastest, arrived) = ping(lab);
        // 2 × 15 ms, less two jitters of 1 ms at most.
        assert!((28.0..32.0).contains(&fastest), "{fastest} ms");
        // (0.96 × 0.97)² of 300 are 260.1; four deviations are 23.5.
        assert!((237..=283).contains(&arrived), "{arrived} of 300");
        seen.push(fastest);
    }
    assert!((seen[0] - seen[1]).abs() < 2.0, "{seen:?}");
    let detail = collapsed.json(&["inspect", "-l", &collapsed.name, "--json"]);
    assert_eq!(detail["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(detail["links"][0]["forward"]["delay"], "15ms");
    // Both drawings are of what runs.
    let drawn = collapsed.ok(&["graph", "-l", &collapsed.name, "--format", "mermaid"]);
    assert!(
        drawn.contains("n0 ---|\"15 ms ± 1 ms · 50 Mbit/s · 6.88 % loss\"| n1"),
        "{drawn}"
    );
}
