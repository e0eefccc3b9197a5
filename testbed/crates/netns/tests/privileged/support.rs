//! The guard of every test, the star most of them use, and UDP between its nodes.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dfaas_netns::{
    AddressSpec, KernelFeatures, KernelImpairment, Midpoint, NamespaceRole, NamespaceSpec, NearEnd, Network,
    NetworkSpec, VethSpec, probe_kernel,
};

/// How long the kernel may take to remove a small network on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// One test at a time, since each compares the state of the process before and after.
static TURN: Mutex<()> = Mutex::new(());

/// Held during a test; checks at its end that nothing is left.
pub(crate) struct Guard {
    before: Traces,
    pub(crate) features: KernelFeatures,
    _turn: MutexGuard<'static, ()>,
}

/// None, with the reason on stderr, where this machine cannot run privileged tests.
pub(crate) fn privileged() -> Option<Guard> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    match probe_kernel() {
        Ok(features) => {
            settle(|traces| traces.threads.is_empty());
            Some(Guard {
                before: Traces::now(),
                features,
                _turn: turn,
            })
        }
        Err(error) => {
            skip("root", &error.to_string());
            None
        }
    }
}

/// Says why a test is skipped, or fails it where `DFAAS_REQUIRE` lists the capability.
pub(crate) fn skip(capability: &str, reason: &str) {
    let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name == capability),
        "{capability} is required: {reason}"
    );
    eprintln!("skipped: {reason}");
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        settle(|traces| *traces == self.before);
        assert_eq!(Traces::now(), self.before, "left behind");
    }
}

/// Waits for a state, as threads are joined before they are quite gone from `/proc`.
fn settle(reached: impl Fn(&Traces) -> bool) {
    let deadline = Instant::now() + SOON;
    while !reached(&Traces::now()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All that could keep a namespace alive or be seen of one: a mount, a descriptor, a thread; and the interfaces around us.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    mounts: BTreeSet<String>,
    descriptors: Vec<String>,
    threads: Vec<String>,
    interfaces: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Traces {
    fn now() -> Self {
        let lines = |path: &str| std::fs::read_to_string(path).unwrap();
        let entries = |path: &str| {
            std::fs::read_dir(path)
                .unwrap()
                .flatten()
                .map(|entry| entry.path())
        };
        let link = |path: std::path::PathBuf| std::fs::read_link(path).ok()?.to_str().map(String::from);
        let mut descriptors: Vec<String> = entries("/proc/self/fd")
            .filter_map(link)
            .filter(|target| target.starts_with("net:") || target.starts_with("socket:"))
            .collect();
        descriptors.sort();
        let mut threads: Vec<String> = entries("/proc/self/task")
            .filter_map(|path| std::fs::read_to_string(path.join("comm")).ok())
            .filter(|name| name.starts_with("netns-"))
            .collect();
        threads.sort();
        Self {
            mounts: lines("/proc/self/mountinfo").lines().map(String::from).collect(),
            descriptors,
            threads,
            interfaces: lines("/proc/net/dev")
                .lines()
                .skip(2)
                .filter_map(|line| line.split(':').next().map(|name| name.trim().to_string()))
                .collect(),
            files: entries("/tmp")
                .filter_map(|path| path.file_name()?.to_str().map(String::from))
                .filter(|name| name == "proc" || name.parse::<u32>().is_ok())
                .collect(),
        }
    }
}

/// Position of the switch and the wire namespace in [`star`]; the nodes `n1`, `n2`, … follow.
pub(crate) const SWITCH: usize = 0;
pub(crate) const WIRE: usize = 1;
pub(crate) const FIRST_NODE: usize = 2;

/// Nodes around a switch. Node i has eth0 with 10.0.0.i/24 and fd00::i/64; its midpoint is `n<i>`, the switch's `s<i>`.
pub(crate) fn star(nodes: u8) -> NetworkSpec {
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
    for node in 1..=nodes {
        let namespace = spec.namespaces.len();
        let role = NamespaceRole::Node { forward: false };
        spec.namespaces.push(NamespaceSpec {
            name: format!("n{node}"),
            role,
        });
        spec.links.push(pair(
            namespace,
            "eth0",
            [2, 0, 0, 0, 0, node],
            &format!("n{node}"),
        ));
        spec.links.push(pair(
            SWITCH,
            &format!("p{node}"),
            [2, 0, 0, 0, 1, node],
            &format!("s{node}"),
        ));
        for address in [format!("10.0.0.{node}/24"), format!("fd00::{node}/64")] {
            let address = address.parse().unwrap();
            spec.addresses.push(AddressSpec {
                namespace,
                interface: "eth0".into(),
                address,
            });
        }
    }
    spec
}

pub(crate) fn pair(namespace: usize, interface: &str, mac: [u8; 6], midpoint: &str) -> VethSpec {
    let near = NearEnd {
        namespace,
        interface: interface.into(),
        mac,
        mtu: 1500,
        bridge_port: namespace == SWITCH,
        segmentation_offload: true,
    };
    VethSpec {
        near,
        wire: WIRE,
        midpoint: midpoint.into(),
    }
}

pub(crate) fn midpoint(interface: &str) -> Midpoint<'_> {
    Midpoint {
        namespace: "wire",
        interface,
    }
}

/// A star whose links are joined without any impairment.
pub(crate) fn joined_star(nodes: u8) -> Network {
    let network = Network::create(&star(nodes)).unwrap();
    join_star(&network, nodes);
    network
}

/// Joins the midpoints of a [`star`].
pub(crate) fn join_star(network: &Network, nodes: u8) {
    let nothing = KernelImpairment::default();
    for node in 1..=nodes {
        let (a, b) = (format!("n{node}"), format!("s{node}"));
        network
            .shape(midpoint(&a), midpoint(&b), &nothing, &nothing)
            .unwrap();
    }
}

/// A socket inside a node, usable from anywhere.
pub(crate) fn udp(network: &Network, node: &str, address: &str) -> UdpSocket {
    let address: IpAddr = address.parse().unwrap();
    let socket = network.enter(node, move || UdpSocket::bind(SocketAddr::new(address, 0)));
    let socket = socket.unwrap().unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

/// Sends one packet and waits for it: no second try, so a lost first packet fails.
pub(crate) fn assert_passes(from: &UdpSocket, to: &UdpSocket) {
    let target = to.local_addr().unwrap();
    from.send_to(b"ping", target).unwrap();
    let mut buffer = [0; 16];
    let (length, source) = to
        .recv_from(&mut buffer)
        .unwrap_or_else(|error| panic!("to {target}: {error}"));
    assert_eq!(
        (&buffer[..length], source),
        (b"ping".as_slice(), from.local_addr().unwrap())
    );
}
