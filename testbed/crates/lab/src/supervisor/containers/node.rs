//! One node that is a container, while the lab runs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dfaas_control::{NodeState, ServiceInfo};
use dfaas_docker::{ContainerSpec, Engine, Holder, NodeContainer, RunState};
use dfaas_model::{Limits, Node};
use dfaas_process::NodeReference;
use tokio::time::{Instant, sleep};

use crate::error::LabError;
use crate::fault;
use crate::supervisor::containers::provision::Provision;
use crate::supervisor::containers::{output, specification, to_the_end};
use crate::supervisor::lab::{Lab, lock};
use crate::supervisor::services::ContainerInputs;

/// The name of a container's output among a node's logs.
pub(crate) const CONTAINER_SERVICE: &str = "container";
/// How long a container with a health check may take until it is healthy; one with systemd in it needs a good part.
const HEALTH_LIMIT: Duration = Duration::from_secs(180);
/// So long one without a health check has to live: a command that cannot run shows at once.
const SETTLING: Duration = Duration::from_millis(300);
/// Between two looks at it.
const HEALTH_INTERVAL: Duration = Duration::from_millis(50);

/// A node that is a container.
#[derive(Debug)]
pub(crate) struct ContainerNode {
    name: String,
    /// Held while the node is being changed, so that two changes come one after the other.
    pub(crate) turn: tokio::sync::Mutex<()>,
    engine: Engine,
    container: NodeContainer,
    holder: Holder,
    /// The namespace that the holder keeps.
    network: Arc<OwnedFd>,
    made_with: Mutex<Provision>,
    /// The names that the lab has given it.
    hosts: tokio::sync::Mutex<Vec<(IpAddr, String)>>,
    now: Arc<Mutex<Now>>,
}

/// What it is doing.
#[derive(Debug, Default)]
pub(super) struct Now {
    pub(super) state: NodeState,
    pub(super) pid: Option<i32>,
    /// How often it was started.
    pub(super) starts: u32,
    /// How it ended, in words.
    pub(super) ended: Option<String>,
    /// Ended on purpose.
    pub(super) off: bool,
    limits: Limits,
    /// What the container on the engine was made from, if there is one.
    made_from: Option<(ContainerSpec, ContainerInputs)>,
}

/// What a container node is made with, found out before anything of the lab exists.
pub(super) struct Prepared {
    pub(super) container: String,
    pub(super) holder: Holder,
    pub(super) network: OwnedFd,
    pub(super) provision: Provision,
    /// The names that the holder was started with.
    pub(super) hosts: Vec<(IpAddr, String)>,
}

