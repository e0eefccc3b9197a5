//! What is there after creation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dfaas_netns::{
    ForwardingSpec, KernelImpairment, NamespaceRole, NamespaceSpec, NeighbourSpec, Network, NetworkSpec,
    RouteSpec,
};

use crate::support::{
    FIRST_NODE, SOON, SWITCH, WIRE, assert_passes, join_star, joined_star, midpoint, pair, privileged, star,
    udp,
};

#[test]
fn nodes_of_a_star_reach_each_other_with_their_first_packet() {
    let Some(_guard) = privileged() else { return };
    let network = joined_star(3);
    for (from, to) in [(1, 2), (2, 3), (3, 1)] {
        for prefix in ["10.0.0.", "fd00::"] {
            let socket = |node| udp(&network, &format!("n{node}"), &format!("{prefix}{node}"));
            assert_passes(&socket(from), &socket(to));
        }
    }
    network.close(SOON).unwrap();
}

#[test]
fn a_static_neighbour_is_not_resolved() {
    let Some(_guard) = privileged() else { return };
    let mut spec = star(2);
    for (node, other) in [(0, 2), (1, 1)] {
        for address in [format!("10.0.0.{other}"), format!("fd00::{other}")] {
            spec.neighbours.push(NeighbourSpec {
                namespace: FIRST_NODE + node,
                interface: "eth0".into(),
                address: address.parse().unwrap(),
                mac: [2, 0, 0, 0, 0, other],
            });
        }
    }
    let network = Network::create(&spec).unwrap();
    let table = network
        .enter("n1", || std::fs::read_to_string("/proc/thread-self/net/arp"))
        .unwrap()
        .unwrap();
    let entry = table
        .lines()
        .find(|line| line.starts_with("10.0.0.2 "))
        .expect("an entry");
    // 0x6: complete and permanent.
    assert!(
        entry.contains("0x6") && entry.contains("02:00:00:00:00:02"),
        "{entry}"
    );
    network.close(SOON).unwrap();
}

#[test]
fn frames_for_somebody_who_was_silent_so_far_go_out_of_one_port() {
    const PACKETS: u64 = 50;
    let Some(_guard) = privileged() else { return };
    for is_known in [true, false] {
        let mut spec = star(3);
        // A report of a multicast group, which IPv6 may send, would tell the switch who is where.
        spec.addresses.retain(|item| item.address.addr().is_ipv4());
        spec.neighbours.push(NeighbourSpec {
            namespace: FIRST_NODE,
            interface: "eth0".into(),
            address: "10.0.0.2".parse().unwrap(),
            mac: [2, 0, 0, 0, 0, 2],
        });
        if is_known {
            spec.forwarding.push(ForwardingSpec {
                namespace: SWITCH,
                interface: "p2".into(),
                mac: [2, 0, 0, 0, 0, 2],
                answers_for: None,
            });
        }
        let network = Network::create(&spec).unwrap();
        join_star(&network, 3);
        let heard = |node: &str| {
            let read = || std::fs::read_to_string("/proc/thread-self/net/dev");
            let table = network.enter(node, read).unwrap().unwrap();
            let line = table.lines().find_map(|line| line.trim().strip_prefix("eth0:"));
            let packets = line.and_then(|line| line.split_whitespace().nth(1));
            packets.unwrap().parse::<u64>().unwrap()
        };
        let before = heard("n3");
        let (from, to) = (udp(&network, "n1", "10.0.0.1"), udp(&network, "n2", "10.0.0.2"));
        for _ in 0..PACKETS {
            from.send_to(b"ping", to.local_addr().unwrap()).unwrap();
            to.recv_from(&mut [0; 16]).unwrap();
        }
        let others = heard("n3") - before;
        if is_known {
            assert!(others < PACKETS, "{others} packets came to somebody else");
        } else {
            assert!(others >= PACKETS, "nothing would have been shown");
        }
        drop((from, to));
        network.close(SOON).unwrap();
    }
}

