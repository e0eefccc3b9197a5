//! What a node knows of its peers.

use super::NodeId;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

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
pub struct Entry<T> {
    /// When its last message came, on the caller's clock.
    pub alive: Duration,
    /// Where its proxy is.
    pub address: PeerAddress,
    /// What it said.
    pub known: T,
}

/// All peers that spoke lately.
#[derive(Clone, Debug)]
pub struct Table<T> {
    validity: Duration,
    entries: BTreeMap<NodeId, Entry<T>>,
}

impl<T: Default> Table<T> {
    /// More peers than any federation this agent is made for; a bound against a peer that invents others.
    pub(super) const MOST: usize = 1024;

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

    /// Forgets one peer.
    pub(super) fn remove(&mut self, peer: &str) {
        self.entries.remove(peer);
    }

    /// The entry of a peer.
    #[must_use]
    pub fn get(&self, peer: &str) -> Option<&Entry<T>> {
        self.entries.get(peer)
    }

    /// The entry of a peer, to change.
    pub(super) fn get_mut(&mut self, peer: &str) -> Option<&mut Entry<T>> {
        self.entries.get_mut(peer)
    }

    /// All entries in the order of their PeerIds.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Entry<T>)> {
        self.entries.iter()
    }

    /// All entries, to change.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Entry<T>> {
        self.entries.values_mut()
    }

    /// The entry of a peer, made if there is room for it; whether it is new.
    pub(super) fn enter(
        &mut self,
        peer: &str,
        now: Duration,
        address: PeerAddress,
    ) -> Option<(&mut Entry<T>, bool)> {
        let known = self.entries.contains_key(peer);
        if !known && self.entries.len() >= Self::MOST {
            return None;
        }
        let entry = self.entries.entry(peer.to_owned()).or_insert_with(|| Entry {
            alive: now,
            address,
            known: T::default(),
        });
        entry.alive = now;
        entry.address = address;
        Some((entry, !known))
    }
}
