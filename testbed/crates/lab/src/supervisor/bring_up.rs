//! Applying a plan: network first, then the services of all nodes side by side, then waiting until all is ready.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dfaas_model::{Action, Link, Node, NodeKind, Service, Topology};
use dfaas_netns::Network;
use futures::future::try_join_all;

use crate::error::LabError;
use crate::fault;
use crate::progress::Progress;
use crate::supervisor::lab::Lab;
use crate::supervisor::links::Links;
use crate::supervisor::reporter::Reporter;
use crate::supervisor::services::{Peer, ServiceContext};
use crate::supervisor::splice::{BoundPort, OpenUplink};
use crate::supervisor::{flap, network, ready};

/// Binds the published ports: a taken one is the cheapest failure, so it comes first.
pub(crate) async fn bind_ports(lab: &Lab) -> Result<Vec<BoundPort>, LabError> {
    let mut bound = Vec::new();
    for node in lab.request.topology.nodes.values() {
        for port in &node.ports {
            let address = SocketAddr::new(port.host_address, port.host_port);
            bound.push(BoundPort::bind(&node.name, address, port.node_port).await?);
        }
    }
    Ok(bound)
}

/// Opens the ways out of the lab, before anything runs that may want to use them.
pub(crate) async fn open_uplinks(lab: &Lab, network: &Arc<Network>) -> Result<Vec<OpenUplink>, LabError> {
    let mut open = Vec::new();
    for node in lab.request.topology.nodes.values() {
        for uplink in &node.uplink {
            open.push(OpenUplink::open(network, &node.name, uplink).await?);
        }
    }
    Ok(open)
}

/// Builds namespaces, links and addresses, and hands the links to their carriers.
pub(crate) async fn build_network(lab: &Arc<Lab>, reporter: &Reporter) -> Result<(), LabError> {
    let builder = Arc::clone(lab);
    let building = Arc::clone(&lab.building).lock_owned().await;
    let built = tokio::task::spawn_blocking(move || {
        let _building = building;
        let topology = &builder.request.topology;
        let features = dfaas_netns::probe_kernel()?;
        tracing::debug!(
            milliseconds = builder.elapsed_milliseconds(),
            ?features,
            "kernel probed"
        );
        let mut links = Links::choose(topology, features)?;
        let (specification, midpoints) = network::specification(&builder.request.plan, &links)?;
        let network = Network::create(&specification)?;
        tracing::debug!(milliseconds = builder.elapsed_milliseconds(), "network created");
        fault::step("network created");
        links.attach(topology, &network, midpoints)?;
        tracing::debug!(milliseconds = builder.elapsed_milliseconds(), "links attached");
        fault::step("links attached");
        let backends = links.count_by_carrier();
        builder.keep_network(network, links);
        Ok::<_, LabError>(backends)
    });
    let backends = built.await.map_err(|error| panicked(lab, &error))??;
    flap::start(lab);
    reporter.send(&Progress::Network {
        namespaces: lab.request.topology.nodes.len(),
        links: lab.request.topology.links.len(),
        backends,
        milliseconds: lab.elapsed_milliseconds(),
    });
    Ok(())
}

