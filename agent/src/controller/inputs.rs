//! What comes from peers and from the platform.

use super::{Controller, FUNCTIONS_PAUSE, FUNCTIONS_RETRY, GATHER};
use crate::p2p::Incoming;
use crate::reception::{BadMessage, Heard, hear};
use crate::strategy::{Compatibility, NodeId, Reception};
use std::collections::BTreeSet;
use tokio::time::Instant;

impl Controller {
    /// Agents came or went.
    pub(super) fn on_peers(&mut self) {
        let all = self.parts.overlay.peers.borrow_and_update().clone();
        let connected: BTreeSet<NodeId> = all.into_iter().filter(|peer| self.is_neighbour(peer)).collect();
        let newcomers = connected.difference(&self.connected).count();
        self.connected = connected;
        // Newcomers learn this node's address now rather than up to a period later; the original waits.
        if newcomers > 0 && self.parts.strategy.compatibility == Compatibility::Ours {
            self.introduce_at.get_or_insert(Instant::now() + GATHER);
        }
        self.changed();
    }

    /// Repeats this node's offers, which newcomers have not heard.
    pub(super) fn introduce(&mut self) {
        self.introduce_at = None;
        self.publish(self.strategy.offers(&self.connected));
    }

    /// A peer said something.
    pub(super) fn on_message(&mut self, message: &Incoming) {
        if !self.is_neighbour(&message.from) {
            return;
        }
        match hear(&message.data, &self.parts.node.id) {
            Ok((heard, kind)) => {
                self.parts.metrics.message(kind);
                self.believe(&message.from, heard);
            }
            Err(error) => self.drop_message(&message.from, &error),
        }
    }

    fn believe(&mut self, from: &str, heard: Heard) {
        match heard {
            Heard::Text(text) => tracing::info!(from, text, "a peer says"),
            Heard::NodeInfo { .. } | Heard::Margin { .. } | Heard::Functions { .. } => {
                tracing::debug!(from, "message of another strategy");
            }
            Heard::Offer { address, offers } => {
                let now = self.clock.monotonic();
                match self.strategy.receive(now, from, address, &offers) {
                    // Its servers and functions may be new; if not, applying does nothing.
                    Reception::NewPeer | Reception::Updated => self.changed(),
                    Reception::NotForUs => {}
                    Reception::NoRoom => {
                        tracing::warn!(from, "there is no room for another peer");
                        self.parts.metrics.bad_message("no room");
                    }
                }
            }
        }
    }

    fn drop_message(&self, from: &str, error: &BadMessage) {
        self.parts.metrics.bad_message(error.reason());
        tracing::warn!(from, %error, "message dropped");
    }

    fn is_neighbour(&self, peer: &str) -> bool {
        self.parts
            .strategy
            .neighbours
            .as_ref()
            .is_none_or(|neighbours| neighbours.contains(peer))
    }

    /// Asks the platform what is deployed.
    pub(super) async fn read_functions(&mut self) {
        let pause = match self.parts.platform.functions().await {
            Ok(functions) => {
                if self.platform_failed {
                    tracing::info!("the functions platform answers");
                }
                self.platform_failed = false;
                if functions != self.functions {
                    self.take_functions(functions);
                }
                FUNCTIONS_PAUSE.min(self.parts.strategy.period)
            }
            Err(error) => {
                if !self.platform_failed {
                    tracing::warn!(%error, "the list of functions stays as it is");
                }
                self.platform_failed = true;
                FUNCTIONS_RETRY
            }
        };
        self.functions_at = Instant::now() + pause;
    }

    fn take_functions(&mut self, functions: crate::platform::Functions) {
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
