//! The end of a lab's containers.

use std::sync::Arc;
use std::time::Duration;

use dfaas_docker::Engine;
use futures::future::join_all;

use crate::ledger::{self, Undo};
use crate::supervisor::lab::Lab;

/// Ends the container nodes, then removes every container that the ledger names, made or not. Returns what is left, in
/// words.
pub(crate) async fn remove(lab: &Arc<Lab>, grace: Duration) -> Vec<String> {
    // One that is being made now would appear after it was removed.
    let _making = lab.making_containers.write().await;
    let nodes = lab
        .containers()
        .into_iter()
        .flat_map(|containers| containers.nodes.values());
    join_all(nodes.map(|node| node.stop(grace))).await;
    let recorded = match ledger::read(&lab.state_directory.ledger()) {
        Ok(recorded) => recorded,
        Err(error) => return vec![error.to_string()],
    };
    let names: Vec<String> = recorded
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
        Err(error) => return vec![format!("containers {}: {error}", names.join(", "))],
    };
    let removed = join_all(names.iter().map(|name| engine.remove_container(name))).await;
    removed
        .into_iter()
        .filter_map(|removed| Some(removed.err()?.to_string()))
        .collect()
}
