//! Agents that were lost and are back, but do not say that they listen.
//!
//! The library tells a peer of its subscriptions when the first connection to it begins, not when one is added. Of two
//! ends that lost each other, one may notice only after the other has connected anew: it says nothing then, and is no
//! agent in the other's eyes until both have parted once more.

use libp2p::PeerId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A subscription is the first thing on a connection; a link of a second each way and a busy peer have their time.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to part from a peer that may be no agent any more.
const ATTEMPTS: u32 = 3;
/// Agents remembered at a time, and for how long after they were lost.
const MAXIMUM: usize = 256;
const MEMORY: Duration = Duration::from_secs(600);

/// Lost agents that have not been heard since.
#[derive(Debug, Default)]
pub(super) struct Returned {
    agents: BTreeMap<PeerId, Agent>,
}

#[derive(Debug)]
struct Agent {
    attempts: u32,
    /// When to part from it; nothing while it is away.
    due: Option<Instant>,
    until: Instant,
}

impl Returned {
    /// An agent was lost without a goodbye.
    pub(super) fn lost(&mut self, peer: PeerId, now: Instant) {
        self.agents.retain(|_, agent| now < agent.until);
        if self.agents.len() < MAXIMUM {
            let agent = Agent {
                attempts: ATTEMPTS,
                due: None,
                until: now + MEMORY,
            };
            self.agents.insert(peer, agent);
        }
    }

    /// Whether this was an agent and is waited for.
    pub(super) fn awaits(&self, peer: &PeerId) -> bool {
        self.agents.contains_key(peer)
    }

    /// There is a connection again.
    pub(super) fn connected(&mut self, peer: &PeerId, now: Instant) {
        if let Some(agent) = self.agents.get_mut(peer) {
            agent.due = Some(now + PATIENCE);
        }
    }

    /// There is none any more.
    pub(super) fn disconnected(&mut self, peer: &PeerId) {
        if let Some(agent) = self.agents.get_mut(peer) {
            agent.due = None;
        }
    }

    /// It has said whether it listens.
    pub(super) fn heard(&mut self, peer: &PeerId) {
        self.agents.remove(peer);
    }

    /// The next instant at which something is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.agents.values().filter_map(|agent| agent.due).min()
    }

    /// Whom to part from now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<PeerId> {
        let mut silent = Vec::new();
        self.agents.retain(|peer, agent| {
            if agent.due.is_none_or(|due| now < due) {
                return true;
            }
            agent.due = None;
            if agent.attempts == 0 {
                return false;
            }
            agent.attempts -= 1;
            silent.push(*peer);
            true
        });
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_is_back_and_silent_is_parted_from() {
        let (mut returned, peer, now) = (Returned::default(), PeerId::random(), Instant::now());
        returned.connected(&peer, now);
        assert_eq!(
            returned.next(),
            None,
            "a node that never was an agent may be silent"
        );
        returned.lost(peer, now);
        assert_eq!(returned.next(), None, "it is away");
        returned.connected(&peer, now);
        assert_eq!(returned.due(now), []);
        assert_eq!(returned.next(), Some(now + PATIENCE));
        assert_eq!(returned.due(now + PATIENCE), [peer]);
        assert!(returned.awaits(&peer) && returned.next().is_none());
        returned.connected(&peer, now);
        returned.heard(&peer);
        assert!(!returned.awaits(&peer) && returned.next().is_none());
    }

    #[test]
    fn one_that_stays_silent_is_left_alone_at_last() {
        let (mut returned, peer, now) = (Returned::default(), PeerId::random(), Instant::now());
        returned.lost(peer, now);
        let parted = (0..10).filter(|_| {
            returned.disconnected(&peer);
            returned.connected(&peer, now);
            returned.due(now + PATIENCE) == [peer]
        });
        assert_eq!(parted.count(), 3);
        assert!(!returned.awaits(&peer));
    }

    #[test]
    fn no_more_are_remembered_than_needed() {
        let (mut returned, now) = (Returned::default(), Instant::now());
        for _ in 0..2 * MAXIMUM {
            returned.lost(PeerId::random(), now);
        }
        assert_eq!(returned.agents.len(), MAXIMUM);
        let peer = PeerId::random();
        returned.lost(peer, now + MEMORY);
        assert!(returned.awaits(&peer) && returned.agents.len() == 1);
    }
}
