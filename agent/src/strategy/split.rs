//! Strategies that give every server of a function a weight, whatever the load: static, all-local, random and
//! latency-threshold.

mod rule;

pub use rule::Rule;

use super::directory::{Directory, Original};
use super::interface::{View, Word};
use super::portions::Decided;
use super::sharing::{Shares, Sharing};
use super::{Compatibility, Need};
use std::time::Duration;

/// State of such a strategy on one node.
#[derive(Debug)]
pub struct Split {
    rule: Rule,
    compatibility: Compatibility,
    sharing: Sharing,
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
            sharing: Sharing::new(Directory::new(period, compatibility, original, port)),
            rule,
            compatibility,
        }
    }
}

impl Shares for Split {
    fn sharing(&self) -> &Sharing {
        &self.sharing
    }

    fn sharing_mut(&mut self) -> &mut Sharing {
        &mut self.sharing
    }

    fn decide(&mut self, view: &View<'_>) -> Result<Vec<Word>, Need> {
        let directory = &self.sharing.directory;
        let mut functions = directory.functions(view);
        if matches!(self.rule, Rule::AllLocal) {
            functions.retain(|function| view.functions.contains_key(function));
        }
        let portions = functions.into_iter().map(|function| {
            let candidates = directory.candidates(view, &function);
            let here = view.functions.contains_key(&function);
            let portions = self.rule.divide(here, &candidates, self.compatibility);
            (function, portions)
        });
        let portions = portions.collect();
        self.sharing.decided = Decided::new(view, portions);
        Ok(self.introduce(view))
    }

    fn introduce(&self, view: &View<'_>) -> Vec<Word> {
        if matches!(self.rule, Rule::AllLocal) {
            return Vec::new();
        }
        self.sharing.directory.words(view)
    }
}

#[cfg(test)]
mod tests;
