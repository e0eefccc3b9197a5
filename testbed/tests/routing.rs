//! Labs whose packets find their way over several routers, in both address families, and ways out of a lab.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};

use support::{Lab, root, text};

/// Six routers in a ring, with a host at every other one and a chord that makes some ways shorter.
const RING: &str = "
name: NAME
nodes:
  r{i}: { kind: router, count: 6 }
  h1: { kind: host }
  h3: { kind: host }
  h5: { kind: host }
links:
  - { endpoints: [r1, r2] }
  - { endpoints: [r2, r3] }
  - { endpoints: [r3, r4] }
  - { endpoints: [r4, r5] }
  - { endpoints: [r5, r6] }
  - { endpoints: [r6, r1] }
  - { endpoints: [r2, r5] }
  - { endpoints: [h1, r1] }
  - { endpoints: [h3, r3] }
  - { endpoints: [h5, r5] }
";

/// Four routers that all know each other; behind one of them a host that forwards for another, and a switch with two hosts.
const MESH: &str = "
name: NAME
nodes:
  r{i}: { kind: router, count: 4 }
  gate: { kind: host, forward: true }
  far: { kind: host }
  s: { kind: switch }
  h1: { kind: host }
  h2: { kind: host }
links:
  - { endpoints: [r1, r2] }
  - { endpoints: [r1, r3] }
  - { endpoints: [r1, r4] }
  - { endpoints: [r2, r3] }
  - { endpoints: [r2, r4] }
  - { endpoints: [r3, r4] }
  - { endpoints: [gate, r1] }
  - { endpoints: [far, gate] }
  - { endpoints: [s, r4] }
  - { endpoints: [h1, s] }
  - { endpoints: [h2, s] }
";

/// The addresses of a node, of both families.
fn addresses(lab: &Lab) -> Vec<(String, Vec<IpAddr>)> {
    let detail = lab.json(&["inspect", "-l", &lab.name, "--json"]);
    let nodes = detail["nodes"].as_array().unwrap();
    let address =
        |text: &serde_json::Value| text.as_str().unwrap().split('/').next().unwrap().parse().unwrap();
    nodes
        .iter()
        .map(|node| {
            let list = node["addresses"].as_array().unwrap();
            (
                node["name"].as_str().unwrap().to_owned(),
                list.iter().map(address).collect(),
            )
        })
        .collect()
}

/// Every named node reaches every address of every node. Returns how many pairs were tried.
fn assert_all_reach_all(lab: &Lab, from: &[&str]) -> usize {
    let targets: Vec<IpAddr> = addresses(lab)
        .into_iter()
        .flat_map(|(_, addresses)| addresses)
        .collect();
    assert!(targets.iter().any(IpAddr::is_ipv4) && targets.iter().any(IpAddr::is_ipv6));
    for node in from {
        let pings: String = targets
            .iter()
            .map(|target| format!("ping -q -n -c 1 -W 5 {target} > /dev/null || echo {target}\n"))
            .collect();
        let failed = lab.ok(&["exec", "-l", &lab.name, node, "--", "sh", "-c", &pings]);
        assert_eq!(failed, "", "{node} does not reach these");
    }
    from.len() * targets.len()
}

/// How many routers a packet passes, told by what is left of its 64 hops.
fn hops(lab: &Lab, from: &str, to: &IpAddr) -> u32 {
    let output = lab.ok(&[
        "exec",
        "-l",
        &lab.name,
        from,
        "--",
        "ping",
        "-n",
        "-c",
        "1",
        &to.to_string(),
    ]);
    let (_, rest) = output.split_once("ttl=").unwrap();
    64 - rest.split(' ').next().unwrap().parse::<u32>().unwrap()
}

#[test]
fn a_ring_of_routers_is_passed_the_shorter_way() {
    if !root() {
        return;
    }
    let lab = Lab::new(RING);
    lab.up();
    assert!(assert_all_reach_all(&lab, &["h1", "h3", "h5", "r2"]) > 60);
    let all = addresses(&lab);
    let of = |name: &str| all.iter().find(|(node, _)| node == name).unwrap().1.clone();
    for target in of("h5") {
        // r1, r6, r5 or r1, r2, r5: three either way; from h3 over the chord: r3, r2 or r4, r5.
        assert_eq!(hops(&lab, "h1", &target), 3, "{target}");
        assert_eq!(hops(&lab, "h3", &target), 3, "{target}");
    }
    lab.ok(&["down"]);
}

#[test]
fn a_mesh_of_routers_with_a_forwarding_host_and_a_switch() {
    if !root() {
        return;
    }
    let lab = Lab::new(MESH);
    lab.up();
    assert!(assert_all_reach_all(&lab, &["far", "h1", "h2", "r3"]) > 60);
    let all = addresses(&lab);
    for target in &all.iter().find(|(node, _)| node == "far").unwrap().1 {
        // r4, r1 and the host that forwards.
        assert_eq!(hops(&lab, "h1", target), 3, "{target}");
    }
    lab.ok(&["down"]);
}

#[test]
fn a_host_that_does_not_forward_is_a_dead_end() {
    if !root() {
        return;
    }
    let lab = Lab::new(&MESH.replace(", forward: true", ""));
    lab.up();
    let all = addresses(&lab);
    let target = all.iter().find(|(node, _)| node == "h1").unwrap().1[0].to_string();
    let output = lab.run(&[
        "exec", "-l", &lab.name, "far", "--", "ping", "-n", "-c", "1", "-W", "1", &target,
    ]);
    assert!(!output.status.success(), "{}", text(&output));
    lab.ok(&["down"]);
}

#[test]
fn an_uplink_leads_to_the_named_port_of_this_machine_and_to_no_other() {
    if !root() {
        return;
    }
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let lab = Lab::new(
        &"
name: NAME
nodes:
  a: { kind: host, uplink: ['7000:PORT'] }
  b: { kind: host }
links:
  - { endpoints: [a, b] }
"
        .replace("PORT", &port(&open).to_string()),
    );
    lab.up();
    let talk = |node: &str, port: u16| {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo hello >&3 && cat <&3");
        lab.spawn(&["exec", "-l", &lab.name, node, "--", "bash", "-c", &script])
    };
    let inside = talk("a", 7000);
    let (mut outside, _) = open.accept().unwrap();
    let mut word = [0; 6];
    outside.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"hello\n");
    outside.write_all(b"and back").unwrap();
    drop(outside);
    let output = inside.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), &*output.stdout),
        (Some(0), &b"and back"[..]),
        "{}",
        text(&output)
    );

    // Another node, and another port of this machine: nobody is there.
    for (node, port) in [("b", 7000), ("a", port(&closed)), ("a", port(&open))] {
        let output = talk(node, port).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{node} {port}: {}", text(&output));
    }
    lab.ok(&["down"]);
}
