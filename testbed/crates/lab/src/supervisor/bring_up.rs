//! Applying a plan: network first, then the services of all nodes side by side, then waiting until all is ready.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use dfaas_model::{Action, Driver, Link, Monitoring, Node, NodeKind, Plan, PlannedNode, Service, Topology};
use futures::future::try_join_all;

use crate::error::LabError;
use crate::fault;
use crate::keys::Identities;
use crate::progress::Progress;
use crate::supervisor::containers::{CONTAINER_SERVICE, ContainerNode};
use crate::supervisor::driven::Driven;
use crate::supervisor::lab::Lab;
use crate::supervisor::reporter::Reporter;
use crate::supervisor::services::{ContainerInputs, Peer, ServiceContext};
use crate::supervisor::{flap, network, ready};
use crate::tools::Tools;

/// Builds namespaces, links and addresses, and hands the links to their carriers.
pub(crate) async fn build_network(lab: &Arc<Lab>, reporter: &Reporter) -> Result<(), LabError> {
    let builder = Arc::clone(lab);
    let building = Arc::clone(&lab.building).lock_owned().await;
    let built = tokio::task::spawn_blocking(move || {
        let _building = building;
        let features = dfaas_netns::probe_kernel()?;
        tracing::debug!(
            milliseconds = builder.elapsed_milliseconds(),
            ?features,
            "kernel probed"
        );
        let (network, links) = network::build(
            &builder.topology(),
            &builder.plan(),
            features,
            &builder.containers(),
        )?;
        tracing::debug!(
            milliseconds = builder.elapsed_milliseconds(),
            "network created and links attached"
        );
        let backends = links.count_by_carrier();
        builder.keep_network(network, links);
        Ok::<_, LabError>(backends)
    });
    let backends = built.await.map_err(|error| panicked(lab, &error))??;
    let topology = lab.topology();
    flap::start(lab, &topology.links);
    reporter.send(&Progress::Network {
        namespaces: topology.nodes.len(),
        links: topology.links.len(),
        backends,
        milliseconds: lab.elapsed_milliseconds(),
    });
    Ok(())
}

/// Starts what runs in these nodes and waits until all of it is ready. Returns how many of them have agents. `reporter`
/// hears of each node.
pub(crate) async fn start_nodes(
    lab: &Arc<Lab>,
    nodes: &[&Node],
    reporter: Option<&Reporter>,
) -> Result<usize, LabError> {
    let topology = lab.topology();
    let peers = peers_by_node(lab, &topology, |_| true);
    // Nobody is waited for whom a link that starts down keeps apart.
    let reachable = peers_by_node(lab, &topology, |link| !link.down);
    let services = services_by_node(lab);
    try_join_all(nodes.iter().map(|node| {
        let services = services.get(&node.name).map(Vec::as_slice).unwrap_or_default();
        let peers = peers
            .get(node.name.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        start_node(lab, node, services, peers, reporter)
    }))
    .await?;
    let agents = nodes.iter().filter(|node| node.kind == NodeKind::Dfaas);
    try_join_all(agents.clone().map(|node| async {
        ready::functions_answer(lab, node).await?;
        let expected = reachable.get(node.name.as_str()).map_or(0, Vec::len);
        ready::agent_knows_peers(lab, node, expected).await
    }))
    .await?;
    Ok(agents.count())
}

async fn start_node(
    lab: &Arc<Lab>,
    node: &Node,
    services: &[Service],
    peers: &[Peer],
    reporter: Option<&Reporter>,
) -> Result<(), LabError> {
    start_services(lab, node, services, peers).await?;
    let services: Vec<String> = match node.driver {
        Driver::Native => services.iter().map(ToString::to_string).collect(),
        Driver::Docker(_) => vec![CONTAINER_SERVICE.to_owned()],
    };
    if let Some(reporter) = reporter.filter(|_| !services.is_empty()) {
        reporter.send(&Progress::Node {
            node: node.name.clone(),
            services,
            milliseconds: lab.elapsed_milliseconds(),
        });
    }
    run_commands(lab, node).await
}

/// Starts what runs in a node that was shut down, as at the start of the lab.
pub(crate) async fn start_again(lab: &Arc<Lab>, node: &Node) -> Result<(), LabError> {
    let services = services_by_node(lab).remove(&node.name);
    let peers = peers_by_node(lab, &lab.topology(), |_| true).remove(node.name.as_str());
    start_services(
        lab,
        node,
        &services.unwrap_or_default(),
        &peers.unwrap_or_default(),
    )
    .await
}

/// What the services of nodes are made from.
struct Sources {
    plan: Arc<Plan>,
    identities: Arc<Identities>,
    tools: Arc<Tools>,
    scrape_interval: Duration,
}

impl Sources {
    fn of(lab: &Lab) -> Self {
        let monitoring = lab.topology().monitoring;
        Self {
            plan: lab.plan(),
            identities: lab.identities(),
            tools: lab.tools(),
            scrape_interval: monitoring.map_or(Duration::ZERO, |it| it.scrape_interval),
        }
    }

    fn context<'a>(&'a self, node: &'a Node, peers: &'a [Peer]) -> Result<ServiceContext<'a>, LabError> {
        Ok(ServiceContext {
            node,
            planned: planned(&self.plan, node)?,
            private_key: self.identities.private_key(&node.name).unwrap_or_default(),
            peers,
            tools: &self.tools,
            scrape_interval: self.scrape_interval,
        })
    }
}

