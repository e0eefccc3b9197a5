//! The kernel takes the VLAN tag out of frames that it shows to packet sockets and tells it beside them; the
//! engine has to put it back. Looked at with packet sockets, since not every kernel has VLAN interfaces.

#![allow(clippy::unwrap_used)]

mod support;

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use dfaas_wire::Impairment;
use support::{Namespace, Network, may_make_namespaces};

/// Made-up type of the test's frames.
const TYPE: u16 = 0x88b5;
const TAG: u16 = 0x2007;

#[test]
fn tagged_frames_keep_their_tag() {
    if !may_make_namespaces() {
        return;
    }
    let network = Network::new(1);
    let _engine = network.start(1, &Impairment::default(), &Impairment::default());
    let sender = packet_socket(&network.left, "e0");
    let receiver = packet_socket(&network.right, "e0");
    let payload: Vec<u8> = (0..100).collect();
    for tagged in [true, false] {
        let mut frame = vec![0xff; 6];
        frame.extend([2, 0, 0, 0, 0, 9]);
        if tagged {
            frame.extend(0x8100_u16.to_be_bytes());
            frame.extend(TAG.to_be_bytes());
        }
        frame.extend(TYPE.to_be_bytes());
        frame.extend(&payload);
        nix::unistd::write(&sender, &frame).unwrap();
        let (received, tag) = receive(&receiver).expect("the frame arrives");
        assert_eq!(tag, tagged.then_some(TAG));
        assert_eq!(&received[14..], payload);
    }
}

fn packet_socket(namespace: &Namespace, interface: &str) -> OwnedFd {
    let index = namespace.interface_index(interface) as i32;
    namespace.run(move || {
        // SAFETY: takes plain numbers.
        let descriptor = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, 0) };
        assert!(descriptor >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the descriptor is new and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // SAFETY: all-zero is a valid address.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index;
        // SAFETY: a complete address that lives until the call returns.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        assert_eq!(bound, 0, "{}", io::Error::last_os_error());
        let on: libc::c_int = 1;
        // SAFETY: the option is an int that lives until the call returns.
        let set = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_AUXDATA,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as u32,
            )
        };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
        socket
    })
}

/// The next frame of the test's type within a second, and its tag.
fn receive(socket: &OwnedFd) -> Option<(Vec<u8>, Option<u16>)> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        match receive_any(socket) {
            Some(frame) if frame.0.get(12..14) == Some(&TYPE.to_be_bytes()) => return Some(frame),
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

fn receive_any(socket: &OwnedFd) -> Option<(Vec<u8>, Option<u16>)> {
    let mut bytes = vec![0_u8; 2000];
    let mut control = [0_u64; 16];
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: all-zero is a valid header.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the header describes buffers of this function with their true lengths.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0) };
    bytes.truncate(usize::try_from(length).ok()?);
    // SAFETY: the control buffer is as the kernel left it.
    let note = unsafe { libc::CMSG_FIRSTHDR(&raw const header).as_ref() }?;
    assert_eq!(note.cmsg_type, libc::PACKET_AUXDATA);
    // SAFETY: a message of this type holds a whole tpacket_auxdata.
    let auxiliary: libc::tpacket_auxdata = unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(note).cast()) };
    let is_tagged = auxiliary.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
    Some((bytes, is_tagged.then_some(auxiliary.tp_vlan_tci)))
}
