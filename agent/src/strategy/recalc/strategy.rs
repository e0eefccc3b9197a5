//! Recalc as one strategy among others.

use super::{Recalc, Step1Inputs};
use crate::strategy::interface::{Reception, Routing, Strategy, TableView, View, Word};
use crate::strategy::{FunctionName, Need, PeerAddress};
use std::collections::BTreeSet;
use std::time::Duration;

impl Strategy for Recalc {
    fn step1(&mut self, view: &View<'_>) -> Result<Vec<Word>, Need> {
        let peers = view.peers.keys().cloned().collect();
        let outputs = self.divide(
            view.now,
            Step1Inputs {
                peers: &peers,
                functions: view.functions,
                user_rates: view.user_rates,
            },
        );
        Ok(vec![Word::Offers(outputs.offers)])
    }

    fn step2(&mut self, view: &View<'_>) {
        self.weigh(view.now, view.peers);
    }

    fn receive(&mut self, now: Duration, from: &str, address: Option<PeerAddress>, word: &Word) -> Reception {
        match (word, address) {
            (Word::Offers(offers), Some(address)) => self.hear(now, from, address, offers),
            _ => Reception::NotForUs,
        }
    }

    fn introduction(&self, view: &View<'_>) -> Vec<Word> {
        let peers = view.peers.keys().cloned().collect();
        vec![Word::Offers(self.offers(&peers))]
    }

    fn purge(&mut self, now: Duration) {
        self.table.purge(now);
    }

    fn forget(&mut self, peer: &str) {
        self.table.remove(peer);
        self.silent.remove(peer);
        self.strangers.remove(peer);
    }

    fn routing(&self, _view: &View<'_>) -> Routing {
        let addresses = self
            .table
            .iter()
            .map(|(peer, entry)| (peer.clone(), entry.address));
        Routing {
            addresses: addresses.collect(),
            limits: self.limits_in_force(),
            weights: self.weights(),
            ..Routing::default()
        }
    }

    fn overloaded(&self) -> BTreeSet<FunctionName> {
        self.overloaded.clone()
    }

    fn table(&self) -> TableView {
        self.table
            .iter()
            .map(|(peer, entry)| (peer.clone(), (entry.address, entry.known.clone())))
            .collect()
    }
}