/// Starts what runs in the nodes and waits until all of it is ready. Returns how many agents know each other.
pub(crate) async fn start_nodes(lab: &Arc<Lab>, reporter: &Reporter) -> Result<usize, LabError> {
    let peers = peers_by_node(lab, |_| true);
    // Nobody is waited for whom a link that starts down keeps apart.
    let reachable = peers_by_node(lab, |link| !link.down);
    let services = services_by_node(lab);
    try_join_all(lab.request.topology.nodes.values().map(|node| {
        let services = services
            .get(node.name.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let peers = peers
            .get(node.name.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        start_node(lab, node, services, peers, reporter)
    }))
    .await?;
    let agents = lab
        .request
        .topology
        .nodes
        .values()
        .filter(|node| node.kind == NodeKind::Dfaas);
    try_join_all(agents.clone().map(|node| async {
        ready::functions_answer(lab, node).await?;
        let expected = reachable.get(node.name.as_str()).map_or(0, Vec::len);
        ready::agent_knows_peers(lab, &node.name, expected).await
    }))
    .await?;
    Ok(agents.count())
}

async fn start_node(
    lab: &Arc<Lab>,
    node: &Node,
    services: &[Service],
    peers: &[Peer],
    reporter: &Reporter,
) -> Result<(), LabError> {
    if !services.is_empty() {
        start_services(lab, node, services, peers).await?;
        reporter.send(&Progress::Node {
            node: node.name.clone(),
            services: services.iter().map(ToString::to_string).collect(),
            milliseconds: lab.elapsed_milliseconds(),
        });
    }
    run_commands(lab, node).await
}

/// Starts what runs in a node that was shut down, as at the start of the lab.
pub(crate) async fn start_again(lab: &Arc<Lab>, node: &Node) -> Result<(), LabError> {
    let services = services_by_node(lab).remove(node.name.as_str());
    let peers = peers_by_node(lab, |_| true).remove(node.name.as_str());
    match services {
        Some(services) => start_services(lab, node, &services, &peers.unwrap_or_default()).await,
        None => Ok(()),
    }
}

/// Starts the services of a node, each when the one before answers.
async fn start_services(
    lab: &Arc<Lab>,
    node: &Node,
    services: &[Service],
    peers: &[Peer],
) -> Result<(), LabError> {
    let running = lab.known_running(&node.name)?;
    let planned = lab.request.plan.node(&node.name);
    let planned = planned.ok_or_else(|| LabError::Node {
        node: node.name.clone(),
        reason: "it is not in the plan".to_owned(),
    })?;
    let private_key = lab.identities.private_key(&node.name).unwrap_or_default();
    let context = ServiceContext {
        node,
        planned,
        private_key,
        peers,
        tools: &lab.tools,
        scrape_interval: lab
            .request
            .topology
            .monitoring
            .map_or(Duration::ZERO, |monitoring| monitoring.scrape_interval),
    };
    running.ensure_init(lab).await?;
    for service in services {
        running.start_service(context.specification(*service)?).await?;
        fault::step("service started");
        ready::service_answers(lab, &node.name, *service).await?;
    }
    running.mark_running();
    Ok(())
}

/// Runs the commands that the file has for a node, one after the other.
pub(crate) async fn run_commands(lab: &Arc<Lab>, node: &Node) -> Result<(), LabError> {
    for (index, command) in node.exec.iter().enumerate() {
        let running = lab.known_running(&node.name)?;
        running.ensure_init(lab).await?;
        running.run_command(lab, index + 1, command).await?;
    }
    Ok(())
}

fn services_by_node(lab: &Lab) -> HashMap<&str, Vec<Service>> {
    let mut services: HashMap<&str, Vec<Service>> = HashMap::new();
    for step in lab.request.plan.steps() {
        if let Action::StartService { node, service } = &step.action {
            services.entry(node.as_str()).or_default().push(*service);
        }
    }
    services
}

/// For every `dfaas` node the other ones that links lead to, over switches and routers.
pub(crate) fn peers_by_node(lab: &Lab, leads: impl Fn(&Link) -> bool) -> HashMap<&str, Vec<Peer>> {
    let topology = &lab.request.topology;
    let group = connected_groups(lab, leads);
    let agents: Vec<(&str, Peer)> = topology
        .nodes
        .values()
        .filter(|node| node.kind == NodeKind::Dfaas)
        .filter_map(|node| {
            let address = lab.request.plan.node(&node.name)?.address?;
            let peer_id = lab.identities.peer_id(&node.name)?.to_owned();
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
fn connected_groups(lab: &Lab, leads: impl Fn(&Link) -> bool) -> HashMap<&str, usize> {
    let topology = &lab.request.topology;
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
