//! `partition` and `heal`: exactly the paths between the groups are cut.

use serde_json::json;

use crate::support::{Lab, root};
use crate::{ping, refused};

/// Two nodes on one switch, two more behind a router, one link impaired and so perhaps carried by the engine.
const LAB: &str = "
name: NAME
nodes:
  a: { kind: host }
  b: { kind: host }
  c: { kind: host }
  d: { kind: host }
  s: { kind: switch }
  r: { kind: router }
links:
  - { endpoints: [a, s] }
  - { endpoints: [b, s], delay: 1ms }
  - { endpoints: [r, s] }
  - { endpoints: [r, c] }
  - { endpoints: [r, d], delay: 1ms }
";

/// Which of the ordered pairs reach each other, by IPv4 and IPv6 alike.
fn cut(lab: &Lab, nodes: &[&str]) -> Vec<String> {
    let detail = lab.json(&["inspect", "--json"]);
    let addresses = |node: &str| -> Vec<String> {
        let nodes = detail["nodes"].as_array().unwrap();
        let found = nodes.iter().find(|it| it["name"] == node).unwrap();
        let all = found["addresses"].as_array().unwrap().iter();
        all.map(|it| it.as_str().unwrap().split('/').next().unwrap().to_owned())
            .collect()
    };
    let mut cut = Vec::new();
    for from in nodes {
        for to in nodes.iter().filter(|to| *to != from) {
            let answers: Vec<bool> = addresses(to)
                .iter()
                .map(|address| !ping(lab, from, address, 1).is_empty())
                .collect();
            let reached = answers.iter().filter(|it| **it).count();
            assert!(
                reached == 0 || reached == answers.len(),
                "{from} reaches only some addresses of {to}: {answers:?}"
            );
            if reached == 0 {
                cut.push(format!("{from}{to}"));
            }
        }
    }
    cut
}

#[test]
fn only_the_paths_between_the_groups_are_cut() {
    if !root() {
        return;
    }
    let lab = Lab::new(LAB);
    lab.up();
    let all = ["a", "b", "c"];
    assert_eq!(cut(&lab, &all), [""; 0]);

    // On one switch.
    assert_eq!(lab.ok(&["partition", "a", "/", "b"]), "a / b\n");
    assert_eq!(cut(&lab, &all), ["ab", "ba"]);
    // And over the router as well, as a second partition.
    let both = lab.json(&["partition", "--json", "a,b / c"]);
    assert_eq!(
        both,
        json!([{ "groups": [["a"], ["b"]] }, { "groups": [["a", "b"], ["c"]] }])
    );
    assert_eq!(cut(&lab, &all), ["ab", "ac", "ba", "bc", "ca", "cb"]);
    assert_eq!(ping(&lab, "a", "d", 1).len(), 1, "d is in no group");
    let shown = lab.ok(&["inspect"]);
    assert!(shown.contains("partition: a, b / c"), "{shown}");

    assert_eq!(lab.ok(&["heal", "a / b"]), "a, b / c\n");
    assert_eq!(cut(&lab, &all), ["ac", "bc", "ca", "cb"]);
    assert_eq!(lab.ok(&["heal"]), "no partition\n");
    assert_eq!(cut(&lab, &all), [""; 0]);
}

#[test]
fn a_router_that_is_cut_off_still_forwards() {
    if !root() {
        return;
    }
    let lab = Lab::new(LAB);
    lab.up();
    lab.ok(&["partition", "r / a"]);
    assert_eq!(cut(&lab, &["a", "r", "c"]), ["ar", "ra"]);
}

#[test]
fn groups_that_are_none_are_refused() {
    if !root() {
        return;
    }
    let lab = Lab::new(LAB);
    lab.up();
    for (groups, words) in [
        ("a,b", "two groups of nodes or more"),
        ("a / ", "none of them empty"),
        ("a / a", "`a` is in the partition twice"),
        ("a / s", "`s` is a switch"),
        ("a / bb", "no node `bb`; did you mean `b`?"),
    ] {
        let message = refused(&lab, 2, &["partition", groups]);
        assert!(message.contains(words), "{groups}: {message}");
    }
    assert!(refused(&lab, 2, &["heal", "a / b"]).contains("there is no partition a / b"));
    assert_eq!(lab.ok(&["partition"]), "no partition\n");
}
