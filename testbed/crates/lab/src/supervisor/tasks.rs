//! What goes on in the background for a node or a link, and ends with it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Mutex;

use tokio::task::JoinSet;

use crate::supervisor::lab::lock;

/// Tasks by what they belong to, and by what they do for it.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<HashMap<String, HashMap<String, JoinSet<()>>>>);

impl Tasks {
    /// Starts a task of a node or a link, which have names that differ or are told apart by the caller. `part` tells it
    /// apart from others of the same owner.
    pub(crate) fn spawn(&self, owner: &str, part: &str, task: impl Future<Output = ()> + Send + 'static) {
        let mut all = lock(&self.0);
        let parts = all.entry(owner.to_owned()).or_default();
        parts.entry(part.to_owned()).or_default().spawn(task);
    }

    /// Ends those of one owner.
    pub(crate) fn end(&self, owner: &str) {
        let ended = lock(&self.0).remove(owner);
        drop(ended); // which ends them
    }

    /// Ends those of one owner and returns when they have ended, with all that they held.
    pub(crate) async fn finish(&self, owner: &str) {
        let ended = lock(&self.0).remove(owner);
        for mut tasks in ended.into_iter().flat_map(HashMap::into_values) {
            tasks.shutdown().await;
        }
    }

    /// Ends one part of an owner's and returns when it has ended.
    pub(crate) async fn end_part(&self, owner: &str, part: &str) {
        let ended = lock(&self.0).get_mut(owner).and_then(|parts| parts.remove(part));
        if let Some(mut ended) = ended {
            ended.shutdown().await;
        }
    }

    /// Ends all and returns when they have.
    pub(crate) async fn end_all(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        for mut tasks in all.into_values().flat_map(HashMap::into_values) {
            tasks.shutdown().await;
        }
    }
}

/// The owner of a link's tasks.
pub(crate) fn of_link(link: &str) -> String {
    format!("link {link}")
}

/// The owner of a node's tasks.
pub(crate) fn of_node(node: &str) -> String {
    format!("node {node}")
}
