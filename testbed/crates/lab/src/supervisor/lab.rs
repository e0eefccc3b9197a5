//! The state of a running lab, shared by the steps that build it and the API that shows it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dfaas_control::{FunctionInfo, Happening, LabDetail, LabState, LinkChange, LinkInfo, NodeInfo, PortInfo};
use dfaas_model::{Driver, Link, Node, NodeKind, Plan, Topology};
use dfaas_netns::Network;
use dfaas_process::Spawner;
use indexmap::IndexMap;
use tokio::sync::watch;

use crate::error::LabError;
use crate::keys::Identities;
use crate::launch::last_lines;
use crate::ledger::Ledger;
use crate::progress::LabRequest;
use crate::state::{StateDirectory, SupervisorIdentity};
use crate::supervisor::containers::ContainerNode;
use crate::supervisor::driven::{Driven, Entrance};
use crate::supervisor::events::EventLog;
use crate::supervisor::links::Links;
use crate::supervisor::node::RunningNode;
use crate::supervisor::partitions::Partitions;
use crate::supervisor::tasks::Tasks;
use crate::supervisor::{services, translate};
use crate::tools::Tools;

/// A lab from its first step to its last.
pub(crate) struct Lab {
    name: String,
    /// Whether the lab is kept, for somebody to look at, when it cannot be brought up.
    pub(crate) keep: bool,
    /// Whether it is the lab of an ordinary user, in a user namespace.
    pub(crate) rootless: bool,
    topology: Mutex<Arc<Topology>>,
    plan: Mutex<Arc<Plan>>,
    /// Held while a changed file is applied, so that two files do not mix.
    pub(crate) applying: tokio::sync::Mutex<()>,
    pub(crate) state_directory: StateDirectory,
    /// Of this process.
    pub(crate) identity: SupervisorIdentity,
    tools: Mutex<Arc<Tools>>,
    pub(crate) ledger: Ledger,
    pub(crate) spawner: Spawner,
    identities: Mutex<Arc<Identities>>,
    nodes: Mutex<IndexMap<String, Arc<RunningNode>>>,
    pub(crate) tasks: Tasks,
    began: Instant,
    started: jiff::Timestamp,
    state: watch::Sender<LabState>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) partitions: Partitions,
    network: Mutex<Option<Arc<Network>>>,
    links: Mutex<Option<Links>>,
    containers: Mutex<BTreeMap<String, Arc<ContainerNode>>>,
    warnings: Mutex<Vec<String>>,
    shutdown: watch::Sender<bool>,
    /// Whether the end of the starting command ends the lab.
    listener_matters: AtomicBool,
    /// Held while the network is being built: its end must wait for that.
    pub(crate) building: Arc<tokio::sync::Mutex<()>>,
    /// Held, shared, while a container is being made or removed: the lab's end must wait for that.
    pub(crate) working_on_containers: Arc<tokio::sync::RwLock<()>>,
}

