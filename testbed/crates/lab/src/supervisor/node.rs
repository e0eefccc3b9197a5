//! A node while the lab runs: its namespace always, its init and services once it has them.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dfaas_control::{Happening, NodeState, ServiceInfo};
use dfaas_model::{Node, NodeKind};
use dfaas_process::{
    Bind, Cgroup, CgroupDirectory, CgroupReference, Event, ExitStatus, Hierarchies, Init, InitSpec, Limits,
    NodeReference, Privileges, Restart, ServiceSpec,
};
use indexmap::IndexMap;

use crate::error::LabError;
use crate::fault;
use crate::ledger::Undo;
use crate::supervisor::lab::{Lab, lock};
use crate::supervisor::services::NODE_PROGRAMS;

/// The hidden verb of the command line program that becomes a node's first process.
pub const INIT_VERB: &str = "node-init";
/// How long a node's surroundings may take to be made; a hundred nodes at once on two cores need seconds.
const INIT_LIMIT: Duration = Duration::from_secs(60);

/// One node.
pub(crate) struct RunningNode {
    pub(crate) name: String,
    /// Held while the node is being changed, so that two changes come one after the other.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Held while an init is being started, so that two callers do not start two.
    starting: Arc<tokio::sync::Mutex<()>>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    running: bool,
    /// Shut down on purpose: nothing is started in it until it is started again.
    off: bool,
    paused: bool,
    limits: dfaas_model::Limits,
    init: Option<Arc<Init>>,
    cgroup: Option<Arc<Cgroup>>,
    ended: Option<ExitStatus>,
    services: IndexMap<String, Service>,
}

struct Service {
    state: &'static str,
    pid: Option<i32>,
    restarts: u32,
    /// How it ended last, if it ever did.
    ended: Option<ExitStatus>,
}

