//! Knowing that a closed network is gone: the kernel removes namespaces in the background, some time after their last descriptor.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::attribute::read_u32;
use crate::error::NetnsError;
use crate::layout::{Interface, SENTINEL, SENTINEL_INDEX};
use crate::message::{End, new_idle_veth};
use crate::namespace::Namespace;
use crate::netlink::messages;
use crate::spec::{NamespaceRole, NamespaceSpec};

/// The multicast group that reports links (`RTNLGRP_LINK`).
const LINK_GROUP: u32 = 1;
/// Message type of a removed link (`RTM_DELLINK`).
const REMOVED_LINK: u16 = 17;

/// A namespace that outlives the network, with one end of a veth pair whose other end is in the namespace closed last. The kernel
/// removes the pair together with everything else there, and here the removal can be seen.
#[derive(Debug)]
pub(crate) struct Sentinel {
    /// Declared first, so that it is the last to be dropped of all the network.
    held: Arc<Namespace>,
}

impl Sentinel {
    /// What to create the outliving namespace from.
    pub(crate) fn spec() -> NamespaceSpec {
        NamespaceSpec {
            name: "sentinel of the network".into(),
            role: NamespaceRole::Wire,
        }
    }

    /// Ties the outliving namespace to `last`, the one that will be closed last.
    pub(crate) fn new(held: Arc<Namespace>, last: &Namespace) -> Result<Self, NetnsError> {
        use std::os::fd::AsRawFd;
        let interface = Interface {
            index: SENTINEL_INDEX,
            mtu: 1500,
        };
        let end = |namespace: &Namespace| End {
            name: SENTINEL,
            interface,
            namespace: namespace.descriptor().as_raw_fd(),
        };
        let request = new_idle_veth(end(&held), end(last));
        held.netlink().execute(&[request])?;
        Ok(Self { held })
    }

    /// The outliving namespace, in which no index is taken but that of the pair.
    pub(crate) fn held(&self) -> Arc<Namespace> {
        Arc::clone(&self.held)
    }

    /// Starts to listen; to be called before the network is closed.
    pub(crate) fn listen(&self) -> Result<(), NetnsError> {
        let netlink = self.held.netlink();
        netlink
            .socket()
            .add_membership(LINK_GROUP)
            .map_err(|source| self.failed(source))
    }

    /// Returns when the kernel has removed the pair.
    pub(crate) fn await_removal(&self, timeout: Duration) -> Result<(), NetnsError> {
        let start = Instant::now();
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() || !self.readable(left)? {
                return Err(NetnsError::StillInUse { waited: timeout });
            }
            buffer.clear();
            let received = self.held.netlink().socket().recv(&mut buffer, libc::MSG_DONTWAIT);
            match received {
                Ok(_) => {
                    let removed = messages(&buffer).any(|message| {
                        // struct ifinfomsg: family, padding, type, then the index.
                        message.kind == REMOVED_LINK && read_u32(message.payload, 4) == Some(SENTINEL_INDEX)
                    });
                    if removed {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
    }

    fn readable(&self, timeout: Duration) -> Result<bool, NetnsError> {
        let netlink = self.held.netlink();
        let mut watched = [PollFd::new(netlink.borrowed(), PollFlags::POLLIN)];
        // Rounded up, so that the remainder of a millisecond is not spent spinning.
        let timeout = PollTimeout::try_from(timeout + Duration::from_millis(1));
        match poll(&mut watched, timeout.unwrap_or(PollTimeout::MAX)) {
            Ok(ready) => Ok(ready > 0),
            Err(nix::errno::Errno::EINTR) => Ok(true),
            Err(errno) => Err(self.failed(errno.into())),
        }
    }

    fn failed(&self, source: io::Error) -> NetnsError {
        NetnsError::System {
            operation: "watch the removal of interfaces".into(),
            namespace: self.held.name().into(),
            source,
        }
    }
}
