//! Strategies that give every server of a function a weight, whatever the load: static, all-local, random and
//! latency-threshold.

mod rule;

pub use rule::Rule;

use super::directory::{Directory, Original};
use super::interface::{Reception, Routing, Strategy, TableView, View, Word};
use super::portions::Decided;
use super::{Compatibility, Need, PeerAddress};
use std::time::Duration;

/// State of such a strategy on one node.
#[derive(Debug)]
pub struct Split {
    rule: Rule,
    compatibility: Compatibility,
    directory: Directory,
    decided: Decided,
}

impl Split {
    /// A node that knows nobody, with a step every `period`. Peers of the original that say nothing are assumed to
    /// listen on `port`.
    #[must_use]
    pub fn new(rule: Rule, period: Duration, compatibility: Compatibility, port: u16) -> Self {
        let original = if matches!(rule, Rule::Static) {
            Original::Static
        } else {
            Original::Silent
        };
        Self {
            directory: Directory::new(period, compatibility, original, port),
            decided: Decided::default(),
            rule,
            compatibility,
        }
    }

    fn words(&self, view: &View<'_>) -> Vec<Word> {
        if matches!(self.rule, Rule::AllLocal) {
            return Vec::new();
        }
        self.directory.words(view)
    }
}

impl Strategy for Split {
    fn step1(&mut self, view: &View<'_>) -> Result<Vec<Word>, Need> {
        self.directory.purge(view.now);
        let mut functions = self.directory.functions(view);
        if matches!(self.rule, Rule::AllLocal) {
            functions.retain(|function| view.functions.contains_key(function));
        }
        let portions = functions.into_iter().map(|function| {
            let candidates = self.directory.candidates(view, &function);
            let here = view.functions.contains_key(&function);
            let portions = self.rule.divide(here, &candidates, self.compatibility);
            (function, portions)
        });
        let portions = portions.collect();
        self.decided = Decided::new(view, portions);
        Ok(self.words(view))
    }

    fn receive(&mut self, now: Duration, from: &str, address: Option<PeerAddress>, word: &Word) -> Reception {
        self.directory.receive(now, from, address, word)
    }

    fn introduction(&self, view: &View<'_>) -> Vec<Word> {
        self.words(view)
    }

    fn purge(&mut self, now: Duration) {
        self.directory.purge(now);
    }

    fn forget(&mut self, peer: &str) {
        self.directory.remove(peer);
        self.decided.remove(peer);
    }

    fn routing(&self, view: &View<'_>) -> Routing {
        self.decided
            .routing(view, |peer| self.directory.address(view, peer))
    }

    fn table(&self) -> TableView {
        self.decided.table_view(self.directory.peers())
    }
}

#[cfg(test)]
mod tests;
