//! What is planned.

use std::collections::HashSet;

use dfaas_model::{Action, Plan, Service, Topology, plan};
use insta::assert_snapshot;
use proptest::prelude::*;

use crate::common::topology;

fn planned(text: &str) -> Plan {
    plan(&topology(text)).unwrap()
}

fn routes(plan: &Plan) -> Vec<String> {
    plan.steps()
        .filter(|step| matches!(step.action, Action::AddRoute { destination, .. } if destination.addr().is_ipv4()))
        .map(|step| step.action.to_string())
        .collect()
}

fn addresses(plan: &Plan) -> Vec<String> {
    let first = |node: &dfaas_model::PlannedNode| {
        node.interfaces
            .iter()
            .filter_map(|own| Some(own.addresses.first()?.to_string()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    plan.nodes()
        .map(|node| format!("{}: {}", node.name, first(node)))
        .collect()
}

#[test]
fn a_plan_can_be_read() {
    assert_snapshot!(planned(
        "name: readable
seed: 7
nodes:
  n1: { kind: dfaas, functions: { figlet: {} }, ports: [\"8081:80\"], cpus: 0.5, memory: 512MiB, pids: 100 }
  h1: { kind: host, exec: [\"sysctl -w net.ipv4.tcp_congestion_control=reno\"] }
  r1: { kind: router }
  s1: { kind: switch }
links:
  - { endpoints: [n1, s1], delay: 5ms, jitter: 1ms, rate: 100mbit }
  - { endpoints: [r1, s1], loss: 0.5%, mtu: 9000 }
  - { endpoints: [h1:uplink, r1], forward: { delay: 20ms }, backend: wire }
"
    ));
}

#[test]
fn steps_wait_for_what_they_need() {
    let plan = planned(
        "nodes:
  n1: { kind: dfaas, cpus: 1, ports: [\"8081:80\"], exec: [\"true\"] }
  s1: { kind: switch }
links:
  - { endpoints: [n1, s1] }
",
    );
    let place =
        |wanted: &dyn Fn(&Action) -> bool| plan.steps().position(|step| wanted(&step.action)).unwrap();
    let order = [
        place(&|action| matches!(action, Action::CreateNamespace { namespace, .. } if namespace == "wire")),
        place(&|action| matches!(action, Action::CreateLink { .. })),
        place(&|action| matches!(action, Action::RaiseBridge { .. })),
        place(&|action| matches!(action, Action::StartNode { .. })),
        place(&|action| matches!(action, Action::RunCommand { .. })),
        place(&|action| {
            matches!(
                action,
                Action::StartService {
                    service: Service::Haproxy,
                    ..
                }
            )
        }),
        place(&|action| {
            matches!(
                action,
                Action::StartService {
                    service: Service::Agent,
                    ..
                }
            )
        }),
        place(&|action| matches!(action, Action::PublishPort { .. })),
        place(&|action| matches!(action, Action::AwaitReady { .. })),
    ];
    let reached = |from: usize, to: usize| {
        let steps: Vec<_> = plan.steps().collect();
        let mut waiting = vec![to];
        while let Some(step) = waiting.pop() {
            if step == from {
                return true;
            }
            waiting.extend(&steps[step].after);
        }
        false
    };
    for pair in order.windows(2) {
        assert!(
            reached(pair[0], pair[1]),
            "step {} must wait for step {}",
            pair[1],
            pair[0]
        );
    }
    let limit = place(&|action| matches!(action, Action::LimitNode { .. }));
    assert!(reached(limit, order[3]), "limits come before processes");
}

#[test]
fn waves_hold_only_steps_whose_needs_are_in_earlier_ones() {
    let plan = planned("nodes:\n  a: { kind: dfaas }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n");
    let mut done = HashSet::new();
    let levels = plan.levels();
    assert!(levels.len() > 4);
    for level in levels {
        assert!(
            level
                .iter()
                .all(|step| step.after.iter().all(|id| done.contains(id)))
        );
        done.extend(level.iter().map(|step| step.id));
    }
    assert_eq!(done.len(), plan.steps().count());
}

#[test]
fn fixed_addresses_win_and_the_rest_of_the_segment_follows() {
    let plan = planned(
        "nodes:
  a: { kind: host }
  b: { kind: host, interfaces: { eth0: { addresses: [10.0.0.1/29, \"fd01::7/64\"], mac: \"02:00:00:00:00:07\" } } }
  c: { kind: host }
  d: { kind: host }
  s: { kind: switch }
links:
  - endpoints: [a, s]
  - endpoints: [b, s]
  - endpoints: [c, d]
",
    );
    assert_eq!(
        addresses(&plan),
        [
            "a: 10.0.0.2/29",
            "b: 10.0.0.1/29",
            "c: 10.0.1.1/24",
            "d: 10.0.1.2/24",
            "s: "
        ]
    );
    let b = &plan.node("b").unwrap().interfaces[0];
    assert_eq!(b.addresses[1].to_string(), "fd01::7/64");
    assert_eq!(b.mac, [2, 0, 0, 0, 0, 7]);
    assert_eq!(
        plan.node("a").unwrap().interfaces[0].addresses[1].to_string(),
        "fd01::1/64"
    );
}

#[test]
fn a_node_is_known_by_the_address_of_its_first_link() {
    let plan = planned(
        "nodes:\n  a: { kind: host }\n  b: { kind: host }\n  s: { kind: switch }\nlinks:\n  - endpoints: [a, s]\n  \
         - endpoints: [b, a]\n",
    );
    assert_eq!(plan.node("a").unwrap().address.unwrap().to_string(), "10.0.0.1");
    let names: Vec<String> = plan
        .hosts
        .iter()
        .map(|(address, name)| format!("{address} {name}"))
        .collect();
    assert_eq!(
        names,
        [
            "10.0.0.1 a",
            "fd00:dfaa:5::1 a",
            "10.0.1.2 b",
            "fd00:dfaa:5:1::2 b"
        ]
    );
    // b is only on the second segment, where a is 10.0.1.1.
    assert_eq!(routes(&plan), ["b  10.0.0.1/32 via 10.0.1.1"]);
}

#[test]
fn hosts_behind_one_router_have_a_default_route() {
    let plan = planned(
        "nodes:
  a: { kind: host }
  b: { kind: host }
  r: { kind: router }
  s: { kind: switch }
links:
  - endpoints: [a, s]
  - endpoints: [s, r]
  - endpoints: [r, b]
",
    );
    assert_eq!(
        routes(&plan),
        ["a  0.0.0.0/0 via 10.0.0.2", "b  0.0.0.0/0 via 10.0.1.2"]
    );
    let forwarding: Vec<&str> = plan
        .steps()
        .filter_map(|step| match &step.action {
            Action::CreateNamespace {
                namespace,
                forward: true,
                ..
            } => Some(namespace.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(forwarding, ["r"]);
}

/// A square of routers with a host at two opposite corners; `slow` delays one side.
fn square(slow: &str) -> Plan {
    planned(&format!(
        "nodes:
  a: {{ kind: host }}
  b: {{ kind: host }}
  r{{i}}: {{ kind: router, count: 4 }}
links:
  - endpoints: [a, r1]
  - {{ endpoints: [r1, r2], delay: {slow} }}
  - {{ endpoints: [r2, r3], delay: 1ms }}
  - {{ endpoints: [r1, r4], delay: 2ms }}
  - {{ endpoints: [r4, r3], delay: 1ms }}
  - endpoints: [r3, b]
"
    ))
}

#[test]
fn routes_take_the_least_delay() {
    // b is on the sixth segment, 10.0.5.0/24; r2 is 10.0.1.2 on the second, r4 is 10.0.3.2 on the fourth.
    let to_b = |plan: &Plan| {
        routes(plan)
            .into_iter()
            .find(|route| route.starts_with("r1  10.0.5.0/24"))
            .unwrap()
    };
    assert_eq!(to_b(&square("1ms")), "r1  10.0.5.0/24 via 10.0.1.2");
    assert_eq!(to_b(&square("9ms")), "r1  10.0.5.0/24 via 10.0.3.2");
}

#[test]
fn every_packet_arrives_without_a_loop() {
    for slow in ["1ms", "9ms"] {
        let plan = square(slow);
        let mut arrived = 0;
        for from in plan.nodes() {
            for to in plan.nodes().filter_map(|node| node.address) {
                assert!(follow(&plan, &from.name, to) <= 4, "{} → {to}", from.name);
                arrived += 1;
            }
        }
        assert_eq!(arrived, 36);
    }
}

/// Follows the planned routes from a node to an address; the number of hops.
fn follow(plan: &Plan, from: &str, to: std::net::IpAddr) -> usize {
    let owns = |node: &dfaas_model::PlannedNode, address| {
        node.interfaces
            .iter()
            .flat_map(|own| &own.addresses)
            .any(|own| own.addr() == address)
    };
    let mut here = plan.node(from).unwrap();
    for hops in 0..10 {
        if owns(here, to) {
            return hops;
        }
        let on_link = here
            .interfaces
            .iter()
            .flat_map(|own| &own.addresses)
            .any(|own| own.contains(&to));
        let next = if on_link {
            to
        } else {
            plan.steps()
                .filter_map(|step| match &step.action {
                    Action::AddRoute {
                        namespace,
                        destination,
                        via,
                    } if *namespace == here.name => destination
                        .contains(&to)
                        .then_some((destination.prefix_len(), *via)),
                    _ => None,
                })
                .max_by_key(|(prefix, _)| *prefix)
                .unwrap_or_else(|| panic!("{} has no route to {to}", here.name))
                .1
        };
        here = plan.nodes().find(|node| owns(node, next)).unwrap();
    }
    panic!("{from} → {to} goes in circles");
}

fn star(hosts: usize) -> Topology {
    topology(&format!(
        "name: star
nodes:
  s1: {{ kind: switch }}
  h{{i}}: {{ kind: host, count: {hosts} }}
links:
  - {{ endpoints: [\"h{{i}}\", s1], count: {hosts}, delay: 5ms }}
"
    ))
}

#[test]
fn a_thousand_hosts_fit_on_one_switch() {
    let lab = star(1000);
    let plan = plan(&lab).unwrap();
    let last = plan.node("h1000").unwrap();
    assert_eq!(last.interfaces[0].addresses[0].to_string(), "10.0.3.232/22");
    // Namespaces with the wire's own, links, two addresses each, what the switch knows, impairments, the bridge; no
    // neighbours.
    assert_eq!(plan.steps().count(), 1002 + 1000 + 2000 + 1000 + 1000 + 1);
}

#[test]
fn neighbour_entries_stop_before_they_explode() {
    let entries = |hosts| {
        let plan = plan(&star(hosts)).unwrap();
        plan.steps()
            .filter(|step| matches!(step.action, Action::AddNeighbour { .. }))
            .count()
    };
    assert_eq!(entries(64), 64 * 63 * 2);
    assert_eq!(entries(65), 0);
}

#[test]
fn on_a_large_segment_those_who_work_know_each_other() {
    let lab = topology(
        "name: crowd
nodes:
  s1: { kind: switch }
  h{i}: { kind: host, count: 100 }
  user: { kind: client }
  edge: { kind: router }
links:
  - { endpoints: [\"h{i}\", s1], count: 100 }
  - { endpoints: [user, s1] }
  - { endpoints: [edge, s1] }
",
    );
    let plan = plan(&lab).unwrap();
    let neighbours: Vec<String> = plan
        .steps()
        .filter_map(|step| match &step.action {
            Action::AddNeighbour {
                namespace, address, ..
            } if address.is_ipv4() => Some(format!("{namespace} {address}")),
            _ => None,
        })
        .collect();
    assert_eq!(neighbours, ["user 10.0.0.102", "edge 10.0.0.101"]);
    let answers = plan.steps().filter_map(|step| match &step.action {
        Action::AddForwarding { answers_for, .. } => *answers_for,
        _ => None,
    });
    assert_eq!(answers.count(), 102, "for the others the switch answers");
}

/// Switch, port and whose hardware address is behind it.
fn forwarding(lab: &Topology) -> Vec<String> {
    let plan = plan(lab).unwrap();
    let owner = |mac: &[u8; 6]| {
        let mut interfaces = plan
            .nodes()
            .flat_map(|node| node.interfaces.iter().map(move |interface| (node, interface)));
        interfaces
            .find(|(_, interface)| interface.mac == *mac)
            .map(|(node, interface)| format!("{}:{}", node.name, interface.name))
    };
    let entries = plan.steps().filter_map(|step| match &step.action {
        Action::AddForwarding {
            namespace,
            interface,
            mac,
            ..
        } => Some(format!("{namespace}:{interface} → {}", owner(mac)?)),
        _ => None,
    });
    entries.collect()
}

#[test]
fn every_switch_knows_the_way_to_every_interface() {
    let lab = topology(
        "name: tree
nodes:
  s{i}: { kind: switch, count: 4 }
  h{i}: { kind: host, count: 3 }
links:
  - { endpoints: [s1, s2] }
  - { endpoints: [s2, s3] }
  - { endpoints: [h1, s1] }
  - { endpoints: [s3, h2] }
  - { endpoints: [h3, s4] }
  - { endpoints: [h1, h3] }
",
    );
    assert_snapshot!(forwarding(&lab).join("\n"));
}

#[test]
fn switches_learn_where_there_is_too_much_to_know() {
    // A line of switches with one host each.
    let entries = |switches: usize| {
        let joints: String = (1..switches)
            .map(|switch| format!("  - {{ endpoints: [s{switch}, s{}] }}\n", switch + 1))
            .collect();
        forwarding(&topology(&format!(
            "name: long
nodes:
  s{{i}}: {{ kind: switch, count: {switches} }}
  h{{i}}: {{ kind: host, count: {switches} }}
links:
  - {{ endpoints: [\"h{{i}}\", \"s{{i}}\"], count: {switches} }}
{joints}"
        )))
        .len()
    };
    assert_eq!(entries(128), 128 * 128);
    assert_eq!(entries(129), 0);
}

/// Not asserted: a time depends on the machine. `--nocapture` shows it.
#[test]
fn the_time_for_a_thousand_written_nodes_is_printed() {
    let mut text = String::from("name: big\nnodes:\n  s1: { kind: switch }\n");
    for node in 1..=1000 {
        text.push_str(&format!("  h{node}: {{ kind: host, cpus: 0.1 }}\n"));
    }
    text.push_str("links:\n");
    for node in 1..=1000 {
        text.push_str(&format!(
            "  - {{ endpoints: [h{node}, s1], delay: 5ms, rate: 100mbit, loss: 0.1% }}\n"
        ));
    }
    let start = std::time::Instant::now();
    let lab = topology(&text);
    let read = start.elapsed();
    let plan = plan(&lab).unwrap();
    println!(
        "1000 hosts: read and checked in {read:?}, planned in {:?}",
        start.elapsed() - read
    );
    assert_eq!(plan.nodes().count(), 1001);
}

/// Some nodes (switches every third), and links between them that keep the rules.
fn arbitrary_lab() -> impl Strategy<Value = String> {
    let pairs = proptest::collection::vec((0_usize..12, 0_usize..12), 1..30);
    (4_usize..12, pairs).prop_map(|(count, pairs)| {
        let mut text = String::from("nodes:\n");
        for node in 0..count {
            let kind = ["host", "router", "switch"][node % 3];
            text.push_str(&format!("  n{node}: {{ kind: {kind} }}\n"));
        }
        text.push_str("links:\n");
        let is_switch = |node: usize| node % 3 == 2;
        for (number, (first, second)) in pairs.into_iter().enumerate() {
            let (first, second) = (first % count, second % count);
            if first != second && !(is_switch(first) && is_switch(second)) {
                text.push_str(&format!(
                    "  - {{ endpoints: [n{first}, n{second}], name: l{number}, delay: 1ms }}\n"
                ));
            }
        }
        text.replace("links:\n\n", "")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_lab_has_a_sound_plan(text in arbitrary_lab()) {
        let text = if text.ends_with("links:\n") { text.replace("links:\n", "") } else { text };
        let lab = topology(&text);
        let plan = plan(&lab).unwrap();
        prop_assert_eq!(&plan, &dfaas_model::plan(&lab).unwrap());
        // The order can be followed: every step waits for earlier ones only.
        for (place, step) in plan.steps().enumerate() {
            prop_assert_eq!(step.id, place);
            prop_assert!(step.after.iter().all(|before| *before < place));
        }
        let interfaces = || plan.nodes().flat_map(|node| &node.interfaces);
        let mut addresses = HashSet::new();
        prop_assert!(interfaces().flat_map(|own| &own.addresses).all(|own| addresses.insert(own.addr())));
        let mut macs = HashSet::new();
        prop_assert!(interfaces().all(|own| macs.insert(own.mac)));
        let mut names = HashSet::new();
        for step in plan.steps() {
            if let Action::CreateLink { ends, .. } = &step.action {
                for end in ends {
                    prop_assert!(end.interface.len() <= 15 && end.midpoint.len() <= 15);
                    prop_assert!(names.insert((end.namespace.clone(), end.interface.clone())));
                    prop_assert!(names.insert(("wire".to_owned(), end.midpoint.clone())));
                }
            }
        }
    }
}