/// Starts what runs in a node: its container, or its services one by one, each when the one before answers.
async fn start_services(
    lab: &Arc<Lab>,
    node: &Node,
    services: &[Service],
    peers: &[Peer],
) -> Result<(), LabError> {
    let running = match lab.driven(&node.name)? {
        Driven::Native(_) if services.is_empty() => return Ok(()),
        Driven::Native(running) => running,
        Driven::Container(container) => return start_container(lab, &container, node, services, peers).await,
    };
    let sources = Sources::of(lab);
    let context = sources.context(node, peers)?;
    running.ensure_init(lab).await?;
    for service in services {
        if *service == Service::Agent
            && let Some(api) = context.dataplane()
        {
            running.start_service(api).await?;
        }
        running.start_service(context.specification(*service)?).await?;
        fault::step("service started");
        ready::service_answers(lab, node, *service).await?;
    }
    running.mark_running();
    Ok(())
}

impl Lab {
    /// What watches the nodes ends where it is to go or to be another, and starts where it is to be. The plan has it
    /// already. A node that is off has it when it starts; a container's image brings its own.
    pub(crate) async fn watch_nodes(
        self: &Arc<Self>,
        [before, after]: [Option<Monitoring>; 2],
    ) -> Result<(), LabError> {
        let topology = self.topology();
        let native = topology
            .nodes
            .values()
            .filter(|node| matches!(node.driver, Driver::Native));
        let nodes = native.filter(|node| node.kind == NodeKind::Dfaas);
        let mut watched = Vec::new();
        for node in nodes {
            if let Some(running) = self.running(&node.name).filter(|running| !running.is_off()) {
                watched.push((node, running));
            }
        }
        let changes = watched.iter().map(|(node, running)| async move {
            let _turn = running.turn.lock().await;
            // Another pace is Prometheus' own; the exporter goes on.
            let mut changed = vec![Service::Prometheus];
            if before.is_none() || after.is_none() {
                changed.insert(0, Service::NodeExporter);
            }
            if before.is_some() {
                for service in changed.iter().rev() {
                    running.stop_service(&service.to_string()).await?;
                }
            }
            if after.is_some() {
                let sources = Sources::of(self);
                let context = sources.context(node, &[])?;
                running.forget_ends();
                for service in changed {
                    running.start_service(context.specification(service)?).await?;
                    ready::service_answers(self, node, service).await?;
                }
            }
            Ok::<(), LabError>(())
        });
        try_join_all(changes).await.map(drop)
    }
}

/// Runs the commands that the file has for a node, one after the other.
pub(crate) async fn run_commands(lab: &Arc<Lab>, node: &Node) -> Result<(), LabError> {
    for (index, command) in node.exec.iter().enumerate() {
        let running = lab.driven(&node.name)?;
        running.run_command(lab, index + 1, command).await?;
    }
    Ok(())
}

