//! Creates a star of N nodes around one switch, every link impaired in the kernel, and prints how long each step takes.
//!
//! `cargo run --release -p dfaas-netns --example star -- 200 [ipv6]` (as root, or in `unshare -Urm`); with `RUST_LOG=debug` also the
//! parts of the creation.

#![expect(clippy::print_stdout, reason = "the timings are for people to read")]

use std::time::{Duration, Instant};

use dfaas_netns::{
    AddressSpec, KernelImpairment, Midpoint, NamespaceRole, NamespaceSpec, NearEnd, NeighbourSpec, Network,
    NetworkSpec, VethSpec,
};

/// Position of the switch and the wire namespace in the description; the nodes follow.
const SWITCH: usize = 0;
const WIRE: usize = 1;
const FIRST_NODE: usize = 2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let nodes: u16 = std::env::args().nth(1).map_or(Ok(200), |text| text.parse())?;
    let ipv6 = std::env::args().nth(2).is_some_and(|text| text == "ipv6");
    let spec = star(nodes, ipv6)?;

    let start = Instant::now();
    let network = Network::create(&spec)?;
    report("create", start);

    let start = Instant::now();
    let rate = KernelImpairment {
        rate: Some(100_000_000),
        ..KernelImpairment::default()
    };
    for node in 0..nodes {
        let (a, b) = (format!("n{node}"), format!("s{node}"));
        let midpoint = |interface| Midpoint {
            namespace: "wire",
            interface,
        };
        network.shape(midpoint(&a), midpoint(&b), &rate, &rate)?;
    }
    report("shape", start);

    let start = Instant::now();
    let queues = network.queue_statistics("wire")?;
    report("statistics", start);
    let buckets = queues.iter().filter(|queue| queue.kind == "tbf").count();
    println!("{buckets} token buckets");

    let start = Instant::now();
    network.close(Duration::from_secs(60))?;
    report("close", start);
    Ok(())
}

fn report(step: &str, start: Instant) {
    println!("{step:<12}{:>9.1} ms", start.elapsed().as_secs_f64() * 1e3);
}

fn star(nodes: u16, ipv6: bool) -> Result<NetworkSpec, Box<dyn std::error::Error>> {
    let mut spec = NetworkSpec {
        namespaces: vec![
            NamespaceSpec {
                name: "switch".into(),
                role: NamespaceRole::Switch,
            },
            NamespaceSpec {
                name: "wire".into(),
                role: NamespaceRole::Wire,
            },
        ],
        ..NetworkSpec::default()
    };
    for node in 0..nodes {
        let [high, low] = node.to_be_bytes();
        let role = NamespaceRole::Node { forward: false };
        spec.namespaces.push(NamespaceSpec {
            name: format!("node{node}"),
            role,
        });
        let namespace = FIRST_NODE + usize::from(node);
        spec.links.push(pair(
            namespace,
            "eth0".into(),
            [2, 0, 0, 0, high, low],
            format!("n{node}"),
        ));
        spec.links.push(pair(
            SWITCH,
            format!("p{node}"),
            [2, 0, 0, 1, high, low],
            format!("s{node}"),
        ));
        let mut address = |text: String| -> Result<(), Box<dyn std::error::Error>> {
            let interface = "eth0".into();
            spec.addresses.push(AddressSpec {
                namespace,
                interface,
                address: text.parse()?,
            });
            Ok(())
        };
        address(format!("10.0.{high}.{}/16", low))?;
        if ipv6 {
            address(format!("fd00::{:x}/64", u32::from(node) + 1))?;
        }
        spec.neighbours.push(NeighbourSpec {
            namespace,
            interface: "eth0".into(),
            address: "10.0.255.254".parse()?,
            mac: [2, 0, 0, 0, 255, 254],
        });
    }
    Ok(spec)
}

fn pair(namespace: usize, interface: String, mac: [u8; 6], midpoint: String) -> VethSpec {
    let near = NearEnd {
        namespace,
        interface,
        mac,
        mtu: 1500,
        bridge_port: namespace == SWITCH,
        segmentation_offload: true,
    };
    VethSpec {
        near,
        wire: WIRE,
        midpoint,
    }
}
