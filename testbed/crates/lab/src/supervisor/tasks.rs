//! What goes on in the background for a node or a link, and ends with it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Mutex;

use tokio::task::JoinSet;

use crate::supervisor::lab::lock;

/// Tasks by what they belong to.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<HashMap<String, JoinSet<()>>>);

impl Tasks {
    /// Starts a task of a node or a link, which have names that differ or are told apart by the caller.
    pub(crate) fn spawn(&self, owner: &str, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.0).entry(owner.to_owned()).or_default().spawn(task);
    }

    /// Ends those of one owner.
    pub(crate) fn end(&self, owner: &str) {
        let ended = lock(&self.0).remove(owner);
        drop(ended); // which ends them
    }

    /// Ends all and returns when they have.
    pub(crate) async fn end_all(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        for mut tasks in all.into_values() {
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
