//! Offloaded checksums and segments through the engine: what arrives must be what was sent, also when the
//! engine has to take frames apart, and the receiving kernel must find every checksum right.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use dfaas_wire::{Engine, Impairment, Loss, QueueLimit};
use nix::sys::socket::{setsockopt, sockopt};
use support::{Network, address, may_make_namespaces};

const LENGTH: usize = 4 << 20;

fn contents() -> Vec<u8> {
    (0..LENGTH)
        .map(|place| (place * 31 + place / 253) as u8)
        .collect()
}

/// Sends bytes from left to right; those that came.
fn through_tcp(network: &Network, to: SocketAddr) -> Vec<u8> {
    let listener = network.right.run(move || TcpListener::bind(to).unwrap());
    let server = std::thread::spawn(move || {
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        received
    });
    network.left.run(move || {
        TcpStream::connect(to).unwrap().write_all(&contents()).unwrap();
    });
    server.join().unwrap()
}

/// Errors that the receiving host counted: bad checksums of TCP and UDP, bad IP headers.
fn checksum_errors(network: &Network) -> u64 {
    // The thread's own view: /proc/self would be that of the process.
    let text = network
        .right
        .run(|| std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
    let lines: Vec<&str> = text.lines().collect();
    let errors = lines.chunks_exact(2).map(|pair| {
        let columns = pair[0].split(' ').zip(pair[1].split(' '));
        let wanted = |name: &str| ["InCsumErrors", "InHdrErrors", "InErrs"].contains(&name);
        columns
            .filter(|(name, _)| wanted(name))
            .map(|(_, value)| value.parse::<u64>().unwrap())
            .sum::<u64>()
    });
    errors.sum()
}

fn check(network: &Network, engine: &Engine, to: SocketAddr) {
    assert!(
        through_tcp(network, to) == contents(),
        "what came is not what was sent"
    );
    assert_eq!(checksum_errors(network), 0);
    let statistics = engine.statistics().remove(0);
    assert_eq!(
        statistics.forward.drops.refused + statistics.backward.drops.refused,
        0
    );
    assert_eq!(engine.engine_statistics().unreadable, 0);
    let packets = statistics.forward.delivered.packets;
    assert!(
        packets >= (LENGTH / 1448) as u64,
        "segments are counted as packets: {packets}"
    );
}

#[test]
fn tcp_crosses_each_kind_of_link_unharmed() {
    if !may_make_namespaces() {
        return;
    }
    let delay = Duration::from_millis(2);
    let kinds = [
        Impairment::default(),
        Impairment::delayed(delay),
        Impairment {
            loss: Loss::Independent(0.01),
            ..Impairment::delayed(delay)
        },
        Impairment {
            rate: Some(200_000_000),
            queue: Some(QueueLimit::Packets(100)),
            ..Impairment::default()
        },
        Impairment {
            jitter: Duration::from_millis(1),
            ..Impairment::delayed(delay)
        },
    ];
    for kind in kinds {
        let network = Network::new(1);
        let engine = network.start(3, &kind, &kind);
        check(&network, &engine, (address(0, 2), 5000).into());
    }
}

/// What comes faster than one reading takes must not wait for the next: neither the long frames nor what answers them.
#[test]
fn a_bulk_transfer_leaves_nothing_unread() {
    if !may_make_namespaces() {
        return;
    }
    let network = Network::new(1);
    let asked = Duration::from_millis(20);
    let engine = network.start(3, &Impairment::delayed(asked), &Impairment::delayed(asked));
    let to = (address(0, 2), 5000);
    let listener = network.right.run(move || TcpListener::bind(to).unwrap());
    let server = std::thread::spawn(move || {
        std::io::copy(&mut listener.accept().unwrap().0, &mut std::io::sink()).unwrap()
    });
    network.left.run(move || {
        let mut stream = TcpStream::connect(to).unwrap();
        let chunk = vec![0; 1 << 20];
        (0..512).for_each(|_| stream.write_all(&chunk).unwrap());
    });
    assert_eq!(server.join().unwrap(), 512 << 20);
    let statistics = engine.statistics().remove(0);
    for direction in [statistics.forward, statistics.backward] {
        let middle = direction.lateness.quantile(0.5);
        assert!(middle < asked / 4, "the middle packet is {middle:?} late");
    }
}

/// One `send` of many datagrams (UDP_SEGMENT) is one frame for the engine.
#[test]
fn udp_segments_arrive_one_by_one() {
    if !may_make_namespaces() {
        return;
    }
    for impairment in [
        Impairment::default(),
        Impairment {
            rate: Some(100_000_000),
            ..Impairment::default()
        },
    ] {
        let network = Network::new(1);
        let engine = network.start(1, &impairment, &Impairment::default());
        let (sender, receiver) = network.udp_pair(0);
        send_segmented(&sender, &contents()[..9500], 1000);
        let mut together = Vec::new();
        for _ in 0..10 {
            let mut datagram = [0; 2000];
            let length = receiver.recv(&mut datagram).unwrap();
            together.extend_from_slice(&datagram[..length]);
        }
        assert!(together == contents()[..9500]);
        assert_eq!(checksum_errors(&network), 0);
        assert_eq!(engine.statistics()[0].forward.delivered.packets, 10);
    }
}

fn send_segmented(sender: &UdpSocket, payload: &[u8], segment: i32) {
    setsockopt(sender, sockopt::UdpGsoSegment, &segment).unwrap();
    sender.send(payload).unwrap();
}
