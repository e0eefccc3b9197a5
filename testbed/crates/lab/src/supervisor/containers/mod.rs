//! Nodes that are containers. Each has a network holder, made before the network, so that its links outlive its
//! restarts, and a node container, made when the network is there.

mod holders;
mod node;
mod output;
mod provision;
mod remove;
mod specification;

use std::sync::Arc;

use dfaas_control::LabState;

use crate::error::LabError;
use crate::supervisor::lab::Lab;

pub(crate) use holders::{hold_networks, let_go};
pub(crate) use node::{CONTAINER_SERVICE, ContainerNode};
pub(crate) use provision::{Provisions, check, provide, refuse};
pub(crate) use remove::{remove, remove_node};

/// Runs work on containers to its end, even if nobody waits for it any more: an engine makes what it was asked for although
/// the one who asked is gone, and the lab's end has to know. Nothing begins once the lab is ending.
async fn to_the_end<T: Send + 'static>(
    lab: &Lab,
    work: impl Future<Output = Result<T, LabError>> + Send + 'static,
) -> Result<T, LabError> {
    let guard = Arc::clone(&lab.working_on_containers).read_owned().await;
    let state = *lab.states().borrow();
    if state == LabState::Stopping {
        return Err(LabError::NotNow {
            lab: lab.name().to_owned(),
            state: state.to_string(),
        });
    }
    let done = tokio::spawn(async move {
        let _guard = guard;
        work.await
    });
    done.await.map_err(|error| LabError::SupervisorGone {
        name: lab.name().to_owned(),
        detail: format!(": {error}"),
    })?
}