impl ContainerNode {
    pub(super) fn new(node: &Node, engine: &Engine, prepared: Prepared) -> Self {
        let now = Now {
            limits: node.limits.clone(),
            ..Now::default()
        };
        Self {
            name: node.name.clone(),
            turn: tokio::sync::Mutex::default(),
            engine: engine.clone(),
            container: engine.node(&prepared.container),
            holder: prepared.holder,
            network: Arc::new(prepared.network),
            made_with: Mutex::new(prepared.provision),
            hosts: tokio::sync::Mutex::new(prepared.hosts),
            now: Arc::new(Mutex::new(now)),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its network namespace.
    pub(crate) fn network(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.network)
    }

    /// What it is made with when it is started the next time.
    pub(crate) fn make_with(&self, provision: Provision) {
        *lock(&self.made_with) = provision;
    }

    /// Tells it which names stand for which addresses, whether it runs or not.
    pub(crate) async fn set_hosts(&self, hosts: Vec<(IpAddr, String)>) -> Result<(), LabError> {
        let mut known = self.hosts.lock().await;
        if *known != hosts {
            self.engine.set_hosts(&self.holder.name, &known, &hosts).await?;
            *known = hosts;
        }
        Ok(())
    }

    pub(crate) fn state(&self) -> NodeState {
        lock(&self.now).state
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        lock(&self.now).pid
    }

    pub(crate) fn limits(&self) -> Limits {
        lock(&self.now).limits.clone()
    }

    pub(crate) fn is_off(&self) -> bool {
        let now = lock(&self.now);
        now.off || now.ended.is_some()
    }

    /// The container as the one service the lab knows of; what runs inside is its own affair.
    pub(crate) fn services(&self) -> Vec<ServiceInfo> {
        let now = lock(&self.now);
        let state = match now.state {
            NodeState::Idle | NodeState::Starting => "starting",
            NodeState::Running => "running",
            NodeState::Paused => "paused",
            NodeState::Stopped => "stopped",
        };
        vec![ServiceInfo {
            name: CONTAINER_SERVICE.to_owned(),
            state: state.to_owned(),
            pid: now.pid,
            restarts: now.starts.saturating_sub(1),
        }]
    }

    /// What another process needs to enter it.
    pub(crate) fn reference(&self) -> Result<NodeReference, LabError> {
        let pid = self.pid().ok_or_else(|| self.error(self.why_it_does_not_run()))?;
        if self.state() == NodeState::Paused {
            return Err(self.error("it is paused".to_owned()));
        }
        Ok(NodeReference {
            pid,
            start_time: dfaas_process::start_time(pid)?,
            cgroup: Some(dfaas_process::cgroup_of(pid)?),
        })
    }

    fn why_it_does_not_run(&self) -> String {
        let now = lock(&self.now);
        match &now.ended {
            _ if now.off => "it is stopped".to_owned(),
            Some(how) => format!("its container has ended ({how})"),
            None => "its container does not run yet".to_owned(),
        }
    }

    /// The variables that its first process was started with; what is not text is left out.
    pub(crate) fn environment(&self) -> Option<BTreeMap<String, String>> {
        let environment = std::fs::read(format!("/proc/{}/environ", self.pid()?)).ok()?;
        let entries = environment.split(|byte| *byte == 0);
        let pairs = entries.filter_map(|entry| std::str::from_utf8(entry).ok()?.split_once('='));
        Some(
            pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// Fails with the last words of the container if it has ended.
    pub(crate) fn check(&self, lab: &Lab) -> Result<(), LabError> {
        let ended = lock(&self.now).ended.clone();
        match ended {
            None => Ok(()),
            Some(how) => {
                let log = lab.last_log_lines(&self.name, CONTAINER_SERVICE);
                Err(self.error(format!("its container ended while it started ({how}){log}")))
            }
        }
    }

    /// Starts it, for the first time or again, and copies what it prints to the node's log. The same container is
    /// started again, with the files that were written in it, unless what it is made from has changed.
    pub(crate) async fn start(
        self: &Arc<Self>,
        lab: &Arc<Lab>,
        node: &Node,
        inputs: ContainerInputs,
    ) -> Result<(), LabError> {
        self.make_sure(lab, node, inputs).await?;
        fault::step("container made");
        let output = output::Output::open(lab, &self.name, &self.container).await?;
        let status = self.container.start().await?;
        fault::step("container started");
        let start = {
            let mut now = lock(&self.now);
            now.state = NodeState::Starting;
            now.pid = status.pid;
            now.starts += 1;
            (now.ended, now.off) = (None, false);
            now.starts
        };
        output.follow(self.container.clone(), Arc::clone(&self.now), start);
        Ok(())
    }

    /// Creates the container with its files, which are there before its first process is; one that was made from
    /// something else is removed first.
    async fn make_sure(
        self: &Arc<Self>,
        lab: &Arc<Lab>,
        node: &Node,
        inputs: ContainerInputs,
    ) -> Result<(), LabError> {
        let settings = node
            .driver
            .container()
            .ok_or_else(|| self.error("it is no container".to_owned()))?;
        let environment = inputs.environment.clone();
        let Provision { image, runtime } = lock(&self.made_with).clone();
        let mut wanted = specification::container(lab.name(), node, settings, &runtime, environment);
        self.container.name().clone_into(&mut wanted.name);
        wanted.image = image;
        wanted.holder.clone_from(&self.holder.name);
        wanted.limits = specification::limits(&self.limits());
        let made_from = Some((wanted.clone(), inputs.clone()));
        let same = lock(&self.now).made_from == made_from;
        // Somebody else may have removed it.
        if same && self.container.status().await.is_ok() {
            return Ok(());
        }
        let this = Arc::clone(self);
        to_the_end(lab, async move {
            this.container.remove().await?;
            let container = this.engine.create_node(&wanted).await?;
            if !inputs.files.is_empty() {
                container.put_files(&inputs.files).await?;
            }
            lock(&this.now).made_from = made_from;
            Ok(())
        })
        .await
    }

    /// Runs one command of the file to its end; anything but exit code 0 is an error.
    pub(crate) async fn run_command(&self, command: &str) -> Result<(), LabError> {
        let (code, output) = self.container.run(&["/bin/sh", "-c", command]).await?;
        if code == 0 {
            return Ok(());
        }
        let output = output.trim_end();
        let words = if output.is_empty() {
            "; it printed nothing".to_owned()
        } else {
            format!("; its last words:\n{output}")
        };
        Err(self.error(format!("`{command}` failed (exit code {code}){words}")))
    }

    /// Waits until its health check says that it is well, or without one, until it has lived for a moment.
    pub(crate) async fn wait_healthy(&self, lab: &Lab) -> Result<(), LabError> {
        let settled = Instant::now() + SETTLING;
        let deadline = Instant::now() + HEALTH_LIMIT;
        loop {
            self.check(lab)?;
            let status = self.container.status().await?;
            match status.health.as_deref() {
                None if status.state == RunState::Running && Instant::now() > settled => return Ok(()),
                Some("healthy") => return Ok(()),
                _ if Instant::now() > deadline => {
                    let health = status.health.clone().unwrap_or_else(|| status.describe());
                    let log = lab.last_log_lines(&self.name, CONTAINER_SERVICE);
                    let limit = HEALTH_LIMIT.as_secs();
                    return Err(self.error(format!("its container is {health} after {limit} s{log}")));
                }
                _ => sleep(HEALTH_INTERVAL).await,
            }
        }
    }

    pub(crate) fn mark_running(&self) {
        let mut now = lock(&self.now);
        if now.ended.is_none() && !now.off {
            now.state = NodeState::Running;
        }
    }

    /// Ends it: by its stop signal and, after `grace`, by SIGKILL; at once without. The network holder goes on.
    pub(crate) async fn power_off(&self, grace: Option<Duration>) -> Result<(), LabError> {
        let was_paused = {
            let mut now = lock(&self.now);
            now.off = true; // before its end, which is on purpose
            now.state == NodeState::Paused
        };
        if was_paused {
            self.container.resume().await?; // an engine ends nothing that stands still
        }
        let is_made = lock(&self.now).made_from.is_some();
        if is_made && self.container.status().await?.pid.is_some() {
            match grace {
                Some(grace) => self.container.stop(grace).await?,
                None => self.container.kill().await?,
            }
        }
        let mut now = lock(&self.now);
        (now.state, now.pid) = (NodeState::Stopped, None);
        Ok(())
    }

    /// Forgets the life before.
    pub(crate) fn power_on(&self) {
        let mut now = lock(&self.now);
        (now.off, now.ended, now.state) = (false, None, NodeState::Starting);
    }

    /// Freezes all its processes, or lets them go on.
    pub(crate) async fn pause(&self, paused: bool) -> Result<(), LabError> {
        if paused {
            self.container.pause().await?;
        } else {
            self.container.resume().await?;
        }
        lock(&self.now).state = if paused {
            NodeState::Paused
        } else {
            NodeState::Running
        };
        Ok(())
    }

    /// Changes what it may use.
    pub(crate) async fn limit(&self, limits: Limits) -> Result<(), LabError> {
        if limits.memory_bytes.is_none() && self.limits().memory_bytes.is_some() {
            let reason = "Docker cannot take the memory limit of a container away; give it a large one";
            return Err(self.error(reason.to_owned()));
        }
        let wanted = specification::limits(&limits);
        if lock(&self.now).made_from.is_some() {
            self.container.set_limits(&wanted).await?;
        }
        let mut now = lock(&self.now);
        now.limits = limits;
        if let Some((made, _)) = &mut now.made_from {
            made.limits = wanted;
        }
        Ok(())
    }

    /// Asks it to end, and kills it after `grace`; how that went shows when it is removed.
    pub(super) async fn stop(&self, grace: Duration) {
        if self.pid().is_some()
            && let Err(error) = self.power_off(Some(grace)).await
        {
            tracing::warn!(node = self.name, %error, "a container does not stop and is removed as it is");
        }
    }

    /// Removes its container and then its network. Returns what is left, in words.
    pub(super) async fn remove(&self) -> Vec<String> {
        let container = self.container.remove().await;
        let holder = self.engine.remove_container(&self.holder.name).await;
        let left = [container, holder].into_iter().filter_map(Result::err);
        left.map(|error| error.to_string()).collect()
    }

    fn error(&self, reason: String) -> LabError {
        LabError::Node {
            node: self.name.clone(),
            reason,
        }
    }
}
