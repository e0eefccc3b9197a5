//! When to dial which node: bootstrap nodes at once, lost agents soon, both again after growing pauses.

use libp2p::{Multiaddr, PeerId};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// With more nodes than this, only one of two that know each other dials at once, and the other if nothing comes of it:
/// both would, and half of all connections would be for nothing.
const FEW: usize = 8;
/// How long the other waits, by the number of nodes: so many connections take their time.
const PER_NODE: Duration = Duration::from_millis(100);
/// Short enough that all is well again within ten seconds of the network's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An agent that was found otherwise and lost is dialled for this long: longer partitions are mended by the look-up.
const LOYALTY: Duration = Duration::from_secs(600);
/// Lost agents remembered at a time.
const MAXIMUM_LOST: usize = 256;

/// Nodes to be connected to, and what became of them.
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
    /// When to forget it; never, if it is a bootstrap node.
    until: Option<Instant>,
}

impl Redial {
    /// All nodes, due at once or soon. Without `force`, each is tried a single time.
    pub(super) fn new(nodes: &[(PeerId, Multiaddr)], own: PeerId, force: bool, now: Instant) -> Self {
        let mut targets: BTreeMap<PeerId, Target> = BTreeMap::new();
        for (peer, address) in nodes.iter().filter(|(peer, _)| *peer != own) {
            let wait = nodes.len() > FEW && own > *peer;
            let patience = FIRST_PAUSE.max(PER_NODE * u32::try_from(nodes.len()).unwrap_or(u32::MAX));
            let fresh = || Target {
                addresses: Vec::new(),
                pause: FIRST_PAUSE,
                due: Some(if wait { now + patience } else { now }),
                until: None,
            };
            targets
                .entry(*peer)
                .or_insert_with(fresh)
                .addresses
                .push(address.clone());
        }
        Self { targets, force }
    }

    /// Whether a node will be dialled in any case.
    pub(super) fn expects(&self, peer: &PeerId) -> bool {
        self.targets.get(peer).is_some_and(|target| target.due.is_some())
    }

    /// The next instant at which something is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.targets.values().filter_map(|target| target.due).min()
    }

    /// Nodes to dial now. Each counts as failed until told otherwise, so that a dial without an end is repeated too.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut all = Vec::new();
        self.targets
            .retain(|_, target| target.until.is_none_or(|until| now < until));
        for (peer, target) in &mut self.targets {
            if target.due.is_some_and(|due| due <= now) {
                let again = self.force || target.until.is_some();
                target.due = again.then(|| now + target.pause);
                target.pause = (target.pause * 2).min(LONGEST_PAUSE);
                all.push((*peer, target.addresses.clone()));
            }
        }
        all
    }

    pub(super) fn connected(&mut self, peer: &PeerId) {
        if self
            .targets
            .get(peer)
            .is_some_and(|target| target.until.is_some())
        {
            self.targets.remove(peer);
        }
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

    /// An agent was lost without a goodbye.
    pub(super) fn lost(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        let lost = self
            .targets
            .values()
            .filter(|target| target.until.is_some())
            .count();
        if addresses.is_empty() || self.targets.contains_key(&peer) || lost >= MAXIMUM_LOST {
            return;
        }
        let target = Target {
            addresses,
            pause: FIRST_PAUSE,
            due: Some(now + FIRST_PAUSE),
            until: Some(now + LOYALTY),
        };
        self.targets.insert(peer, target);
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
        assert_eq!(pauses, [1, 2, 4, 5, 5, 5, 5, 5]);
    }

    #[test]
    fn a_lost_node_is_dialled_again_soon() {
        let (mut redial, peer, now) = redial(true);
        assert!(redial.expects(&peer));
        redial.due(now);
        redial.due(now + FIRST_PAUSE);
        redial.connected(&peer);
        assert_eq!(redial.next(), None);
        assert!(!redial.expects(&peer));
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
    fn a_lost_agent_is_sought_for_a_while() {
        let (mut redial, bootstrap, now) = redial(false);
        let (agent, address): (_, Multiaddr) = (PeerId::random(), "/ip4/10.0.0.3/tcp/6000".parse().unwrap());
        redial.due(now);
        redial.lost(agent, vec![address.clone()], now);
        let later = now + FIRST_PAUSE;
        assert_eq!(redial.due(later), [(agent, vec![address.clone()])]);
        assert!(
            redial.next().is_some(),
            "again, whatever is said of bootstrap nodes"
        );
        redial.connected(&agent);
        assert_eq!(redial.next(), None);
        redial.lost(agent, vec![address], now);
        assert!(redial.due(now + LOYALTY).is_empty());
        assert_eq!(redial.next(), None, "it is forgotten");
        redial.lost(bootstrap, Vec::new(), now);
        for _ in 0..2 * MAXIMUM_LOST {
            redial.lost(
                PeerId::random(),
                vec!["/ip4/10.0.0.3/tcp/6000".parse().unwrap()],
                now,
            );
        }
        assert_eq!(redial.targets.len(), 1 + MAXIMUM_LOST);
    }

    #[test]
    fn without_force_once_is_enough() {
        let (mut redial, peer, now) = redial(false);
        assert_eq!(redial.due(now).len(), 1);
        redial.disconnected(&peer, now);
        assert_eq!(redial.next(), None);
    }
}
