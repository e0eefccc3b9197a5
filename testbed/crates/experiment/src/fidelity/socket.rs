//! One interface, frame by frame.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvmsg,
    send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeSpec, TimeVal};

/// Frames that may wait to be read: a second of a gigabit.
const RECEIVE_BUFFER: usize = 128 << 20;

/// A packet socket on one interface.
pub(super) struct FrameSocket {
    descriptor: OwnedFd,
    pub(super) address: [u8; 6],
}

impl FrameSocket {
    /// Opens the interface `name` of this network namespace. The error is one sentence.
    pub(super) fn open(name: &str) -> Result<FrameSocket, String> {
        let failed = |what: &str, error: Errno| format!("cannot {what} interface `{name}`: {error}");
        let all = nix::ifaddrs::getifaddrs().map_err(|error| failed("find", error))?;
        let link: LinkAddr = all
            .filter(|entry| entry.interface_name == name)
            .find_map(|entry| entry.address.and_then(|address| address.as_link_addr().copied()))
            .ok_or_else(|| format!("there is no interface `{name}` here"))?;
        let descriptor = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthAll,
        )
        .map_err(|error| failed("open", error))?;
        // The second needs a privilege that a user namespace does not give; the first has a limit.
        if setsockopt(&descriptor, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            let _ = setsockopt(&descriptor, sockopt::RcvBuf, &RECEIVE_BUFFER);
        }
        setsockopt(&descriptor, sockopt::ReceiveTimestampns, &true)
            .map_err(|error| failed("stamp", error))?;
        let patience = TimeVal::new(0, 100_000);
        setsockopt(&descriptor, sockopt::ReceiveTimeout, &patience)
            .map_err(|error| failed("set up", error))?;
        bind(descriptor.as_raw_fd(), &link).map_err(|error| failed("bind to", error))?;
        Ok(FrameSocket {
            descriptor,
            address: link.addr().unwrap_or_default(),
        })
    }

    /// Sends a frame. False if the kernel did not take it.
    pub(super) fn send(&self, frame: &[u8]) -> bool {
        loop {
            match send(self.descriptor.as_raw_fd(), frame, MsgFlags::empty()) {
                Ok(_) => return true,
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Waits for a frame, for at most 100 ms: its whole length, and when it came, nanoseconds since the Unix epoch.
    /// Only its beginning is kept.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Option<(usize, u64)> {
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut slices = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(
            self.descriptor.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::MSG_TRUNC,
        )
        .ok()?;
        let stamp = message.cmsgs().ok()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
            _ => None,
        });
        Some((message.bytes, u64::try_from(stamp?.as_nanos()).ok()?))
    }
}