impl RunningNode {
    pub(crate) fn new(node: &Node) -> Self {
        let inner = Inner {
            limits: node.limits.clone(),
            ..Inner::default()
        };
        Self {
            name: node.name.clone(),
            turn: tokio::sync::Mutex::default(),
            starting: Arc::default(),
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    pub(crate) fn state(&self) -> NodeState {
        let inner = lock(&self.inner);
        match (&inner.init, inner.ended, inner.running) {
            _ if inner.off => NodeState::Stopped,
            _ if inner.paused => NodeState::Paused,
            (None, ..) => NodeState::Idle,
            (Some(_), Some(_), _) => NodeState::Stopped,
            (Some(_), None, true) => NodeState::Running,
            (Some(_), None, false) if inner.services.is_empty() => NodeState::Idle,
            (Some(_), None, false) => NodeState::Starting,
        }
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        lock(&self.inner).init.as_ref().map(|init| init.pid())
    }

    pub(crate) fn services(&self) -> Vec<ServiceInfo> {
        let inner = lock(&self.inner);
        let info = |(name, service): (&String, &Service)| ServiceInfo {
            name: name.clone(),
            state: service.state.to_owned(),
            pid: service.pid,
            restarts: service.restarts,
        };
        inner.services.iter().map(info).collect()
    }

    pub(crate) fn mark_running(&self) {
        lock(&self.inner).running = true;
    }

    /// The node's init, started now if it has none.
    pub(crate) async fn ensure_init(&self, lab: &Arc<Lab>) -> Result<NodeReference, LabError> {
        let starting = Arc::clone(&self.starting).lock_owned().await;
        {
            let inner = lock(&self.inner);
            match (&inner.init, inner.ended) {
                _ if inner.off => return Err(self.error("it is stopped".to_owned())),
                _ if inner.paused => return Err(self.error("it is paused".to_owned())),
                (Some(_), Some(status)) => return Err(self.error(format!("its init has ended ({status})"))),
                (Some(init), None) => return Ok(init.reference()),
                (None, _) => {}
            }
        }
        let (lab, name, inner) = (Arc::clone(lab), self.name.clone(), Arc::clone(&self.inner));
        let started = tokio::task::spawn_blocking(move || {
            let _starting = starting; // until it has started, even if nobody waits for it any more
            start_init(&lab, &name, &inner)
        });
        started.await.map_err(|error| self.error(error.to_string()))?
    }

    /// Starts a service and returns when its program has been executed.
    pub(crate) async fn start_service(&self, specification: ServiceSpec) -> Result<(), LabError> {
        let init = lock(&self.inner)
            .init
            .clone()
            .ok_or_else(|| self.error("it has no init".to_owned()))?;
        let name = specification.name.clone();
        let starting = Service {
            state: "starting",
            pid: None,
            restarts: 0,
            ended: None,
        };
        lock(&self.inner).services.insert(name, starting);
        let started = tokio::task::spawn_blocking(move || init.start_service(specification)).await;
        started
            .map_err(|error| self.error(error.to_string()))?
            .map_err(LabError::from)
    }

    /// Ends a service and forgets it; nothing if there is none.
    pub(crate) async fn stop_service(&self, name: &str) -> Result<(), LabError> {
        let init = {
            let inner = lock(&self.inner);
            inner.init.clone().filter(|_| inner.services.contains_key(name))
        };
        let Some(init) = init else {
            return Ok(());
        };
        let service = name.to_owned();
        let stopped = tokio::task::spawn_blocking(move || init.stop_service(&service)).await;
        stopped.map_err(|error| self.error(error.to_string()))??;
        lock(&self.inner).services.shift_remove(name);
        Ok(())
    }

    /// From now on only services that end anew have ended, for [`RunningNode::check_services`].
    pub(crate) fn forget_ends(&self) {
        for service in lock(&self.inner).services.values_mut() {
            service.ended = None;
        }
    }

    /// Fails with the last log lines if a service has ended: before the node is ready nothing may.
    pub(crate) fn check_services(&self, lab: &Lab) -> Result<(), LabError> {
        let ended = {
            let inner = lock(&self.inner);
            if let Some(status) = inner.ended {
                return Err(self.error(format!("its init ended ({status})")));
            }
            inner
                .services
                .iter()
                .find_map(|(name, service)| Some((name.clone(), service.ended?)))
        };
        match ended {
            None => Ok(()),
            Some((service, status)) => {
                let log = lab.last_log_lines(&self.name, &service);
                Err(self.error(format!(
                    "service `{service}` ended while it started ({status}){log}"
                )))
            }
        }
    }

    /// Runs one command to its end; anything but exit code 0 is an error.
    pub(crate) async fn run_command(
        &self,
        lab: &Arc<Lab>,
        number: usize,
        command: &str,
    ) -> Result<(), LabError> {
        let env = lab.known(&self.name)?.env;
        let name = format!("exec-{number}");
        let specification = ServiceSpec {
            name: name.clone(),
            command: ["/bin/sh", "-c", command].map(str::to_owned).to_vec(),
            env: std::iter::once((
                "PATH".to_owned(),
                crate::supervisor::services::DEFAULT_PATH.to_owned(),
            ))
            .chain(env)
            .collect(),
            directory: "/".into(),
            restart: Restart::Never,
            files: Vec::new(),
        };
        self.start_service(specification).await?;
        let status = loop {
            if let Some(status) = lock(&self.inner)
                .services
                .get(&name)
                .and_then(|service| service.ended)
            {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        if status.success() {
            lock(&self.inner).services.shift_remove(&name);
            return Ok(());
        }
        let log = lab.last_log_lines(&self.name, &name);
        Err(self.error(format!("`{command}` failed ({status}){log}")))
    }

    /// What it may use of the machine.
    pub(crate) fn limits(&self) -> dfaas_model::Limits {
        lock(&self.inner).limits.clone()
    }

    /// Whether nothing can be started in it: it was shut down, or its init has ended by itself.
    pub(crate) fn is_off(&self) -> bool {
        let inner = lock(&self.inner);
        inner.off || inner.ended.is_some()
    }

    pub(crate) fn is_paused(&self) -> bool {
        lock(&self.inner).paused
    }

    /// Tells its init, if it has one, which names stand for which addresses.
    pub(crate) async fn set_hosts(&self, hosts: Vec<(IpAddr, String)>) -> Result<(), LabError> {
        let init = {
            let inner = lock(&self.inner);
            inner.init.clone().filter(|_| !inner.off && inner.ended.is_none())
        };
        let Some(init) = init else {
            return Ok(()); // the next one is told at its start
        };
        let told = tokio::task::spawn_blocking(move || init.set_hosts(hosts)).await;
        Ok(told.map_err(|error| self.error(error.to_string()))??)
    }

    /// Ends all that runs in the node: in good order within `grace`, or at once without. Its namespace and its links
    /// stay.
    pub(crate) async fn power_off(&self, grace: Option<Duration>) -> Result<(), LabError> {
        let starting = Arc::clone(&self.starting).lock_owned().await;
        let inner = Arc::clone(&self.inner);
        let ended = tokio::task::spawn_blocking(move || {
            let _starting = starting;
            end_processes(&inner, grace)
        });
        ended.await.map_err(|error| self.error(error.to_string()))??;
        Ok(())
    }

    /// Forgets the life before: something can be started in it again.
    pub(crate) fn power_on(&self) {
        let mut inner = lock(&self.inner);
        (inner.off, inner.running, inner.ended, inner.init) = (false, false, None, None);
        inner.services.clear();
    }

    /// Holds all that runs in the node where it is, or lets it go on.
    pub(crate) async fn pause(&self, paused: bool) -> Result<(), LabError> {
        let inner = Arc::clone(&self.inner);
        let name = self.name.clone();
        let done = tokio::task::spawn_blocking(move || {
            let cgroup = lock(&inner).cgroup.clone();
            if let Some(cgroup) = cgroup {
                if !cgroup.can_freeze() {
                    return Err(LabError::MachineCannot {
                        what: format!("node `{name}` cannot be paused: it has no control group of its own"),
                        remedy: "`dfaas-testbed doctor` tells what control groups need".to_owned(),
                    });
                }
                if paused { cgroup.freeze()? } else { cgroup.thaw()? }
            }
            lock(&inner).paused = paused;
            Ok(())
        });
        done.await.map_err(|error| self.error(error.to_string()))?
    }

    /// Changes what the node may use, now and when it is started again.
    pub(crate) async fn limit(&self, limits: dfaas_model::Limits) -> Result<(), LabError> {
        let inner = Arc::clone(&self.inner);
        let name = self.name.clone();
        let done = tokio::task::spawn_blocking(move || {
            let (cgroup, before) = {
                let inner = lock(&inner);
                (inner.cgroup.clone(), limits_of(&inner.limits))
            };
            if let Some(cgroup) = cgroup {
                let refused = cgroup.change_limits(&before, &limits_of(&limits))?;
                if let Some(first) = refused.first() {
                    // All or nothing: what was changed already goes back.
                    drop(cgroup.change_limits(&limits_of(&limits), &before));
                    let reason = first.to_string();
                    return Err(LabError::Node { node: name, reason });
                }
            }
            lock(&inner).limits = limits;
            Ok(())
        });
        done.await.map_err(|error| self.error(error.to_string()))?
    }

    /// Ends the node and returns what is left of it, in words.
    pub(crate) async fn stop(&self, grace: Duration) -> Vec<String> {
        let _starting = self.starting.lock().await;
        let (init, cgroup) = {
            let mut inner = lock(&self.inner);
            (inner.init.clone(), inner.cgroup.take())
        };
        if init.is_none() && cgroup.is_none() {
            return Vec::new(); // nothing ever ran in it: not worth a thread
        }
        let stopped = tokio::task::spawn_blocking(move || {
            let mut left = Vec::new();
            // What stands still can neither end in good order nor answer.
            if let Some(Err(error)) = cgroup.as_ref().map(|cgroup| cgroup.thaw()) {
                left.push(error.to_string());
            }
            if let Some(Err(error)) = init.map(|init| init.shutdown(grace)) {
                left.push(error.to_string());
            }
            if let Some(Err(error)) = cgroup.map(|cgroup| cgroup.kill_all().and_then(|()| cgroup.remove())) {
                left.push(error.to_string());
            }
            left
        });
        stopped
            .await
            .unwrap_or_else(|error| vec![format!("node `{}`: {error}", self.name)])
    }

    fn error(&self, reason: String) -> LabError {
        LabError::Node {
            node: self.name.clone(),
            reason,
        }
    }
}

fn end_processes(inner: &Mutex<Inner>, grace: Option<Duration>) -> Result<(), LabError> {
    let (init, cgroup) = {
        let mut inner = lock(inner);
        inner.off = true; // before its end, which is on purpose
        (inner.init.clone(), inner.cgroup.clone())
    };
    let thaw = || cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.thaw());
    if let Some(init) = init {
        match grace {
            Some(grace) => {
                thaw()?; // what stands still cannot end in good order
                init.shutdown(grace)?;
            }
            None => {
                init.kill();
                thaw()?;
                init.shutdown(Duration::ZERO)?; // waits
            }
        }
    }
    if let Some(cgroup) = cgroup {
        cgroup.kill_all()?;
        // Linux 6.14 and later kill what is born into a group that was emptied by `cgroup.kill` once, so the next start
        // makes a new one.
        cgroup.remove()?;
    }
    let mut inner = lock(inner);
    (inner.init, inner.cgroup) = (None, None);
    (inner.running, inner.paused) = (false, false);
    Ok(())
}

fn start_init(lab: &Arc<Lab>, name: &str, inner: &Arc<Mutex<Inner>>) -> Result<NodeReference, LabError> {
    let error = |reason: &str| LabError::Node {
        node: name.to_owned(),
        reason: reason.to_owned(),
    };
    let node = lab.known(name)?;
    let network = lab.network().ok_or_else(|| error("the lab has no network"))?;
    let namespace = network.namespace(name)?;
    let reference = {
        let mut inner = lock(inner);
        if inner.cgroup.is_none() {
            let cgroup = make_cgroup(lab, &node.name, &inner.limits)?;
            if node.kind == NodeKind::Dfaas {
                cgroup.hand_down(); // for its functions
            }
            inner.cgroup = Some(Arc::new(cgroup));
        }
        inner.cgroup.as_ref().map(|cgroup| cgroup.reference().clone())
    };
    fault::step("cgroup made");
    let specification = init_specification(lab, &node, namespace, reference)?;
    let (events, told) = (Arc::clone(inner), Arc::clone(&lab.events));
    let weak_lab = Arc::downgrade(lab);
    let node_name = name.to_owned();
    let init = lab.spawner.spawn_init(specification, move |event| {
        if let (Event::Warning { text }, Some(lab)) = (&event, weak_lab.upgrade()) {
            lab.warn(format!("node `{node_name}`: {text}"));
        }
        if let Some(happening) = note(&mut lock(&events), &node_name, event) {
            told.tell(happening);
        }
    })?;
    fault::step("init started");
    init.wait_ready(INIT_LIMIT)?;
    fault::step("init ready");
    let reference = init.reference();
    lock(inner).init = Some(Arc::new(init));
    Ok(reference)
}

/// The node's control group, with its limits; its end is in the ledger before it exists.
fn make_cgroup(lab: &Lab, node: &str, limits: &dfaas_model::Limits) -> Result<Cgroup, LabError> {
    let path = format!("dfaas-testbed/{}/{node}", lab.name());
    let hierarchies = Hierarchies::detect()?;
    let directories = hierarchies
        .bases
        .iter()
        .map(|(&hierarchy, base)| CgroupDirectory {
            hierarchy,
            base: base.clone(),
            path: base.join(&path),
        });
    lab.ledger.record(&Undo::RemoveCgroup {
        cgroup: CgroupReference {
            directories: directories.collect(),
        },
    })?;
    let (cgroup, not_applied) = Cgroup::create_in(&hierarchies, &path, &limits_of(limits))?;
    for missing in not_applied {
        lab.warn(format!("node `{node}`: {missing}"));
    }
    Ok(cgroup)
}

fn limits_of(limits: &dfaas_model::Limits) -> Limits {
    Limits {
        cpus: limits.cpus,
        memory_bytes: limits.memory_bytes,
        pids: limits.pids,
    }
}

fn init_specification(
    lab: &Lab,
    node: &Node,
    namespace: OwnedFd,
    cgroup: Option<CgroupReference>,
) -> Result<InitSpec, LabError> {
    let make = |path: PathBuf| match std::fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(LabError::file("create", &path, source)),
    };
    let scratch = make(lab.state_directory.scratch().join(&node.name))?;
    let logs = make(lab.state_directory.logs().join(&node.name))?;
    let arguments = vec![INIT_VERB.to_owned()];
    let mut specification = InitSpec::new(&node.name, "/proc/self/exe", arguments, namespace, scratch, logs);
    specification.hosts = lab.hosts();
    specification
        .binds
        .push(Bind::read_only(&lab.tools().directory, NODE_PROGRAMS));
    for volume in &node.volumes {
        let (source, target) = (PathBuf::from(&volume.source), PathBuf::from(&volume.target));
        specification.binds.push(Bind {
            source,
            target,
            read_only: volume.read_only,
        });
    }
    specification.cgroup = cgroup;
    if node.kind == NodeKind::Dfaas {
        // Its platform makes namespaces for functions, which have no privileges then.
        specification.privileges = Privileges::Namespaces;
    }
    Ok(specification)
}

/// Keeps the state of a node's services up to date; returns what is to be told of it.
fn note(inner: &mut Inner, node: &str, event: Event) -> Option<Happening> {
    let (service, status) = match event {
        Event::ServiceStarted {
            name, pid, restarts, ..
        } => {
            let service = inner.services.get_mut(&name)?;
            (service.state, service.pid, service.restarts) = ("running", Some(pid), restarts);
            (name, None)
        }
        Event::ServiceExited {
            name,
            status,
            will_restart_in,
        } => {
            tracing::info!(service = name, %status, "a service ended");
            let service = inner.services.get_mut(&name)?;
            service.state = if will_restart_in.is_some() {
                "restarting"
            } else {
                "stopped"
            };
            service.pid = None;
            service.ended = Some(status);
            (name, Some(status.to_string()))
        }
        Event::InitExited { status } => {
            inner.ended = Some(status);
            for service in inner.services.values_mut() {
                (service.state, service.pid) = ("stopped", None);
            }
            // On purpose it is told by who did it.
            return (!inner.off).then(|| Happening::Node {
                node: node.to_owned(),
                state: NodeState::Stopped,
                reason: Some(format!("its init has ended ({status})")),
            });
        }
        _ => return None,
    };
    let now = inner.services.get(&service)?;
    Some(Happening::Service {
        node: node.to_owned(),
        state: now.state.to_owned(),
        restarts: now.restarts,
        service,
        status,
    })
}
