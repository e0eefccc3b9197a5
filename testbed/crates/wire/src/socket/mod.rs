//! Packet sockets: a few for all links, not one per interface.

mod filter;
mod option;
mod receive;
mod send;

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use libc::c_int;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::WireError;
use option::{get_option, set_option};

pub(crate) use receive::{Habit, ReceiveBatch};
pub(crate) use send::SendBatch;

/// Sockets per engine thread. Interfaces are spread over them, and they are read in turn, so a flood that
/// fills one of them leaves the others alone. Each one costs a grace period of the kernel when closed.
const LANES_PER_SHARD: usize = 4;

/// Asked-for size of each socket's buffers; the kernel doubles it. Where that takes a privilege we lack, the
/// kernel gives what it allows everybody.
const BUFFER: c_int = 8 << 20;
/// A receive buffer below this is too small to leave arrivals unread on purpose.
const COMFORTABLE_BUFFER: c_int = 4 << 20;

/// One packet socket that hears some of the interfaces of its namespace.
#[derive(Debug)]
pub(crate) struct Lane(OwnedFd);

impl AsFd for Lane {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The sockets of an engine, opened in the namespace where the midpoints are. They hear nothing until an
/// engine is started with them.
#[derive(Debug)]
pub struct Sockets {
    lanes: Vec<Arc<Lane>>,
    shards: usize,
}

/// Opens the sockets for an engine of `shards` threads (at least one). Call it on a thread that is inside the
/// wire namespace; the sockets stay there, the engine itself may be started anywhere.
///
/// # Errors
/// If the kernel refuses a packet socket (no CAP_NET_RAW in this namespace) or an option that is needed.
pub fn open_sockets(shards: usize) -> Result<Sockets, WireError> {
    let shards = shards.max(1);
    let lanes = (0..shards * LANES_PER_SHARD)
        .map(|_| open_lane().map(Arc::new))
        .collect::<Result<_, _>>()?;
    Ok(Sockets { lanes, shards })
}

impl Sockets {
    pub(crate) fn shards(&self) -> usize {
        self.shards
    }

    /// The sockets of one thread.
    pub(crate) fn lanes_of(&self, shard: usize) -> Vec<Arc<Lane>> {
        self.lanes
            .iter()
            .skip(shard)
            .step_by(self.shards)
            .cloned()
            .collect()
    }

    /// The thread that hears an interface. It must agree with what the fanout group chooses.
    pub(crate) fn shard_of(&self, interface: u32) -> usize {
        interface as usize % self.lanes.len() % self.shards
    }

    /// Lets the sockets hear the given interfaces, and no others.
    pub(crate) fn hear_only(&self, interfaces: &[u32]) -> Result<(), WireError> {
        self.lanes
            .iter()
            .try_for_each(|lane| filter::hear_only(lane.as_fd(), interfaces))
    }

    /// Binds the sockets to all interfaces, present and to come, and spreads these over them.
    pub(crate) fn bind(&self) -> Result<(), WireError> {
        let mut group = None;
        for lane in &self.lanes {
            bind_to(lane.as_fd(), EVERY_INTERFACE).map_err(|source| WireError::Configure {
                option: "its address",
                source,
            })?;
            group = Some(join_group(lane.as_fd(), group)?);
        }
        match self.lanes.first() {
            Some(first) => filter::choose_by_interface(first.as_fd()),
            None => Ok(()),
        }
    }

    /// Whether arrivals may be left in the receive buffers for a while.
    pub(crate) fn has_large_buffers(&self) -> bool {
        self.lanes.iter().all(|lane| {
            get_option::<c_int>(lane.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF)
                .is_ok_and(|size| size >= COMFORTABLE_BUFFER)
        })
    }
}

impl Drop for Sockets {
    /// Closing a packet socket waits for a grace period of the kernel; those of several sockets overlap when
    /// they are closed at the same time.
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            for lane in self.lanes.drain(..) {
                // Without a thread for it, the closure is dropped here, and the socket with it.
                let _ = std::thread::Builder::new().spawn_scoped(scope, move || drop(lane));
            }
        });
    }
}

