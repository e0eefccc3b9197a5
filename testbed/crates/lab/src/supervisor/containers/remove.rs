//! The end of a lab's containers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dfaas_docker::Engine;
use futures::future::join_all;

use crate::ledger::{self, Undo};
use crate::supervisor::containers::{ContainerNode, to_the_end};
use crate::supervisor::lab::Lab;

/// Ends the container nodes, then removes every container that the ledger names, made or not. Returns what is left, in
/// words.
pub(crate) async fn remove(lab: &Arc<Lab>, grace: Duration) -> Vec<String> {
    // One that is being made now would appear after it was removed.
    let _working = lab.working_on_containers.write().await;
    let nodes = lab.containers();
    join_all(nodes.iter().map(|node| node.stop(grace))).await;
    let recorded = match ledger::read(&lab.state_directory.ledger()) {
        Ok(recorded) => recorded,
        Err(error) => return vec![error.to_string()],
    };
    // A node that came, went and came again is there twice.
    let names: BTreeSet<String> = recorded
        .into_iter()
        .filter_map(|entry| match entry {
            Undo::RemoveContainer { name } => Some(name),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    let engine = match Engine::connect().await {
        Ok(engine) => engine,
        Err(error) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            return vec![format!("containers {}: {error}", names.join(", "))];
        }
    };
    let removed = join_all(names.iter().map(|name| engine.remove_container(name))).await;
    removed
        .into_iter()
        .filter_map(|removed| Some(removed.err()?.to_string()))
        .collect()
}

/// Ends one container node and removes both its containers, with the network that they hold. Returns what is left, in
/// words.
pub(crate) async fn remove_node(lab: &Arc<Lab>, node: Arc<ContainerNode>, grace: Duration) -> Vec<String> {
    let removing = to_the_end(lab, async move {
        let _turn = node.turn.lock().await;
        node.stop(grace).await;
        Ok(node.remove().await)
    });
    removing.await.unwrap_or_else(|error| vec![error.to_string()])
}
