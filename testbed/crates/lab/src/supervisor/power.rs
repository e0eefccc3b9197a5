//! Nodes of a running lab are stopped and started, held and let go. Their namespaces stay, and with these their links,
//! addresses and routes.

use std::sync::Arc;
use std::time::Duration;

use dfaas_control::{Happening, NodeInfo, NodeState};
use dfaas_model::{Limits, Node, NodeAction, NodeKind};
use serde_json::{Map, Value};

use crate::error::LabError;
use crate::supervisor::driven::Driven;
use crate::supervisor::lab::Lab;
use crate::supervisor::{bring_up, ready, settings, translate};

/// How long services may take to end in good order.
const GRACE: Duration = Duration::from_secs(5);

impl Lab {
    /// Does something to a node and returns it. One that is in the wanted state already is left alone. After a start,
    /// `wait` waits until the node's functions answer.
    pub(crate) async fn change_node(
        self: &Arc<Self>,
        name: &str,
        action: NodeAction,
        wait: bool,
    ) -> Result<NodeInfo, LabError> {
        let node = self.known(name)?;
        let running = self.driven(name)?;
        self.must_be_there()?;
        if node.kind == NodeKind::Switch {
            let reason = "it is a switch, which runs nothing; take its links down instead".to_owned();
            return Err(refused(name, reason));
        }
        let _turn = running.turn().lock().await;
        match action {
            NodeAction::Stop => self.stop_node(&running, Some(GRACE)).await?,
            NodeAction::Kill => self.stop_node(&running, None).await?,
            NodeAction::Start => self.start_node(&node, &running, wait).await?,
            NodeAction::Restart => {
                self.stop_node(&running, Some(GRACE)).await?;
                self.start_node(&node, &running, wait).await?;
            }
            NodeAction::Pause | NodeAction::Resume => {
                self.pause_node(&running, action == NodeAction::Pause).await?;
            }
        }
        self.node(name)
    }

    /// Changes what a node may use, in the words of the file, and returns the node.
    pub(crate) async fn change_limits(
        &self,
        name: &str,
        changes: &Map<String, Value>,
    ) -> Result<NodeInfo, LabError> {
        let running = self.driven(name)?;
        self.must_be_there()?;
        let _turn = running.turn().lock().await;
        let limits = dfaas_model::limits_change(&running.limits(), &settings::overrides(changes)?)
            .map_err(|error| LabError::Setting(format!("node `{name}`: {}", error.line())))?;
        running.limit(limits.clone()).await?;
        self.tell_limits(name, &limits);
        self.node(name)
    }

    pub(crate) fn tell_limits(&self, node: &str, limits: &Limits) {
        self.events.tell(Happening::Limits {
            node: node.to_owned(),
            limits: translate::limits_for_people(limits),
        });
    }

    async fn stop_node(&self, running: &Driven, grace: Option<Duration>) -> Result<(), LabError> {
        if running.is_off() && running.state() == NodeState::Stopped && running.pid().is_none() {
            return Ok(());
        }
        running.power_off(grace).await?;
        self.tell_state(running);
        Ok(())
    }

    async fn start_node(self: &Arc<Self>, node: &Node, running: &Driven, wait: bool) -> Result<(), LabError> {
        if running.is_paused() {
            return Err(refused(&node.name, "it is paused; resume it".to_owned()));
        }
        if running.is_off() {
            running.power_on();
            if let Err(error) = bring_up::start_again(self, node).await {
                // Not half a node: what did start ends again.
                running.power_off(None).await?;
                self.tell_state(running);
                return Err(error);
            }
            if let Err(error) = bring_up::run_commands(self, node).await {
                // What is left of the first time may be in their way; the node itself runs.
                self.warn(error.to_string());
            }
            self.tell_state(running);
        }
        if wait && node.kind == NodeKind::Dfaas {
            ready::functions_answer(self, node).await?;
        }
        Ok(())
    }

    async fn pause_node(&self, running: &Driven, paused: bool) -> Result<(), LabError> {
        if running.is_off() {
            return Err(refused(running.name(), "it is stopped".to_owned()));
        }
        if running.is_paused() != paused {
            running.pause(paused).await?;
            self.tell_state(running);
        }
        Ok(())
    }

    pub(crate) fn tell_state(&self, running: &Driven) {
        self.events.tell(Happening::Node {
            node: running.name().to_owned(),
            state: running.state(),
            reason: None,
        });
    }
}

fn refused(node: &str, reason: String) -> LabError {
    LabError::Node {
        node: node.to_owned(),
        reason,
    }
}
