use super::*;
use crate::{Loader, load_topology};

const LAB: &str = "
name: lab
nodes:
  n1: { kind: dfaas, functions: { figlet: { maxrate: 10 } }, cpus: 0.5 }
  n2: { kind: dfaas }
  s1: { kind: switch }
links:
  - { endpoints: [n1, s1], delay: 5ms }
  - { endpoints: [n2, s1] }
";

/// The text of a topology, and that of every other file.
struct Text(String, &'static str);

impl Loader for Text {
    fn load(&self, path: &str) -> Result<String, String> {
        let is_topology = path.ends_with(".yaml");
        Ok(if is_topology {
            self.0.clone()
        } else {
            self.1.to_owned()
        })
    }
}

fn topology(replacements: &[(&str, &str)]) -> Topology {
    let mut text = LAB.to_owned();
    for (old, new) in replacements {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    with_file(&text, "")
}

fn with_file(text: &str, file: &'static str) -> Topology {
    load_topology("lab.yaml", &Text(text.to_owned(), file), &[]).unwrap()
}

/// Both as a running lab sees them.
fn settled(replacements: &[(&str, &str)]) -> [Topology; 2] {
    both(topology(&[]), topology(replacements))
}

fn both(running: Topology, wanted: Topology) -> [Topology; 2] {
    let plan = crate::plan(&running).unwrap();
    let wanted = wanted.settled(&running, &plan);
    [running.clone().settled(&running, &plan), wanted]
}

fn plan(replacements: &[(&str, &str)]) -> Vec<String> {
    steps(settled(replacements))
}

/// Those of all stages.
fn steps([mut running, wanted]: [Topology; 2]) -> Vec<String> {
    let mut steps = Vec::new();
    for stage in stages(&running, wanted) {
        steps.extend(changes(&running, &stage).unwrap());
        running = stage;
    }
    steps.iter().map(ToString::to_string).collect()
}

fn refused(replacements: &[(&str, &str)]) -> Vec<String> {
    let [running, wanted] = settled(replacements);
    let refused = changes(&running, &wanted).unwrap_err();
    refused.iter().map(ToString::to_string).collect()
}

#[test]
fn only_what_differs_is_a_step_and_the_mild_ones_come_first() {
    assert_eq!(plan(&[]), [""; 0]);
    let steps = plan(&[
        ("maxrate: 10", "maxrate: 20"),
        ("cpus: 0.5", "memory: 1GiB"),
        ("delay: 5ms", "delay: 5ms, forward: { loss: 1% }"),
    ]);
    assert_eq!(
        steps,
        [
            "link n1--s1: → delay 5ms ⇒ delay 5ms, loss 1%",
            "limits of n1: cpus 0.5 ⇒ memory 1GiB",
            "restart n1: other functions",
        ]
    );
    assert_eq!(
        plan(&[("n2: { kind: dfaas }", "n2: { kind: dfaas, labels: { a: b } }")]),
        ["labels of n2"]
    );
}

#[test]
fn what_cannot_be_done_is_named_all_at_once_with_the_remedy() {
    let reasons = refused(&[("name: lab", "name: lap\nseed: 9")]);
    assert_eq!(
        reasons,
        [
            "lab lab: the file is of lab `lap`; give it the `name` of this one, or `up` it beside this one"
                .to_owned(),
            "lab lab: its seed changes from 42 to 9, and with it all keys and random streams; take the lab down, then `up` this file"
                .to_owned(),
        ]
    );
}

#[test]
fn a_container_comes_and_goes_or_is_made_anew_or_only_starts_again() {
    let container = |keys: &str| format!("n2: {{ kind: host, driver: docker, image: x{keys} }}");
    let between = |before: &str, after: &str| {
        let native = "n2: { kind: dfaas }";
        let [before, after] = [before, after].map(|it| topology(&[(native, it)]));
        steps(both(before, after))
    };
    let replaced = [
        "remove link n2--s1",
        "remove node n2",
        "add node n2 (host)",
        "add link n2--s1 (n2:eth0 to s1:n2)",
    ];
    assert_eq!(between("n2: { kind: host }", &container("")), replaced);
    assert_eq!(between(&container(""), "n2: { kind: host }"), replaced);
    // Its network is the runtime's.
    assert_eq!(between(&container(""), &container(", oci_runtime: y")), replaced);
    assert_eq!(
        between(
            &container(", env: { A: a }"),
            &container("y, command: [z], exec: [w]")
        ),
        ["make the container of n2 anew: other image, command, env, exec"]
    );
    assert_eq!(
        between(&container(""), &container(", exec: [w], pids: 9")),
        ["limits of n2: none ⇒ pids 9", "restart n2: other exec"]
    );
    let two = format!(
        "{}\n  n3: {{ kind: host, driver: docker, build: z }}",
        container("")
    );
    assert_eq!(between(&container(""), &two), ["add node n3 (host)"]);
    assert_eq!(between(&two, &container("")), ["remove node n3"]);
}

#[test]
fn ways_in_and_out_and_what_watches_are_steps_of_their_own() {
    let steps = plan(&[
        (
            "name: lab",
            "name: lab\nmonitoring: { prometheus: true, scrape_interval: 2s }",
        ),
        (
            "n2: { kind: dfaas }",
            "n2: { kind: dfaas, ports: [\"8081:80\"], uplink: [53], forward: true }",
        ),
    ]);
    assert_eq!(
        steps,
        [
            "monitoring: none ⇒ every 2s",
            "n2 begins to forward packets",
            "ports of n2: none ⇒ 127.0.0.1:8081 → 80",
            "uplink of n2: none ⇒ 53 → 127.0.0.1:53",
        ]
    );
}

#[test]
fn a_node_of_another_kind_goes_before_it_comes() {
    let replaced = [("n2: { kind: dfaas }", "n2: { kind: client }")];
    let expected = [
        "remove link n2--s1",
        "remove node n2",
        "add node n2 (client)",
        "add link n2--s1 (n2:eth0 to s1:n2)",
    ];
    assert_eq!(plan(&replaced), expected);
    let [running, wanted] = settled(&replaced);
    assert_eq!(
        interfaces(&running, "n2"),
        interfaces(&wanted, "n2"),
        "it is reached as before"
    );
}

#[test]
fn what_is_fixed_about_an_interface_makes_its_link_anew() {
    let steps = plan(&[(
        "n2: { kind: dfaas }",
        "n2: { kind: dfaas, interfaces: { eth0: { mac: \"02:00:00:00:00:09\" } } }",
    )]);
    assert_eq!(steps, ["make link n2--s1 anew: other interfaces"]);
}

#[test]
fn what_is_in_a_file_counts_and_not_its_name() {
    let link = |keys: &str| LAB.replace("[n2, s1] }", &format!("[n2, s1], {keys} }}"));
    let steps = |keys: &str, files: [&'static str; 2]| {
        let [running, wanted] = files.map(|file| with_file(&link(keys), file));
        steps(both(running, wanted))
    };
    let traces = ["time,delay\n0,1ms\n1,2ms\n", "time,delay\n0,1ms\n1,3ms\n"];
    let trace = "trace: link.csv";
    assert_eq!(steps(trace, traces), ["make link n2--s1 anew: other trace"]);
    assert_eq!(steps(trace, [traces[0]; 2]), [""; 0]);
    let table = "delay: 9ms, jitter: 1ms, distribution_table: jitter.dist";
    let way = "delay 9ms, jitter 1ms, distribution table with other values";
    assert_eq!(
        steps(table, ["-8192 8192", "-8192 0 8192"]),
        [format!("link n2--s1: → {way}; ← {way}")]
    );
}

#[test]
fn nodes_and_links_come_and_go() {
    let steps = plan(&[
        ("  n2: { kind: dfaas }\n", "  n3: { kind: host }\n"),
        ("[n2, s1]", "[n3, s1]"),
        ("delay: 5ms", "delay: 5ms, mtu: 1400"),
    ]);
    assert_eq!(
        steps,
        [
            "remove link n2--s1",
            "remove node n2",
            "add node n3 (host)",
            "add link n3--s1 (n3:eth0 to s1:n3)",
            "make link n1--s1 anew: other mtu",
        ]
    );
}

/// The interfaces of a node with their addresses, as planned.
fn interfaces(topology: &Topology, node: &str) -> Vec<String> {
    let plan = crate::plan(topology).unwrap();
    let interfaces = &plan.node(node).unwrap().interfaces;
    interfaces
        .iter()
        .map(|it| format!("{} {} {:?}", it.name, it.addresses[0], it.mac))
        .collect()
}

#[test]
fn what_stays_keeps_its_interfaces_and_addresses() {
    let text = "links:\n";
    let first = "links:\n  - { endpoints: [n0, n2] }\n  - { endpoints: [n0, s1] }\n";
    let [running, wanted] = settled(&[("nodes:\n", "nodes:\n  n0: { kind: host }\n"), (text, first)]);
    assert_eq!(interfaces(&running, "n1"), interfaces(&wanted, "n1"));
    // Its new link is the first of the file, and yet its second interface: its address stays.
    let [old, new] = [&running, &wanted].map(|it| interfaces(it, "n2"));
    assert_eq!(old, new[..1]);
    assert!(new[1].starts_with("eth1 10.0.1."), "{new:?}");
    let macs: std::collections::HashSet<[u8; 6]> = (0..4)
        .flat_map(|link| [0, 1].map(|end| crate::plan::addresses::mac(&wanted, link, end)))
        .collect();
    assert_eq!(macs.len(), 8, "no hardware address is given twice");
    assert!(interfaces(&wanted, "n0")[1].contains("10.0.0.3/24"));
}
