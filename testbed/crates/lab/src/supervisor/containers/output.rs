//! What a container prints, as long as it runs, and word of its end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use dfaas_control::{Happening, NodeState};
use dfaas_docker::{ContainerOutput, ContainerStatus, NodeContainer, RunState};

use crate::error::LabError;
use crate::supervisor::containers::node::{CONTAINER_SERVICE, Now};
use crate::supervisor::events::EventLog;
use crate::supervisor::lab::{Lab, lock};

/// Where the output of a node's container goes.
pub(super) struct Output {
    node: String,
    path: PathBuf,
    printed: ContainerOutput,
    events: Arc<EventLog>,
}

impl Output {
    /// To be called before the container starts.
    pub(super) async fn open(lab: &Lab, node: &str, container: &NodeContainer) -> Result<Self, LabError> {
        let directory = lab.state_directory.logs().join(node);
        std::fs::create_dir_all(&directory).map_err(|source| LabError::file("create", &directory, source))?;
        Ok(Self {
            node: node.to_owned(),
            path: directory.join(format!("{CONTAINER_SERVICE}.log")),
            printed: container.listen().await?,
            events: Arc::clone(&lab.events),
        })
    }

    /// Copies what is printed until the container ends, then notes how. `start` tells this life from later ones.
    pub(super) fn follow(self, container: NodeContainer, now: Arc<Mutex<Now>>, start: u32) {
        let Self {
            node,
            path,
            printed,
            events,
        } = self;
        tokio::spawn(async move {
            if let Err(error) = printed.copy_to(&path).await {
                tracing::warn!(node, %error, "the output of a container is not copied any more");
            }
            note_end(&node, &container, &now, start, &events).await;
        });
    }
}

/// Notes that the container has ended, unless it was started again since.
async fn note_end(node: &str, container: &NodeContainer, now: &Mutex<Now>, start: u32, events: &EventLog) {
    let how = match container.status().await {
        Ok(ContainerStatus {
            state: RunState::Running | RunState::Paused,
            ..
        }) => return, // only its output has ended
        Ok(status) => status.describe(),
        Err(error) => error.to_string(),
    };
    let mut now = lock(now);
    if now.starts != start || now.off {
        return; // on purpose it is told by who did it
    }
    tracing::info!(node, how, "a container ended");
    (now.state, now.pid) = (NodeState::Stopped, None);
    now.ended = Some(how.clone());
    events.tell(Happening::Node {
        node: node.to_owned(),
        state: NodeState::Stopped,
        reason: Some(format!("its container has ended ({how})")),
    });
}
