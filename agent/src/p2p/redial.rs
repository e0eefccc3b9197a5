//! When to dial which bootstrap node: at once, then with growing pauses.

use libp2p::{Multiaddr, PeerId};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// With more nodes than this, only one of two that know each other dials at once, and the other if nothing comes of it:
/// both would, and half of all connections would be for nothing.
const FEW: usize = 8;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Bootstrap nodes and what became of them.
#[derive(Debug)]
pub(super) struct Redial {
    targets: BTreeMap<PeerId, Target>,
    force: bool,
}

#[derive(Debug)]
struct Target {
    addresses: Vec<Multiaddr>,
    /// Pause after the next failure.
    pause: Duration,
    /// When to dial; nothing while connected, or given up.
    due: Option<Instant>,
}

impl Redial {
    /// All nodes, due at once or soon. Without `force`, each is tried a single time.
    pub(super) fn new(nodes: &[(PeerId, Multiaddr)], own: PeerId, force: bool, now: Instant) -> Self {
        let mut targets: BTreeMap<PeerId, Target> = BTreeMap::new();
        for (peer, address) in nodes.iter().filter(|(peer, _)| *peer != own) {
            let wait = nodes.len() > FEW && own > *peer;
            let fresh = || Target {
                addresses: Vec::new(),
                pause: FIRST_PAUSE,
                due: Some(if wait { now + FIRST_PAUSE } else { now }),
            };
            targets
                .entry(*peer)
                .or_insert_with(fresh)
                .addresses
                .push(address.clone());
        }
        Self { targets, force }
    }

    /// The next instant at which something is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.targets.values().filter_map(|target| target.due).min()
    }

    /// Nodes to dial now. Each counts as failed until told otherwise, so that a dial without an end is repeated too.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut all = Vec::new();
        for (peer, target) in &mut self.targets {
            if target.due.is_some_and(|due| due <= now) {
                target.due = self.force.then(|| now + target.pause);
                target.pause = (target.pause * 2).min(LONGEST_PAUSE);
                all.push((*peer, target.addresses.clone()));
            }
        }
        all
    }

    pub(super) fn connected(&mut self, peer: &PeerId) {
        if let Some(target) = self.targets.get_mut(peer) {
            target.due = None;
            target.pause = FIRST_PAUSE;
        }
    }

    pub(super) fn disconnected(&mut self, peer: &PeerId, now: Instant) {
        let force = self.force;
        if let Some(target) = self.targets.get_mut(peer).filter(|_| force) {
            target.due = Some(now + target.pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redial(force: bool) -> (Redial, PeerId, Instant) {
        let (peer, own, now) = (PeerId::random(), PeerId::random(), Instant::now());
        let address: Multiaddr = "/ip4/10.0.0.2/tcp/6000".parse().unwrap();
        (
            Redial::new(&[(peer, address.clone()), (own, address)], own, force, now),
            peer,
            now,
        )
    }

    #[test]
    fn pauses_grow_to_a_bound_and_never_vanish() {
        let (mut redial, peer, mut now) = redial(true);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(
                redial
                    .due(now)
                    .into_iter()
                    .map(|(peer, _)| peer)
                    .collect::<Vec<_>>(),
                [peer]
            );
            assert!(redial.due(now).is_empty(), "a node is not dialled twice at once");
            let next = redial.next().unwrap();
            pauses.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn a_lost_node_is_dialled_again_soon() {
        let (mut redial, peer, now) = redial(true);
        redial.due(now);
        redial.due(now + FIRST_PAUSE);
        redial.connected(&peer);
        assert_eq!(redial.next(), None);
        redial.disconnected(&peer, now);
        assert_eq!(redial.next(), Some(now + FIRST_PAUSE));
    }

    #[test]
    fn of_two_among_many_one_dials_first() {
        let now = Instant::now();
        let address: Multiaddr = "/ip4/10.0.0.2/tcp/6000".parse().unwrap();
        let nodes: Vec<(PeerId, Multiaddr)> = (0..10).map(|_| (PeerId::random(), address.clone())).collect();
        let at_once = |own: PeerId| {
            let due = Redial::new(&nodes, own, true, now).due(now);
            due.into_iter().map(|(peer, _)| peer).collect::<Vec<_>>()
        };
        for (one, _) in &nodes {
            for (other, _) in nodes.iter().filter(|(other, _)| other != one) {
                assert_ne!(at_once(*one).contains(other), at_once(*other).contains(one));
            }
        }
    }

    #[test]
    fn without_force_once_is_enough() {
        let (mut redial, peer, now) = redial(false);
        assert_eq!(redial.due(now).len(), 1);
        redial.disconnected(&peer, now);
        assert_eq!(redial.next(), None);
    }
}
