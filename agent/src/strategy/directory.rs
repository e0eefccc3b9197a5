//! Which peers have which functions, and where: what nodes tell each other under the strategies that split.

use super::interface::{Reception, View, Word};
use super::{Compatibility, FunctionName, NodeId, PeerAddress, Table};
use std::collections::BTreeSet;
use std::time::Duration;

/// An entry lives this many periods after the peer's last message.
const VALIDITY_PERIODS: u32 = 2;

/// A peer that may serve a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) peer: NodeId,
    pub(super) round_trip: Option<Duration>,
}

/// What the original does with a peer's functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Original {
    /// It hears of them, and gives a peer with one function in common a share of all.
    Static,
    /// It says and hears nothing; every connected node is taken for one like this.
    Silent,
}

/// The peers that spoke, and (as the original does) those that did not.
#[derive(Debug)]
pub(super) struct Directory {
    /// How the original differs, when it is reproduced.
    original: Option<Original>,
    /// Port of the proxies of peers that never say theirs.
    port: u16,
    table: Table<BTreeSet<FunctionName>>,
}

impl Directory {
    pub(super) fn new(period: Duration, compatibility: Compatibility, original: Original, port: u16) -> Self {
        Self {
            original: (compatibility == Compatibility::Upstream).then_some(original),
            port,
            table: Table::new(period * VALIDITY_PERIODS),
        }
    }

    /// Peers that may serve `function`.
    pub(super) fn candidates(&self, view: &View<'_>, function: &str) -> Vec<Candidate> {
        let here = view.functions.contains_key(function);
        let round_trip = |peer: &NodeId| view.peers.get(peer).and_then(|peer| peer.round_trip);
        let common = |theirs: &BTreeSet<FunctionName>| view.functions.keys().any(|own| theirs.contains(own));
        let mut candidates: Vec<Candidate> = self
            .table
            .iter()
            .filter(|(_, entry)| match self.original {
                Some(Original::Static) => here && common(&entry.known),
                _ => entry.known.contains(function),
            })
            .map(|(peer, _)| Candidate {
                peer: peer.clone(),
                round_trip: round_trip(peer),
            })
            .collect();
        if here && self.original == Some(Original::Silent) {
            let silent = view
                .peers
                .iter()
                .filter(|(peer, link)| link.address.is_some() && self.table.get(peer).is_none());
            candidates.extend(silent.map(|(peer, link)| Candidate {
                peer: peer.clone(),
                round_trip: link.round_trip,
            }));
        }
        candidates
    }

    /// Functions of this node and of its peers; the original knows only the former.
    pub(super) fn functions(&self, view: &View<'_>) -> BTreeSet<FunctionName> {
        let own = view.functions.keys().cloned();
        if self.original.is_some() {
            return own.collect();
        }
        let theirs = self
            .table
            .iter()
            .flat_map(|(_, entry)| entry.known.iter().cloned());
        own.chain(theirs).collect()
    }

    /// Where a peer's proxy is.
    pub(super) fn address(&self, view: &View<'_>, peer: &str) -> Option<PeerAddress> {
        if let Some(entry) = self.table.get(peer) {
            return Some(entry.address);
        }
        let silent = self.original == Some(Original::Silent);
        let host = view.peers.get(peer)?.address.filter(|_| silent)?;
        Some(PeerAddress {
            host,
            port: self.port,
        })
    }

    /// What to publish about this node.
    pub(super) fn words(&self, view: &View<'_>) -> Vec<Word> {
        let word = || Word::Functions(view.functions.keys().cloned().collect());
        let silent = self.original == Some(Original::Silent);
        (!silent).then(word).into_iter().collect()
    }

    pub(super) fn receive(
        &mut self,
        now: Duration,
        from: &str,
        address: Option<PeerAddress>,
        word: &Word,
    ) -> Reception {
        self.table.purge(now);
        let (Word::Functions(functions), Some(address)) = (word, address) else {
            return Reception::NotForUs;
        };
        match self.table.enter(from, now, address) {
            None => Reception::NoRoom,
            Some((entry, new)) => {
                entry.known.clone_from(functions);
                if new {
                    Reception::NewPeer
                } else {
                    Reception::Updated
                }
            }
        }
    }

    pub(super) fn purge(&mut self, now: Duration) {
        self.table.purge(now);
    }

    pub(super) fn remove(&mut self, peer: &str) {
        self.table.remove(peer);
    }

    /// Peers that spoke: where their proxies are, and their functions.
    pub(super) fn peers(&self) -> impl Iterator<Item = (&NodeId, PeerAddress, &BTreeSet<FunctionName>)> {
        self.table
            .iter()
            .map(|(peer, entry)| (peer, entry.address, &entry.known))
    }
}