impl Lane {
    /// Frames that came for this socket and those dropped for want of room, since the last call.
    pub(crate) fn take_counts(&self) -> (u64, u64) {
        let counts =
            get_option::<libc::tpacket_stats>(self.as_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS);
        counts.map_or((0, 0), |counts| {
            (u64::from(counts.tp_packets), u64::from(counts.tp_drops))
        })
    }
}

/// A socket that hears one interface, what passes it in the asked-for ways.
pub(crate) fn open_tap(interface: u32, leaving: bool, coming: bool) -> Result<Lane, WireError> {
    let lane = open_lane()?;
    let failed = |option| move |source| WireError::Configure { option, source };
    set_option(lane.as_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &0)
        .or_else(|error| if leaving { Err(error) } else { Ok(()) })
        .map_err(failed("PACKET_IGNORE_OUTGOING"))?;
    filter::hear_ways(lane.as_fd(), leaving, coming)?;
    bind_to(lane.as_fd(), interface).map_err(failed("its address"))?;
    Ok(lane)
}

fn open_lane() -> Result<Lane, WireError> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    // Without a protocol the socket hears nothing until it is bound.
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)
        .map_err(|error| WireError::OpenSocket(error.into()))?;
    filter::hear_only(socket.as_fd(), &[])?;
    let required = [
        ("PACKET_VNET_HDR", libc::SOL_PACKET, libc::PACKET_VNET_HDR),
        ("PACKET_AUXDATA", libc::SOL_PACKET, libc::PACKET_AUXDATA),
        ("SO_TIMESTAMPNS", libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
    ];
    for (option, level, name) in required {
        set_option(socket.as_fd(), level, name, &1)
            .map_err(|source| WireError::Configure { option, source })?;
    }
    // Old kernels do not know this one; the filter refuses outgoing frames as well.
    let _ = set_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1);
    for (force, ordinary) in [
        (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
        (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
    ] {
        set_option(socket.as_fd(), libc::SOL_SOCKET, force, &BUFFER)
            .or_else(|_| set_option(socket.as_fd(), libc::SOL_SOCKET, ordinary, &BUFFER))
            .map_err(|source| WireError::Configure {
                option: "the buffer size",
                source,
            })?;
    }
    Ok(Lane(socket))
}

/// Joins the fanout group with this number, or makes a new one; its number is returned.
fn join_group(socket: BorrowedFd<'_>, group: Option<u32>) -> Result<u32, WireError> {
    let failed = |source| WireError::Configure {
        option: "PACKET_FANOUT",
        source,
    };
    let mode = libc::PACKET_FANOUT_CBPF | libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
    if let Some(group) = group {
        let argument = group | mode << 16;
        return set_option(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, &argument)
            .map(|()| group)
            .map_err(failed);
    }
    let argument = (mode | libc::PACKET_FANOUT_FLAG_UNIQUEID) << 16;
    set_option(socket, libc::SOL_PACKET, libc::PACKET_FANOUT, &argument).map_err(failed)?;
    let joined: u32 = get_option(socket, libc::SOL_PACKET, libc::PACKET_FANOUT).map_err(failed)?;
    Ok(joined & 0xffff)
}

fn bind_to(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    let address = link_address(interface, (libc::ETH_P_ALL as u16).to_be());
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: `address` is a complete sockaddr_ll that lives until the call returns.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// For [`bind_to`]: all interfaces of the namespace, present and to come.
const EVERY_INTERFACE: u32 = 0;

/// The address of an interface, for packet sockets. Interface 0 is all, protocol 0 lets the kernel read it
/// from the frame.
fn link_address(interface: u32, protocol: u16) -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol,
        sll_ifindex: interface as c_int,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}