impl Lab {
    pub(crate) fn new(
        request: LabRequest,
        (state_directory, identity): (StateDirectory, SupervisorIdentity),
        tools: Tools,
        spawner: Spawner,
    ) -> Result<Self, LabError> {
        let ledger = Ledger::open(&state_directory.ledger())?;
        let identities = Identities::derive(&request.topology)?;
        let nodes = request.topology.nodes.values();
        let nodes = nodes.map(|node| (node.name.clone(), Arc::new(RunningNode::new(node))));
        Ok(Self {
            name: request.topology.name.clone(),
            keep: request.keep,
            rootless: false,
            nodes: Mutex::new(nodes.collect()),
            topology: Mutex::new(Arc::new(request.topology)),
            plan: Mutex::new(Arc::new(request.plan)),
            applying: tokio::sync::Mutex::default(),
            state_directory,
            identity,
            tools: Mutex::new(Arc::new(tools)),
            ledger,
            spawner,
            identities: Mutex::new(Arc::new(identities)),
            tasks: Tasks::default(),
            began: Instant::now(),
            started: jiff::Timestamp::now(),
            state: watch::Sender::new(LabState::Starting),
            events: Arc::new(EventLog::new()),
            partitions: Partitions::default(),
            network: Mutex::new(None),
            links: Mutex::new(None),
            containers: Mutex::default(),
            warnings: Mutex::new(Vec::new()),
            shutdown: watch::Sender::new(false),
            listener_matters: AtomicBool::new(true),
            building: Arc::default(),
            working_on_containers: Arc::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The topology as it is meant to be now.
    pub(crate) fn topology(&self) -> Arc<Topology> {
        Arc::clone(&lock(&self.topology))
    }

    /// What was planned for the topology.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&lock(&self.plan))
    }

    /// The lab is meant to be another one from now on.
    pub(crate) fn become_other(&self, topology: Topology, plan: Plan) {
        *lock(&self.plan) = Arc::new(plan);
        *lock(&self.topology) = Arc::new(topology);
    }

    pub(crate) fn tools(&self) -> Arc<Tools> {
        Arc::clone(&lock(&self.tools))
    }

    pub(crate) fn identities(&self) -> Arc<Identities> {
        Arc::clone(&lock(&self.identities))
    }

    /// Finds what the nodes of another topology need, before it is tried to start them.
    pub(crate) fn prepare_for(&self, topology: &Topology) -> Result<(), LabError> {
        let (tools, identities) = (Tools::find(topology)?, Identities::derive(topology)?);
        *lock(&self.tools) = Arc::new(tools);
        *lock(&self.identities) = Arc::new(identities);
        Ok(())
    }

    /// The nodes as they run.
    pub(crate) fn nodes(&self) -> Vec<Arc<RunningNode>> {
        lock(&self.nodes).values().map(Arc::clone).collect()
    }

    pub(crate) fn add_node(&self, node: &Node) {
        lock(&self.nodes).insert(node.name.clone(), Arc::new(RunningNode::new(node)));
    }

    pub(crate) fn forget_node(&self, node: &str) {
        lock(&self.nodes).shift_remove(node);
    }

    /// What each name stands for: the lines of every `/etc/hosts`.
    pub(crate) fn hosts(&self) -> Vec<(IpAddr, String)> {
        hosts_of(&self.plan())
    }

    /// Changes what the topology is meant to be.
    pub(crate) fn change_topology(&self, change: impl FnOnce(&mut Topology)) {
        change(Arc::make_mut(&mut lock(&self.topology)));
    }

    /// Since the supervisor began to build the lab.
    pub(crate) fn elapsed_milliseconds(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn set_state(&self, state: LabState) {
        self.state.send_replace(state);
        self.events.tell(Happening::Lab { state });
    }

    /// The state, and word of its changes.
    pub(crate) fn states(&self) -> watch::Receiver<LabState> {
        self.state.subscribe()
    }

    /// Fails unless the lab is there as a whole: while it starts or stops, nothing else may change it.
    pub(crate) fn must_be_there(&self) -> Result<(), LabError> {
        match *self.state.borrow() {
            LabState::Ready | LabState::Failed => Ok(()),
            state => Err(LabError::NotNow {
                lab: self.name().to_owned(),
                state: state.to_string(),
            }),
        }
    }

    pub(crate) fn warn(&self, message: String) {
        tracing::warn!("{message}");
        self.events.tell(Happening::Warning {
            message: message.clone(),
        });
        lock(&self.warnings).push(message);
    }

    /// All warnings so far.
    pub(crate) fn warnings(&self) -> Vec<String> {
        lock(&self.warnings).clone()
    }

    /// The network, from the moment it is built until it is taken down.
    pub(crate) fn network(&self) -> Option<Arc<Network>> {
        lock(&self.network).clone()
    }

    pub(crate) fn keep_network(&self, network: Network, links: Links) {
        *lock(&self.network) = Some(Arc::new(network));
        *lock(&self.links) = Some(links);
    }

    /// From now on this node is a container.
    pub(crate) fn keep_container(&self, container: Arc<ContainerNode>) {
        lock(&self.containers).insert(container.name().to_owned(), container);
    }

    /// The container is no longer part of the lab.
    pub(crate) fn forget_container(&self, node: &str) -> Option<Arc<ContainerNode>> {
        lock(&self.containers).remove(node)
    }

    /// The container that is this node, if it is one.
    pub(crate) fn container(&self, node: &str) -> Option<Arc<ContainerNode>> {
        lock(&self.containers).get(node).map(Arc::clone)
    }

    /// The nodes that are containers.
    pub(crate) fn containers(&self) -> Vec<Arc<ContainerNode>> {
        lock(&self.containers).values().map(Arc::clone).collect()
    }

    /// Takes network and links out, for their end.
    pub(crate) fn release_network(&self) -> (Option<Arc<Network>>, Option<Links>) {
        (lock(&self.network).take(), lock(&self.links).take())
    }

    /// One link as it is now.
    pub(crate) fn link(&self, name: &str) -> Result<LinkInfo, LabError> {
        self.with_links(name, |links, topology, network| {
            links.show(topology, network, name)
        })
    }

    /// All links as they are now.
    pub(crate) fn links(&self) -> Vec<LinkInfo> {
        let network = self.network();
        let links = lock(&self.links);
        links
            .as_ref()
            .zip(network)
            .map(|(links, network)| links.info(&self.topology(), &network))
            .unwrap_or_default()
    }

    /// Changes a running link; blocks while the kernel works.
    pub(crate) fn change_link(&self, name: &str, change: &LinkChange) -> Result<LinkInfo, LabError> {
        let info = self.with_links(name, |links, topology, network| {
            links.change(topology, network, name, change)
        })?;
        self.tell_link(&info);
        Ok(info)
    }

    pub(crate) fn tell_link(&self, info: &LinkInfo) {
        self.events.tell(Happening::Link {
            link: info.name.clone(),
            up: info.up,
            backend: info.backend.clone(),
            forward: info.forward.clone(),
            backward: info.backward.clone(),
        });
    }

    /// The interface in the wire namespace that faces each end of a link.
    pub(crate) fn midpoints(&self, link: &str) -> Option<[String; 2]> {
        lock(&self.links).as_ref()?.midpoints(link)
    }

    pub(crate) fn with_links<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Links, &Topology, &Network) -> Result<T, LabError>,
    ) -> Result<T, LabError> {
        let topology = self.topology();
        if topology.link(name).is_none() {
            let known = topology.links.iter().map(|link| link.name.as_str());
            return Err(LabError::Unknown {
                lab: self.name().to_owned(),
                what: "link",
                name: name.to_owned(),
                similar: dfaas_model::closest(name, known).map(str::to_owned),
            });
        }
        let no_network = || LabError::Link {
            link: name.to_owned(),
            reason: "the lab has no network".to_owned(),
        };
        let network = self.network().ok_or_else(no_network)?;
        let mut links = lock(&self.links);
        work(links.as_mut().ok_or_else(no_network)?, &topology, &network)
    }

    /// As [`Lab::with_links`], for work that is about no single link.
    pub(crate) fn with_all_links<T>(
        &self,
        work: impl FnOnce(&mut Links) -> Result<T, LabError>,
    ) -> Result<T, LabError> {
        match &mut *lock(&self.links) {
            Some(links) => work(links),
            None => Err(LabError::Setting("the lab has no network".to_owned())),
        }
    }

    /// Fails if there is nobody on this machine who could carry a link.
    pub(crate) fn check_carrier(&self, link: Option<&Link>) -> Result<(), LabError> {
        link.map_or(Ok(()), |link| self.with_all_links(|links| links.can_carry(link)))
    }

    /// Gives a flapping link a carrier or takes it, unless somebody holds the link as it is; blocks.
    pub(crate) fn flap_link(&self, name: &str, up: bool) -> Result<(), LabError> {
        let (Some(network), Some(links)) = (self.network(), &mut *lock(&self.links)) else {
            // The lab is being taken down.
            return Ok(());
        };
        links.flap(&network, name, up)
    }

    pub(crate) fn request_shutdown(&self) {
        self.shutdown.send_replace(true);
    }

    /// The command that starts the lab has ended or been interrupted.
    pub(crate) fn listener_ended(&self) {
        if self.listener_matters.load(Ordering::SeqCst) {
            self.request_shutdown();
        }
    }

    /// From now on the lab lives without the command that started it.
    pub(crate) fn release_listener(&self) {
        self.listener_matters.store(false, Ordering::SeqCst);
    }

    /// Resolves when somebody has asked for the lab's end.
    pub(crate) async fn shutdown_requested(&self) {
        let mut receiver = self.shutdown.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|requested| *requested).await;
    }

