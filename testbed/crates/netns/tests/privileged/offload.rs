//! Frame sizes, seen where a link's middle is.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use dfaas_netns::{KernelImpairment, Network};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};

use crate::support::{SOON, midpoint, privileged, star};

/// Sent over one TCP connection.
const BYTES: usize = 4 << 20;

#[test]
fn without_segmentation_offload_every_frame_fits_the_mtu() {
    let Some(_guard) = privileged() else { return };
    for prefix in ["10.0.0.", "fd00::"] {
        assert_eq!(largest_frame(prefix, false), 1514, "{prefix}");
    }
}

#[test]
fn with_segmentation_offload_frames_cross_whole() {
    let Some(_guard) = privileged() else { return };
    for prefix in ["10.0.0.", "fd00::"] {
        let largest = largest_frame(prefix, true);
        assert!(largest > 1514, "{prefix}: {largest}");
    }
}

/// The largest frame at the midpoints while data is sent from n1 to n2.
fn largest_frame(prefix: &str, segmentation_offload: bool) -> usize {
    let mut spec = star(2);
    for link in &mut spec.links {
        link.near.segmentation_offload = segmentation_offload;
    }
    let network = Network::create(&spec).unwrap();
    let nothing = KernelImpairment::default();
    for (a, b) in [("n1", "s1"), ("n2", "s2")] {
        network
            .shape(midpoint(a), midpoint(b), &nothing, &nothing)
            .unwrap();
    }
    let observer: OwnedFd = network.enter("wire", observe).unwrap();
    transfer(&network, prefix);
    let mut largest = 0;
    // With MSG_TRUNC the result is the length on the wire, whatever fits.
    while let Ok(length) = recv(
        observer.as_raw_fd(),
        &mut [0; 64],
        MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT,
    ) {
        largest = largest.max(length);
    }
    drop(observer);
    network.close(SOON).unwrap();
    largest
}

fn observe() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    let observer = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll).unwrap();
    // Room for what is there before it is full; more than a few frames is enough.
    setsockopt(&observer, sockopt::RcvBuf, &(1 << 20)).unwrap();
    observer
}

fn transfer(network: &Network, prefix: &str) {
    let address = |node: u8| format!("{prefix}{node}").parse::<std::net::IpAddr>().unwrap();
    let target = address(2);
    let listener = network
        .enter("n2", move || TcpListener::bind((target, 0)))
        .unwrap()
        .unwrap();
    let target = listener.local_addr().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap()
    });
    let mut stream = network
        .enter("n1", move || TcpStream::connect_timeout(&target, SOON))
        .unwrap()
        .unwrap();
    stream.write_all(&vec![7; BYTES]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // The other side closes when it has everything.
    stream.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(reader.join().unwrap(), BYTES as u64);
}