#[test]
fn a_switch_answers_for_those_it_knows_so_that_nobody_else_is_asked() {
    let Some(_guard) = privileged() else { return };
    let mut spec = star(3);
    for node in [1, 2] {
        spec.forwarding.push(ForwardingSpec {
            namespace: SWITCH,
            interface: format!("p{node}"),
            mac: [2, 0, 0, 0, 0, node],
            answers_for: Some(std::net::Ipv4Addr::new(10, 0, 0, node)),
        });
    }
    let network = Network::create(&spec).unwrap();
    join_star(&network, 3);
    assert_passes(&udp(&network, "n1", "10.0.0.1"), &udp(&network, "n2", "10.0.0.2"));
    // Who is not known is asked for as ever; the question tells n3 about n1, whom the switch answers for.
    assert_passes(&udp(&network, "n1", "10.0.0.1"), &udp(&network, "n3", "10.0.0.3"));
    let known = |node: &str| {
        let read = || std::fs::read_to_string("/proc/thread-self/net/arp");
        let table = network.enter(node, read).unwrap().unwrap();
        let addresses = table.lines().skip(1).filter_map(|line| line.split(' ').next());
        addresses
            .map(str::to_owned)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let set = |addresses: &[&str]| addresses.iter().map(ToString::to_string).collect();
    assert_eq!(known("n1"), set(&["10.0.0.2", "10.0.0.3"]));
    // The answer came from the switch: n2 has not heard of n1 until it had a packet to answer.
    assert!(known("n2").is_empty(), "{:?}", known("n2"));
    assert_eq!(known("n3"), set(&["10.0.0.1"]));
    assert_eq!(known("switch"), set(&["10.0.0.1", "10.0.0.2"]));
    let forwarding = NetworkSpec {
        links: Vec::new(),
        addresses: Vec::new(),
        ..spec
    };
    network.withdraw(&forwarding).unwrap();
    assert!(known("switch").is_empty(), "{:?}", known("switch"));
    network.close(SOON).unwrap();
}

#[test]
fn a_namespace_that_somebody_else_keeps_is_adopted_and_stays() {
    let Some(_guard) = privileged() else { return };
    let node = NamespaceSpec {
        name: "elsewhere".into(),
        role: NamespaceRole::Node { forward: true },
    };
    let owner = Network::create(&NetworkSpec {
        namespaces: vec![node],
        ..NetworkSpec::default()
    })
    .unwrap();
    let namespace = owner.namespace("elsewhere").unwrap();
    // As an engine leaves it.
    let switch_off = || std::fs::write("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "1");
    owner.enter("elsewhere", switch_off).unwrap().unwrap();
    let mut spec = star(2);
    spec.adopted = vec![(FIRST_NODE, Arc::new(namespace))];
    let network = Network::create(&spec).unwrap();
    join_star(&network, 2);
    let seen_by_its_owner = |what: &'static str| {
        let read = move || std::fs::read_to_string(what);
        owner.enter("elsewhere", read).unwrap().unwrap()
    };
    assert!(seen_by_its_owner("/proc/thread-self/net/dev").contains("eth0"));
    let forwards = seen_by_its_owner("/proc/sys/net/ipv4/ip_forward");
    assert_eq!(forwards.trim(), "0", "it has the settings of its role");
    for prefix in ["10.0.0.", "fd00::"] {
        let socket = |node| udp(&network, &format!("n{node}"), &format!("{prefix}{node}"));
        assert_passes(&socket(1), &socket(2));
    }
    network.close(SOON).unwrap();
    assert!(!seen_by_its_owner("/proc/thread-self/net/dev").contains("eth0"));
    drop(spec); // it holds the namespace too
    owner.close(SOON).unwrap();
}

#[test]
fn ipv6_has_the_given_addresses_only() {
    let Some(_guard) = privileged() else { return };
    let network = joined_star(2);
    let addresses = |namespace: &str| {
        let read = || std::fs::read_to_string("/proc/thread-self/net/if_inet6");
        network.enter(namespace, read).unwrap().unwrap_or_default()
    };
    let node = addresses("n1");
    let on_link: Vec<&str> = node.lines().filter(|line| line.ends_with("eth0")).collect();
    assert_eq!(on_link.len(), 1, "{node}");
    assert!(
        on_link[0].starts_with("fd000000000000000000000000000001"),
        "{node}"
    );
    for namespace in ["wire", "switch"] {
        let all = addresses(namespace);
        assert!(
            all.lines().all(|line| line.ends_with(" lo")),
            "{namespace}: {all}"
        );
    }
    network.close(SOON).unwrap();
}

#[test]
fn an_interface_may_be_too_small_for_ipv6() {
    let Some(_guard) = privileged() else { return };
    let mut spec = star(2);
    spec.addresses.retain(|item| item.address.addr().is_ipv4());
    for link in &mut spec.links {
        link.near.mtu = 1000;
    }
    let network = Network::create(&spec).unwrap();
    join_star(&network, 2);
    let socket = |node| udp(&network, &format!("n{node}"), &format!("10.0.0.{node}"));
    assert_passes(&socket(1), &socket(2));
    network.close(SOON).unwrap();
}

#[test]
fn a_network_that_nobody_uses_says_next_to_nothing() {
    let Some(_guard) = privileged() else { return };
    let nodes = 8;
    let network = Network::create(&star(nodes)).unwrap();
    // A rate, because its queue counts.
    let rate = KernelImpairment {
        rate: Some(1_000_000_000),
        ..KernelImpairment::default()
    };
    for node in 1..=nodes {
        let (a, b) = (format!("n{node}"), format!("s{node}"));
        network.shape(midpoint(&a), midpoint(&b), &rate, &rate).unwrap();
    }
    // Longer than the second within which addresses are checked, routers sought and groups reported again by default.
    std::thread::sleep(Duration::from_millis(1500));
    let queues = network.queue_statistics("wire").unwrap();
    let packets: u64 = queues
        .iter()
        .filter(|queue| queue.kind == "tbf")
        .map(|queue| queue.packets)
        .sum();
    // At most one report of the multicast group of its address from each node, to each node.
    let most = u64::from(nodes) * u64::from(nodes);
    assert!(packets <= most, "{packets} packets: {queues:?}");
    // A node repeats its report at a random time within this, and all others get it.
    let interval = network.enter("n1", || {
        std::fs::read_to_string("/proc/sys/net/ipv6/conf/eth0/mldv1_unsolicited_report_interval")
    });
    let interval = Duration::from_millis(interval.unwrap().unwrap().trim().parse().unwrap());
    assert!(interval > Duration::from_secs(20 * 24 * 3600), "{interval:?}");
    network.close(SOON).unwrap();
}

#[test]
fn only_nodes_that_forward_forward() {
    let Some(_guard) = privileged() else { return };
    for forward in [true, false] {
        let network = line(forward);
        let (from, to) = (udp(&network, "n1", "10.0.1.1"), udp(&network, "n2", "10.0.2.2"));
        if forward {
            assert_passes(&from, &to);
            assert_passes(&udp(&network, "n1", "fd01::1"), &udp(&network, "n2", "fd02::2"));
        } else {
            to.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            from.send_to(b"ping", to.local_addr().unwrap()).unwrap();
            assert!(
                to.recv_from(&mut [0; 16]).is_err(),
                "a node forwarded without being told to"
            );
        }
        drop((from, to));
        network.close(SOON).unwrap();
    }
}

/// n1 ── router ── n2
fn line(forward: bool) -> Network {
    let node = |name: &str, forward| NamespaceSpec {
        name: name.into(),
        role: NamespaceRole::Node { forward },
    };
    let mut spec = NetworkSpec {
        namespaces: vec![
            node("n1", false),
            NamespaceSpec {
                name: "wire".into(),
                role: NamespaceRole::Wire,
            },
            node("router", forward),
            node("n2", false),
        ],
        ..NetworkSpec::default()
    };
    for (number, (namespace, interface, addresses)) in [
        (0, "eth0", ["10.0.1.1/24", "fd01::1/64"]),
        (2, "eth0", ["10.0.1.9/24", "fd01::9/64"]),
        (2, "eth1", ["10.0.2.9/24", "fd02::9/64"]),
        (3, "eth0", ["10.0.2.2/24", "fd02::2/64"]),
    ]
    .into_iter()
    .enumerate()
    {
        let mac = [2, 0, 0, 0, 0, u8::try_from(number).unwrap()];
        let mut link = pair(namespace, interface, mac, &format!("m{number}"));
        link.near.bridge_port = false;
        spec.links.push(link);
        for address in addresses {
            let address = address.parse().unwrap();
            spec.addresses.push(dfaas_netns::AddressSpec {
                namespace,
                interface: interface.into(),
                address,
            });
        }
    }
    for (namespace, destination, via) in [
        (0, "10.0.2.0/24", "10.0.1.9"),
        (3, "10.0.1.0/24", "10.0.2.9"),
        (0, "fd02::/64", "fd01::9"),
        (3, "fd01::/64", "fd02::9"),
    ] {
        let (destination, via) = (destination.parse().unwrap(), via.parse().unwrap());
        spec.routes.push(RouteSpec {
            namespace,
            destination,
            via,
        });
    }
    assert_eq!(spec.namespaces[WIRE].role, NamespaceRole::Wire);
    let network = Network::create(&spec).unwrap();
    let nothing = KernelImpairment::default();
    for (a, b) in [("m0", "m1"), ("m2", "m3")] {
        network
            .shape(midpoint(a), midpoint(b), &nothing, &nothing)
            .unwrap();
    }
    network
}

#[test]
fn lowering_a_midpoint_takes_the_carrier_away() {
    let Some(_guard) = privileged() else { return };
    let network = joined_star(2);
    await_carrier(&network, true);
    network.set_interface_up("wire", "n1", false).unwrap();
    await_carrier(&network, false);
    network.set_interface_up("wire", "n1", true).unwrap();
    await_carrier(&network, true);
    // What was shaped before still is.
    assert_passes(&udp(&network, "n1", "10.0.0.1"), &udp(&network, "n2", "10.0.0.2"));
    network.close(SOON).unwrap();
}

/// The kernel reports the carrier a moment after it changes.
fn await_carrier(network: &Network, expected: bool) {
    let running = || {
        let interfaces = nix::ifaddrs::getifaddrs().unwrap();
        let running = nix::net::if_::InterfaceFlags::IFF_RUNNING;
        interfaces
            .filter(|found| found.interface_name == "eth0")
            .all(|found| found.flags.contains(running))
    };
    let deadline = Instant::now() + SOON;
    while network.enter("n1", running).unwrap() != expected {
        assert!(Instant::now() < deadline, "the carrier is not {expected}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn indexes_are_the_kernels() {
    let Some(_guard) = privileged() else { return };
    let network = Network::create(&star(2)).unwrap();
    for (namespace, interface) in [
        ("n1", "eth0"),
        ("n2", "lo"),
        ("wire", "s2"),
        ("switch", "p1"),
        ("switch", "br0"),
    ] {
        let index = network
            .enter(namespace, move || nix::net::if_::if_nametoindex(interface))
            .unwrap()
            .unwrap();
        assert_eq!(
            network.interface_index(namespace, interface),
            Some(index),
            "{interface} of {namespace}"
        );
    }
    assert_eq!(network.interface_index("n1", "eth9"), None);
    assert_eq!(network.interface_index("n9", "eth0"), None);
    assert!(network.namespace("n1").is_ok() && network.namespace("n9").is_err());
    network.close(SOON).unwrap();
}
