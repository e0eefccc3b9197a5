//! What the strategies have in common that give every server of a function a share: peers say which functions they have,
//! a step decides the shares, and they stay until the next.

use super::directory::Directory;
use super::interface::{Reception, Routing, Strategy, TableView, View, Word};
use super::portions::Decided;
use super::{Need, PeerAddress};
use std::fmt::Debug;
use std::time::Duration;

/// What such a strategy knows and has decided.
#[derive(Debug)]
pub(super) struct Sharing {
    pub(super) directory: Directory,
    pub(super) decided: Decided,
}

impl Sharing {
    /// Nothing is decided yet.
    pub(super) fn new(directory: Directory) -> Self {
        Self {
            directory,
            decided: Decided::default(),
        }
    }
}

/// A strategy that decides by shares; the rest of [`Strategy`] is the same for all.
pub(super) trait Shares: Debug + Send + Sync {
    fn sharing(&self) -> &Sharing;

    fn sharing_mut(&mut self) -> &mut Sharing;

    /// As [`Strategy::step1`], with the silent peers forgotten.
    fn decide(&mut self, view: &View<'_>) -> Result<Vec<Word>, Need>;

    /// As [`Strategy::introduction`].
    fn introduce(&self, view: &View<'_>) -> Vec<Word> {
        self.sharing().directory.words(view)
    }
}

impl<S: Shares> Strategy for S {
    fn step1(&mut self, view: &View<'_>) -> Result<Vec<Word>, Need> {
        self.purge(view.now);
        self.decide(view)
    }

    fn receive(&mut self, now: Duration, from: &str, address: Option<PeerAddress>, word: &Word) -> Reception {
        self.sharing_mut().directory.receive(now, from, address, word)
    }

    fn introduction(&self, view: &View<'_>) -> Vec<Word> {
        self.introduce(view)
    }

    fn purge(&mut self, now: Duration) {
        self.sharing_mut().directory.purge(now);
    }

    fn forget(&mut self, peer: &str) {
        let sharing = self.sharing_mut();
        sharing.directory.remove(peer);
        sharing.decided.remove(peer);
    }

    fn routing(&self, view: &View<'_>) -> Routing {
        let Sharing { directory, decided } = self.sharing();
        decided.routing(view, |peer| directory.address(view, peer))
    }

    fn table(&self) -> TableView {
        let Sharing { directory, decided } = self.sharing();
        decided.table_view(directory.peers())
    }
}
