//! What comes from peers and from the platform.

use super::{Controller, FUNCTIONS_PAUSE, FUNCTIONS_RETRY, GATHER, LINKS_PAUSE};
use crate::config::Neighbours;
use crate::neighbours;
use crate::p2p::Incoming;
use crate::platform::{Functions, PlatformError};
use crate::reception::{BadMessage, Heard, hear};
use crate::strategy::{Answers, Compatibility, NodeId, Reception};
use crate::words;
use std::collections::BTreeSet;
use tokio::time::Instant;

impl Controller {
    /// Agents came or went.
    pub(super) fn on_peers(&mut self) {
        let connected: BTreeSet<NodeId> = self.parts.overlay.peers.borrow_and_update().clone();
        let newcomers = connected.difference(&self.connected).count();
        self.connected = connected;
        self.choose_neighbours();
        // Newcomers learn this node's address now rather than up to a period later; the original waits.
        if newcomers > 0 && self.parts.strategy.compatibility == Compatibility::Ours {
            self.introduce_soon();
        }
        self.changed();
    }

    /// Something is new about the connections. Every ping is such news: where neighbours are not chosen by it, one look
    /// at many does.
    pub(super) fn links_changed(&mut self) {
        match self.parts.strategy.neighbours {
            Neighbours::All | Neighbours::Listed(_) => {
                self.links_at.get_or_insert(Instant::now() + LINKS_PAUSE);
            }
            Neighbours::Linked | Neighbours::Within(_) => self.on_links(),
        }
    }

    /// Takes what is known of the connections now.
    pub(super) fn on_links(&mut self) {
        self.links_at = None;
        let before: Vec<NodeId> = self.neighbours.keys().cloned().collect();
        self.choose_neighbours();
        if !self.neighbours.keys().eq(&before) {
            self.changed();
        }
    }

    fn choose_neighbours(&mut self) {
        let links = self.parts.overlay.links.borrow_and_update().clone();
        let rule = &self.parts.strategy.neighbours;
        let chosen = neighbours::choose(rule, &self.connected, &links, &self.neighbours);
        let newcomers = chosen
            .keys()
            .filter(|peer| !self.neighbours.contains_key(*peer))
            .count();
        let before = std::mem::replace(&mut self.neighbours, chosen);
        for peer in before.keys().filter(|peer| !self.neighbours.contains_key(*peer)) {
            // One that is gone is remembered until its validity ends; one that is too far now is not.
            if self.connected.contains(peer) {
                tracing::info!(peer, "no neighbour any more");
                self.strategy.forget(peer);
            }
        }
        if newcomers > 0 && self.parts.strategy.neighbours != Neighbours::All {
            self.introduce_soon();
        }
    }

    fn introduce_soon(&mut self) {
        let soon = self.introductions.soonest(Instant::now() + GATHER);
        self.introduce_at.get_or_insert(soon);
    }

    /// Repeats what this node says of itself, which newcomers have not heard.
    pub(super) fn introduce(&mut self) {
        self.introduce_at = None;
        let answers = Answers::default();
        let words = self.strategy.introduction(&self.view(&answers));
        self.introductions.done(Instant::now());
        self.publish(words);
    }

    /// A peer said something.
    pub(super) fn on_message(&mut self, message: &Incoming) {
        match hear(&message.data, &self.parts.node.id) {
            Ok((heard, kind)) => {
                self.parts.metrics.message(kind);
                self.believe(&message.from, heard);
            }
            Err(error) => self.drop_message(&message.from, &error),
        }
    }

    fn believe(&mut self, from: &str, heard: Heard) {
        if let Heard::Text(text) = &heard {
            tracing::info!(from, text, "a peer says");
        }
        let Some((address, word)) = words::from_message(heard) else {
            return;
        };
        // A listed neighbour may speak before its connection is noticed.
        let listed = match &self.parts.strategy.neighbours {
            Neighbours::All => true,
            Neighbours::Listed(listed) => listed.contains(from),
            Neighbours::Linked | Neighbours::Within(_) => false,
        };
        if !listed && !self.neighbours.contains_key(from) {
            return;
        }
        let now = self.clock.monotonic();
        match self.strategy.receive(now, from, address, &word) {
            // Its servers and functions may be new; if not, applying does nothing.
            Reception::NewPeer | Reception::Updated => self.changed(),
            Reception::NotForUs => {}
            Reception::NoRoom => {
                tracing::warn!(from, "there is no room for another peer");
                self.parts.metrics.bad_message("no room");
            }
        }
    }

    fn drop_message(&self, from: &str, error: &BadMessage) {
        self.parts.metrics.bad_message(error.reason());
        tracing::warn!(from, %error, "message dropped");
    }

    /// Asks the platform what is deployed. One that lets the question wait must not hold up anything else.
    pub(super) fn ask_for_functions(&mut self) {
        let platform = self.parts.platform.clone();
        self.asked.spawn(async move { platform.functions().await });
        self.functions_at = None;
    }

    /// What the platform has answered.
    pub(super) fn on_functions(&mut self, answer: Result<Functions, PlatformError>) {
        let pause = match answer {
            Ok(functions) => {
                if self.platform_failure.take().is_some() {
                    tracing::info!("the functions platform answers");
                }
                if functions != self.functions {
                    self.take_functions(functions);
                }
                FUNCTIONS_PAUSE.min(self.parts.strategy.period)
            }
            Err(error) => {
                self.parts.metrics.platform_failures.inc();
                let text = error.to_string();
                if self.platform_failure.as_ref() != Some(&text) {
                    tracing::warn!("{text}; the list of functions stays as it is");
                    self.platform_failure = Some(text);
                }
                FUNCTIONS_RETRY
            }
        };
        self.functions_at = Some(Instant::now() + pause);
    }

    fn take_functions(&mut self, functions: Functions) {
        for (name, reason) in &functions.skipped {
            if !self.functions.skipped.contains_key(name) {
                tracing::warn!(
                    function = name,
                    reason,
                    "not balanced; its requests go to the gateway as they come"
                );
            }
        }
        for (name, maximum) in &functions.balanced {
            if self.functions.balanced.get(name) != Some(maximum) {
                tracing::info!(function = name, maximum, "balanced");
            }
        }
        self.parts
            .metrics
            .functions
            .set(i64::try_from(functions.balanced.len()).unwrap_or(i64::MAX));
        self.functions = functions;
        self.changed();
    }
}