    /// The node's description, or the error that says that there is none.
    pub(crate) fn known(&self, node: &str) -> Result<Node, LabError> {
        let topology = self.topology();
        let nodes = &topology.nodes;
        nodes.get(node).cloned().ok_or_else(|| LabError::Unknown {
            lab: self.name().to_owned(),
            what: "node",
            name: node.to_owned(),
            similar: dfaas_model::closest(node, nodes.keys().map(String::as_str)).map(str::to_owned),
        })
    }

    /// The node as a native one runs; of a container, an empty shell.
    pub(crate) fn running(&self, node: &str) -> Option<Arc<RunningNode>> {
        lock(&self.nodes).get(node).map(Arc::clone)
    }

    /// The node as it runs, or the error that says that there is none.
    pub(crate) fn driven(&self, name: &str) -> Result<Driven, LabError> {
        let node = self.known(name)?;
        let driven = self.driven_as(&node);
        driven.ok_or_else(|| LabError::Node {
            node: name.to_owned(),
            reason: match node.driver {
                Driver::Native => "it is not part of the lab",
                Driver::Docker(_) => "its container is not there yet",
            }
            .to_owned(),
        })
    }

    fn driven_as(&self, node: &Node) -> Option<Driven> {
        match node.driver {
            Driver::Native => self.running(&node.name).map(Driven::Native),
            Driver::Docker(_) => self.container(&node.name).map(Driven::Container),
        }
    }