/// A container brings its services itself; they answer on the same ports.
async fn start_container(
    lab: &Arc<Lab>,
    container: &Arc<ContainerNode>,
    node: &Node,
    services: &[Service],
    peers: &[Peer],
) -> Result<(), LabError> {
    let mut inputs = ContainerInputs::default();
    if !services.is_empty() {
        inputs = Sources::of(lab).context(node, peers)?.for_container()?;
    }
    container.start(lab, node, inputs).await?;
    container.wait_healthy(lab).await?;
    // Of those that monitor a node an image need not have any.
    let brought = [Service::Haproxy, Service::Faas, Service::Agent];
    for service in services.iter().filter(|service| brought.contains(service)) {
        ready::service_answers(lab, node, *service).await?;
    }
    container.mark_running();
    Ok(())
}

fn planned<'a>(plan: &'a Plan, node: &Node) -> Result<&'a PlannedNode, LabError> {
    plan.node(&node.name).ok_or_else(|| LabError::Node {
        node: node.name.clone(),
        reason: "it is not in the plan".to_owned(),
    })
}

fn services_by_node(lab: &Lab) -> HashMap<String, Vec<Service>> {
    let mut services: HashMap<String, Vec<Service>> = HashMap::new();
    for step in lab.plan().steps() {
        if let Action::StartService { node, service } = &step.action {
            services.entry(node.clone()).or_default().push(*service);
        }
    }
    services
}

/// For every `dfaas` node the other ones that links lead to, over switches and routers.
pub(crate) fn peers_by_node<'a>(
    lab: &Lab,
    topology: &'a Topology,
    leads: impl Fn(&Link) -> bool,
) -> HashMap<&'a str, Vec<Peer>> {
    let group = connected_groups(topology, leads);
    let (plan, identities) = (lab.plan(), lab.identities());
    let agents: Vec<(&str, Peer)> = topology
        .nodes
        .values()
        .filter(|node| node.kind == NodeKind::Dfaas)
        .filter_map(|node| {
            let address = plan.node(&node.name)?.address?;
            let peer_id = identities.peer_id(&node.name)?.to_owned();
            let peer = Peer {
                peer_id,
                address,
                linked: false,
            };
            Some((node.name.as_str(), peer))
        })
        .collect();
    agents
        .iter()
        .map(|(name, _)| {
            let others = agents
                .iter()
                .filter(|(other, _)| other != name && group.get(other) == group.get(name));
            let linked = linked_nodes(topology, name);
            let peers = others.map(|(other, peer)| Peer {
                linked: linked.contains(other),
                ..peer.clone()
            });
            (*name, peers.collect())
        })
        .collect()
}

/// Nodes that a link, or switches only, join to `start`.
fn linked_nodes<'a>(topology: &'a Topology, start: &str) -> HashSet<&'a str> {
    let is_switch = |name: &str| {
        let node = topology.nodes.get(name);
        node.is_some_and(|node| node.kind == NodeKind::Switch)
    };
    let mut linked = HashSet::new();
    let mut waiting = vec![start];
    while let Some(here) = waiting.pop() {
        for link in &topology.links {
            let [a, b] = [link.endpoints[0].node.as_str(), link.endpoints[1].node.as_str()];
            let there = if a == here { b } else { a };
            if (a == here || b == here) && linked.insert(there) && is_switch(there) {
                waiting.push(there);
            }
        }
    }
    linked
}

/// A number for every node; nodes that a path of links joins have the same one.
fn connected_groups(topology: &Topology, leads: impl Fn(&Link) -> bool) -> HashMap<&str, usize> {
    let mut neighbours: HashMap<&str, Vec<&str>> = HashMap::new();
    for link in topology.links.iter().filter(|link| leads(link)) {
        let [a, b] = [link.endpoints[0].node.as_str(), link.endpoints[1].node.as_str()];
        neighbours.entry(a).or_default().push(b);
        neighbours.entry(b).or_default().push(a);
    }
    let mut group = HashMap::new();
    for (number, start) in topology.nodes.keys().enumerate() {
        let mut waiting = vec![start.as_str()];
        while let Some(node) = waiting.pop() {
            if !group.contains_key(node) {
                group.insert(node, number);
                waiting.extend(neighbours.get(node).into_iter().flatten());
            }
        }
    }
    group
}

fn panicked(lab: &Lab, error: &tokio::task::JoinError) -> LabError {
    LabError::SupervisorGone {
        name: lab.name().to_owned(),
        detail: format!(": {error}"),
    }
}
