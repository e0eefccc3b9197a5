//! What a node knows of its peers.

use super::{FunctionName, NodeId};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// More peers than any federation this agent is made for; a bound against a peer that invents others.
const MAXIMUM_ENTRIES: usize = 1024;

/// Where a peer's proxy takes forwarded requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerAddress {
    /// Its advertised address.
    pub host: IpAddr,
    /// Its port.
    pub port: u16,
}

/// What two nodes agreed about one function.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// Requests per second this node takes from the peer.
    pub limit_in: u32,
    /// Requests per second the peer takes from this node.
    pub limit_out: f64,
    /// HAProxy weight of the peer among those that this node forwards to.
    pub weight: u32,
}

/// One peer.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When its last message came, on the caller's clock.
    pub alive: Duration,
    /// Where its proxy is.
    pub address: PeerAddress,
    /// The functions it named in its last message.
    pub functions: BTreeMap<FunctionName, Share>,
}

/// All peers that spoke lately.
#[derive(Clone, Debug)]
pub struct Table {
    validity: Duration,
    entries: BTreeMap<NodeId, Entry>,
}

impl Table {
    /// An empty table whose entries last `validity` after the peer's last message.
    #[must_use]
    pub fn new(validity: Duration) -> Self {
        Self {
            validity,
            entries: BTreeMap::new(),
        }
    }

    /// Forgets peers that have been silent for longer than the validity.
    pub fn purge(&mut self, now: Duration) {
        self.entries.retain(|_, entry| entry.alive + self.validity >= now);
    }

    /// The entry of a peer.
    #[must_use]
    pub fn get(&self, peer: &str) -> Option<&Entry> {
        self.entries.get(peer)
    }

    /// All entries in the order of their PeerIds.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Entry)> {
        self.entries.iter()
    }

    /// All entries, to change.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut()
    }

    /// The entry of a peer, made if there is room for it; whether it is new.
    pub(super) fn enter(
        &mut self,
        peer: &str,
        now: Duration,
        address: PeerAddress,
    ) -> Option<(&mut Entry, bool)> {
        let known = self.entries.contains_key(peer);
        if !known && self.entries.len() >= MAXIMUM_ENTRIES {
            return None;
        }
        let entry = self.entries.entry(peer.to_owned()).or_insert_with(|| Entry {
            alive: now,
            address,
            functions: BTreeMap::new(),
        });
        entry.alive = now;
        entry.address = address;
        Some((entry, !known))
    }
}