    /// Makes sure that a node has a first process, and returns what another process needs to enter it.
    pub(crate) async fn enter(self: &Arc<Self>, node: &str) -> Result<Entrance, LabError> {
        let driven = self.driven(node)?;
        Ok(Entrance {
            node: driven.reference(self).await?,
            environment: driven.environment(),
        })
    }

    /// Fails with the last log lines if something in the node has ended: before it is ready nothing may.
    pub(crate) fn check_services(&self, node: &str) -> Result<(), LabError> {
        self.driven(node)?.check(self)
    }

    /// The last words of a service, for an error message.
    pub(crate) fn last_log_lines(&self, node: &str, service: &str) -> String {
        let path = self
            .state_directory
            .logs()
            .join(node)
            .join(format!("{service}.log"));
        match last_lines(&path, 8) {
            text if text.is_empty() => "; it logged nothing".to_owned(),
            text => format!("; its last words:\n{text}"),
        }
    }

    /// The lab as it is now, with or without its links.
    pub(crate) fn detail(&self, with_links: bool) -> LabDetail {
        let topology = self.topology();
        let network = self.network().filter(|_| with_links);
        let partitions = self.partitions.in_force();
        let links = lock(&self.links);
        let plan = self.plan();
        let nodes = topology.nodes.values();
        LabDetail {
            name: topology.name.clone(),
            seed: topology.seed,
            state: *self.state.borrow(),
            pid: self.identity.pid,
            started: self.started.to_string(),
            log_directory: self.state_directory.logs(),
            lateness_bounds: dfaas_wire::Lateness::BOUNDS.to_vec(),
            engine_scheduling: links.as_ref().and_then(Links::scheduling),
            nodes: nodes
                .map(|node| self.node_info(&plan, node, self.driven_as(node)))
                .collect(),
            links: links
                .as_ref()
                .zip(network)
                .map(|(links, network)| links.info(&topology, &network))
                .unwrap_or_default(),
            partitions,
            warnings: self.warnings(),
        }
    }

    /// One node as it is now.
    pub(crate) fn node(&self, name: &str) -> Result<NodeInfo, LabError> {
        Ok(self.node_info(&self.plan(), &self.known(name)?, self.driven(name).ok()))
    }

    fn node_info(&self, plan: &Plan, node: &Node, driven: Option<Driven>) -> NodeInfo {
        let planned = plan.node(&node.name);
        let interfaces = planned.map(|it| it.interfaces.as_slice()).unwrap_or_default();
        NodeInfo {
            name: node.name.clone(),
            kind: node.kind.to_string(),
            driver: node.driver.as_str().to_owned(),
            state: driven.as_ref().map(Driven::state).unwrap_or_default(),
            address: planned
                .and_then(|it| it.address)
                .map(|address| address.to_string()),
            addresses: interfaces
                .iter()
                .flat_map(|it| &it.addresses)
                .map(ToString::to_string)
                .collect(),
            functions: node
                .functions
                .values()
                .map(|function| FunctionInfo {
                    name: function.name.clone(),
                    maxrate: function.maxrate,
                })
                .collect(),
            ports: node
                .ports
                .iter()
                .map(|port| PortInfo {
                    host: std::net::SocketAddr::new(port.host_address, port.host_port).to_string(),
                    node_port: port.node_port,
                })
                .collect(),
            gateway: (node.kind == NodeKind::Dfaas).then(|| services::gateway_port(node)),
            pid: driven.as_ref().and_then(Driven::pid),
            peer_id: self.identities().peer_id(&node.name).map(str::to_owned),
            services: driven.as_ref().map(Driven::services).unwrap_or_default(),
            limits: driven
                .as_ref()
                .map(|it| translate::limits_for_people(&it.limits()))
                .unwrap_or_default(),
            labels: node.labels.clone().into_iter().collect(),
        }
    }
}

/// What each name stands for after a plan.
pub(crate) fn hosts_of(plan: &Plan) -> Vec<(IpAddr, String)> {
    let nodes = plan.nodes();
    nodes
        .filter_map(|it| Some((it.address?, it.name.clone())))
        .collect()
}

/// Locks a mutex whose data stay whole even if a holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
