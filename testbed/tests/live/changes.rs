//! `apply` and `move`: a running lab becomes another one.

use crate::support::{Lab, federation, kill, root, wait_for};
use crate::{fastest, ping, refused};

const PAIR: &str = "
name: NAME
nodes: { a: { kind: host }, b: { kind: host, pids: 100 }, s: { kind: switch } }
links:
  - { endpoints: [a, s], delay: 5ms }
  - { endpoints: [b, s] }
";

/// The lab's file with other words in it.
fn edit(lab: &Lab, replacements: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(lab.file()).unwrap();
    for (old, new) in replacements {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    let file = lab.directory.path().join("changed.yaml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn only_what_differs_is_touched() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    lab.ok(&["exec", "b", "--", "true"]);
    let pids = || {
        let detail = lab.json(&["inspect", "--json"]);
        detail["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["pid"].clone())
            .collect::<Vec<_>>()
    };
    let before = pids();
    let file = edit(&lab, &[("delay: 5ms", "delay: 20ms"), ("pids: 100", "pids: 200")]);
    let plan =
        "link a--s: → delay 5ms ⇒ delay 20ms; ← delay 5ms ⇒ delay 20ms\nlimits of b: pids 100 ⇒ pids 200\n";
    assert_eq!(
        lab.ok(&["apply", "--dry-run", &file]),
        format!("{plan}2 changes to make\n")
    );
    assert!(fastest(&lab, "a", "b") < 20.0, "nothing has been touched");
    assert_eq!(lab.ok(&["apply", &file]), format!("{plan}2 changes made\n"));
    assert!(fastest(&lab, "a", "b") >= 40.0);
    let detail = lab.json(&["inspect", "--json"]);
    assert_eq!(detail["nodes"][1]["limits"]["pids"], 200);
    assert_eq!(pids()[1], before[1], "the node went on");
    assert_eq!(
        lab.ok(&["apply", &file]),
        format!("{} is what the file says\n", lab.name)
    );
    // `reset` goes back to the file that was applied last.
    lab.ok(&["link", "a--s", "set", "delay=1ms"]);
    let link = lab.json(&["link", "--json", "a--s", "reset"]);
    assert_eq!(link["forward"]["delay"], "20ms");
}

#[test]
fn what_cannot_be_changed_is_refused_before_anything_is_touched() {
    if !root() {
        return;
    }
    let lab = Lab::new(PAIR);
    lab.up();
    let file = edit(
        &lab,
        &[
            ("delay: 5ms", "delay: 20ms"),
            ("s: { kind: switch }", "s: { kind: switch }, c: { kind: host }"),
            ("b: { kind: host, pids: 100 }", "b: { kind: client }"),
        ],
    );
    let message = refused(&lab, 2, &["apply", &file]);
    assert!(message.contains("is left as it is"), "{message}");
    assert!(message.contains("node b: its `kind` differs"), "{message}");
    assert!(message.contains("node c: it is new"), "{message}");
    let link = lab.json(&["link", "--json", "a--s"]);
    assert_eq!(link["forward"]["delay"], "5ms");
}

#[test]
fn a_node_whose_functions_differ_is_the_only_one_restarted() {
    if !federation() {
        return;
    }
    let lab = Lab::new(
        "
name: NAME
nodes:
  n1: { kind: dfaas, functions: { figlet: { maxrate: 10 } } }
  n2: { kind: dfaas, functions: { figlet: { maxrate: 10 } } }
links: [{ endpoints: [n1, n2] }]
",
    );
    lab.up();
    let pids = || {
        let detail = lab.json(&["inspect", "--json"]);
        [0, 1].map(|number| detail["nodes"][number]["pid"].clone())
    };
    let before = pids();
    let file = edit(
        &lab,
        &[(
            "n2: { kind: dfaas, functions: { figlet",
            "n2: { kind: dfaas, functions: { shasum: {}, figlet",
        )],
    );
    let said = lab.ok(&["apply", &file]);
    assert_eq!(said, "restart n2: its functions differ\n1 change made\n");
    let after = pids();
    assert_eq!(after[0], before[0], "n1 goes on");
    assert_ne!(after[1], before[1]);
    assert!(!lab.ok(&["invoke", "n2", "shasum", "-d", "x"]).is_empty());

    // Killed in the middle of it, the lab leaves nothing behind.
    let applying = lab.spawn(&["apply", lab.file().to_str().unwrap()]);
    wait_for("the node is being restarted", || pids()[1] != after[1]);
    let processes = lab.processes();
    kill(lab.supervisor_pid(), nix::sys::signal::Signal::SIGKILL);
    applying.wait_with_output().unwrap();
    wait_for("all processes end", || {
        processes.iter().all(|pid| !crate::support::is_running(*pid))
    });
    lab.ok(&["down"]);
    lab.assert_gone(&processes);
}

const ROAMING: &str = "
name: NAME
nodes:
  user: { kind: client }
  far: { kind: host }
  s1: { kind: switch }
  s2: { kind: switch }
  alone: { kind: switch }
links:
  - { endpoints: [user, s1], delay: 1ms }
  - { endpoints: [s1, s2], delay: 10ms }
  - { endpoints: [far, s2] }
";

#[test]
fn a_client_keeps_its_address_at_another_access_point() {
    if !root() {
        return;
    }
    let lab = Lab::new(ROAMING);
    lab.up();
    let address = || {
        lab.ok(&[
            "exec",
            "user",
            "--",
            "sh",
            "-c",
            "cat /sys/class/net/eth0/address; hostname",
        ])
    };
    let before = (
        address(),
        lab.json(&["inspect", "--json"])["nodes"][0]["addresses"].clone(),
    );
    assert!(fastest(&lab, "user", "far") >= 22.0, "over both switches");

    let began = std::time::Instant::now();
    let link = lab.json(&["move", "--json", "user", "s2", "--gap", "300ms"]);
    assert!(began.elapsed().as_millis() >= 300);
    assert_eq!(link["name"], "user--s2");
    assert_eq!(link["forward"]["delay"], "1ms", "it keeps its impairments");
    let near = fastest(&lab, "user", "far");
    assert!((2.0..20.0).contains(&near), "over one switch: {near}");
    // From the other side as well: the switches have learnt the way.
    assert_eq!(ping(&lab, "far", "user", 3).len(), 3);
    let after = (
        address(),
        lab.json(&["inspect", "--json"])["nodes"][0]["addresses"].clone(),
    );
    assert_eq!(after, before);

    // Changes follow it, and it can go back.
    lab.ok(&["link", "user--s2", "set", "delay=5ms"]);
    assert_eq!(
        lab.json(&["move", "--json", "user", "s1"])["forward"]["delay"],
        "5ms"
    );
    assert!(fastest(&lab, "far", "user") >= 30.0);
    assert!(refused(&lab, 5, &["move", "user", "alone"]).contains("another network"));
    assert!(refused(&lab, 5, &["move", "user", "far"]).contains("from switch to switch"));
    let processes = lab.processes();
    lab.ok(&["down"]);
    lab.assert_gone(&processes);
}
