//! Keeps packets of some senders from a link's end, whoever carries the link.

use std::net::IpAddr;

use crate::error::NetnsError;
use crate::network::Network;
use crate::shape::Midpoint;
use crate::tc::{put_clsact, verdict};

/// Senders that one end of a link does not hear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// Whose packets are dropped. Empty: all pass.
    pub senders: Vec<IpAddr>,
    /// To whom: these addresses, and broadcast and multicast. What is for others passes, as a router must.
    pub receivers: Vec<IpAddr>,
}

/// Addresses of senders in one filter. A classic program has at most 4096 instructions and needs four for an address.
const SENDERS_PER_FILTER: usize = 500;

impl Network {
    /// Drops at a midpoint, on the way out of it to its node, all IP and ARP packets between the senders and the
    /// receivers of `block`. It replaces the block of before, with a moment between the two in which all passes.
    ///
    /// Packets are dropped behind the impairments that a program with packet sockets makes, and before the queue of
    /// [`Network::shape`].
    ///
    /// # Errors
    ///
    /// When there is no such midpoint, the receivers are too many, or the kernel refuses, for instance because it has no
    /// cls_bpf.
    pub fn block(&self, midpoint: Midpoint<'_>, block: &Block) -> Result<(), NetnsError> {
        let (namespace, found) = self.find_interface(midpoint.namespace, midpoint.interface)?;
        let name = midpoint.interface;
        let mut programs = Vec::new();
        for senders in block.senders.chunks(SENDERS_PER_FILTER) {
            let program = verdict::program(senders, &block.receivers);
            if program.len() > verdict::MOST_INSTRUCTIONS {
                return Err(NetnsError::InvalidSpec {
                    subject: format!("midpoint `{name}`"),
                    reason: format!("{} receivers are too many for a block", block.receivers.len()),
                });
            }
            programs.push(program);
        }
        let operation = || format!("keep packets from the node behind midpoint `{name}`");
        let mut requests = vec![put_clsact(
            found.index,
            format!("add clsact to midpoint `{name}`"),
        )];
        let mut blocked = self.blocked();
        let key = (midpoint.namespace.to_owned(), found.index);
        let before = blocked.get(&key).copied().unwrap_or(0);
        requests.extend((0..before).map(|number| verdict::remove(found.index, number, operation())));
        let after = u16::try_from(programs.len()).unwrap_or(u16::MAX);
        requests.extend(
            (0..after)
                .zip(&programs)
                .map(|(number, program)| verdict::put(found.index, number, program, operation())),
        );
        if before == 0 && after == 0 {
            return Ok(());
        }
        // Whatever fails, no more than these can be there; removing one that is not there would fail, though.
        namespace.netlink().execute(&requests)?;
        blocked.insert(key, after);
        Ok(())
    }
}
