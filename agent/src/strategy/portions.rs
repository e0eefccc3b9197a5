//! The weights of all functions under a strategy that splits, and what becomes of them between two steps.

use super::interface::{OwnWeights, Routing, TableView, View};
use super::percent::WHOLE;
use super::{FunctionName, NodeId, PeerAddress, Share};
use std::collections::{BTreeMap, BTreeSet};

/// The weights of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Portions {
    pub(super) own: OwnWeights,
    pub(super) peers: BTreeMap<NodeId, u32>,
}

impl Portions {
    /// Everything is served here.
    pub(super) fn here() -> Self {
        Self {
            own: OwnWeights {
                local: WHOLE,
                reject: 0,
            },
            peers: BTreeMap::new(),
        }
    }
}

/// The weights of every function as the last step decided them.
#[derive(Debug, Default)]
pub(super) struct Decided {
    portions: BTreeMap<FunctionName, Portions>,
    /// Functions that were deployed here then.
    functions: BTreeSet<FunctionName>,
}

impl Decided {
    pub(super) fn new(view: &View<'_>, portions: BTreeMap<FunctionName, Portions>) -> Self {
        Self {
            portions,
            functions: view.functions.keys().cloned().collect(),
        }
    }

    fn weight(&self, peer: &str, function: &str) -> u32 {
        let portions = self.portions.get(function);
        portions
            .and_then(|portions| portions.peers.get(peer))
            .copied()
            .unwrap_or(0)
    }

    /// Peers with their functions, for people.
    pub(super) fn table_view<'a>(
        &self,
        peers: impl Iterator<Item = (&'a NodeId, PeerAddress, &'a BTreeSet<FunctionName>)>,
    ) -> TableView {
        let share = |peer: &NodeId, function: &FunctionName| Share {
            weight: self.weight(peer, function),
            ..Share::default()
        };
        peers
            .map(|(peer, address, functions)| {
                let shares = functions
                    .iter()
                    .map(|function| (function.clone(), share(peer, function)));
                (peer.clone(), (address, shares.collect()))
            })
            .collect()
    }

    /// Takes a peer out of everything.
    pub(super) fn remove(&mut self, peer: &str) {
        for portions in self.portions.values_mut() {
            portions.peers.remove(peer);
        }
    }

    /// What the proxy has to do now: functions that came since the step are served here, those that went are not.
    pub(super) fn routing(&self, view: &View<'_>, address: impl Fn(&str) -> Option<PeerAddress>) -> Routing {
        let mut routing = Routing::default();
        let mut add = |function: &FunctionName, portions: &Portions| {
            routing.own.insert(function.clone(), portions.own);
            let mut weights = BTreeMap::new();
            for (peer, weight) in &portions.peers {
                if let Some(address) = address(peer) {
                    routing.addresses.insert(peer.clone(), address);
                    weights.insert(peer.clone(), *weight);
                }
            }
            routing.weights.insert(function.clone(), weights);
        };
        for function in view.functions.keys() {
            let decided = self.portions.get(function);
            match decided.filter(|_| self.functions.contains(function)) {
                Some(portions) => add(function, portions),
                None => add(function, &Portions::here()),
            }
        }
        for (function, portions) in &self.portions {
            if !view.functions.contains_key(function) && !self.functions.contains(function) {
                add(function, portions);
            }
        }
        routing
    }
}
