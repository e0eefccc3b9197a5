//! A node as it runs, whatever its driver.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dfaas_control::{NodeState, ServiceInfo};
use dfaas_model::Limits;
use dfaas_process::NodeReference;
use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::supervisor::containers::ContainerNode;
use crate::supervisor::lab::Lab;
use crate::supervisor::node::RunningNode;

/// What another process needs to run programs in a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entrance {
    /// How to get in.
    #[serde(flatten)]
    pub node: NodeReference,
    /// The variables that programs there start with; absent where they are those of whoever enters.
    pub environment: Option<BTreeMap<String, String>>,
}

/// What is the same for both drivers.
#[derive(Clone)]
pub(crate) enum Driven {
    /// Namespaces and an init of ours.
    Native(Arc<RunningNode>),
    /// A container.
    Container(Arc<ContainerNode>),
}

impl Driven {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Native(node) => &node.name,
            Self::Container(node) => node.name(),
        }
    }

    /// Held while the node is being changed, so that two changes come one after the other.
    pub(crate) fn turn(&self) -> &tokio::sync::Mutex<()> {
        match self {
            Self::Native(node) => &node.turn,
            Self::Container(node) => &node.turn,
        }
    }

    pub(crate) fn state(&self) -> NodeState {
        match self {
            Self::Native(node) => node.state(),
            Self::Container(node) => node.state(),
        }
    }

    /// Its first process, as this machine sees it, while there is one.
    pub(crate) fn pid(&self) -> Option<i32> {
        match self {
            Self::Native(node) => node.pid(),
            Self::Container(node) => node.pid(),
        }
    }

    pub(crate) fn services(&self) -> Vec<ServiceInfo> {
        match self {
            Self::Native(node) => node.services(),
            Self::Container(node) => node.services(),
        }
    }

    /// What it may use of the machine.
    pub(crate) fn limits(&self) -> Limits {
        match self {
            Self::Native(node) => node.limits(),
            Self::Container(node) => node.limits(),
        }
    }

    /// Whether nothing runs in it because it was stopped, or because its first process has ended.
    pub(crate) fn is_off(&self) -> bool {
        match self {
            Self::Native(node) => node.is_off(),
            Self::Container(node) => node.is_off(),
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        match self {
            Self::Native(node) => node.is_paused(),
            Self::Container(node) => node.state() == NodeState::Paused,
        }
    }

    /// Fails with the last log lines if something in it has ended: before the node is ready nothing may.
    pub(crate) fn check(&self, lab: &Lab) -> Result<(), LabError> {
        match self {
            Self::Native(node) => node.check_services(lab),
            Self::Container(node) => node.check(lab),
        }
    }

    /// What another process needs to enter it. A native node without a first process gets one.
    pub(crate) async fn reference(&self, lab: &Arc<Lab>) -> Result<NodeReference, LabError> {
        match self {
            Self::Native(node) => node.ensure_init(lab).await,
            Self::Container(node) => node.reference(),
        }
    }

    /// See [`Entrance::environment`].
    pub(crate) fn environment(&self) -> Option<BTreeMap<String, String>> {
        match self {
            Self::Native(_) => None,
            Self::Container(node) => node.environment(),
        }
    }

    /// Runs one command of the file to its end; anything but exit code 0 is an error.
    pub(crate) async fn run_command(
        &self,
        lab: &Arc<Lab>,
        number: usize,
        command: &str,
    ) -> Result<(), LabError> {
        match self {
            Self::Native(node) => {
                node.ensure_init(lab).await?;
                node.run_command(lab, number, command).await
            }
            Self::Container(node) => node.run_command(command).await,
        }
    }

    /// Ends all that runs in it: in good order within `grace`, or at once without. Its links stay.
    pub(crate) async fn power_off(&self, grace: Option<Duration>) -> Result<(), LabError> {
        match self {
            Self::Native(node) => node.power_off(grace).await,
            Self::Container(node) => node.power_off(grace).await,
        }
    }

    /// Forgets the life before: something can be started in it again.
    pub(crate) fn power_on(&self) {
        match self {
            Self::Native(node) => node.power_on(),
            Self::Container(node) => node.power_on(),
        }
    }

    /// Holds all that runs in it where it is, or lets it go on.
    pub(crate) async fn pause(&self, paused: bool) -> Result<(), LabError> {
        match self {
            Self::Native(node) => node.pause(paused).await,
            Self::Container(node) => node.pause(paused).await,
        }
    }

    /// Changes what it may use, now and when it is started again.
    pub(crate) async fn limit(&self, limits: Limits) -> Result<(), LabError> {
        match self {
            Self::Native(node) => node.limit(limits).await,
            Self::Container(node) => node.limit(limits).await,
        }
    }
}
