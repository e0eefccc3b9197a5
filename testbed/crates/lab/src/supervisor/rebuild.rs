//! Nodes and links of a running lab come and go; what stays is not touched.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use dfaas_model::{Action, Change, Link, Node, Plan, Topology, Transition};
use dfaas_netns::Network;
use futures::future::join_all;

use crate::error::LabError;
use crate::fault;
use crate::supervisor::apply::Intended;
use crate::supervisor::containers::{self, Provisions};
use crate::supervisor::lab::{Lab, hosts_of};
use crate::supervisor::links::Links;
use crate::supervisor::splice::BoundPort;
use crate::supervisor::{bring_up, doors, flap, network, tasks};

/// How long the services of a node that goes may take to end in good order.
const GRACE: Duration = Duration::from_secs(5);

/// The nodes and links that a change is about.
struct Parts<'a> {
    new_nodes: Vec<&'a Node>,
    gone_nodes: Vec<&'a str>,
    new_links: Vec<&'a Link>,
    /// Those made anew are in both lists.
    gone_links: Vec<&'a Link>,
    remade: HashSet<&'a str>,
    /// Those that begin to forward packets, or end.
    forwarding: Vec<(&'a str, bool)>,
    monitoring: bool,
}

impl<'a> Parts<'a> {
    fn of(changes: &'a [Change], running: &'a Topology, wanted: &'a Topology) -> Parts<'a> {
        let mut parts = Parts {
            new_nodes: Vec::new(),
            gone_nodes: Vec::new(),
            new_links: Vec::new(),
            gone_links: Vec::new(),
            remade: HashSet::new(),
            forwarding: Vec::new(),
            monitoring: false,
        };
        let link = |topology: &'a Topology, name: &str| topology.links.iter().find(|it| it.name == name);
        for change in changes {
            match change {
                Change::AddNode { node, .. } => parts.new_nodes.extend(wanted.nodes.get(node)),
                Change::RemoveNode { node } => parts.gone_nodes.push(node),
                Change::AddLink { link: name, .. } => parts.new_links.extend(link(wanted, name)),
                Change::RemoveLink { link: name } => parts.gone_links.extend(link(running, name)),
                Change::RemakeLink { link: name, .. } => {
                    parts.new_links.extend(link(wanted, name));
                    parts.gone_links.extend(link(running, name));
                    parts.remade.insert(name);
                }
                Change::Forward { node, forward } => parts.forwarding.push((node, *forward)),
                Change::Monitoring { .. } => parts.monitoring = true,
                _ => {}
            }
        }
        parts
    }

    fn is_empty(&self) -> bool {
        let nodes = self.new_nodes.is_empty() && self.gone_nodes.is_empty() && self.forwarding.is_empty();
        nodes && self.new_links.is_empty() && self.gone_links.is_empty() && !self.monitoring
    }
}

impl Lab {
    /// Makes and removes what the changes name; if that fails, the lab is what it was. Nothing runs in the new nodes yet,
    /// whose published ports are returned.
    pub(crate) async fn rebuild(
        self: &Arc<Self>,
        intended: &Intended,
        provisions: &Provisions,
    ) -> Result<Vec<BoundPort>, LabError> {
        let running = self.topology();
        let parts = Parts::of(&intended.changes, &running, &intended.topology);
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        // What fails most often comes first, before anything is touched.
        let ports = doors::bind_ports(&parts.new_nodes).await?;
        self.prepare_for(&intended.topology)?;
        let hosts = hosts_of(&intended.plan);
        containers::hold_networks(self, &parts.new_nodes, provisions, &hosts).await?;
        let (lab, change) = (Arc::clone(self), intended.clone());
        let rewired = tokio::task::spawn_blocking(move || lab.rewire(&change)).await;
        let rewired = rewired
            .unwrap_or_else(|error| Err(LabError::Setting(format!("the network was not changed: {error}"))));
        if let Err(error) = rewired {
            containers::let_go(self, &parts.new_nodes).await;
            return Err(error);
        }
        fault::step("network changed");
        for node in &parts.new_nodes {
            self.add_node(node);
        }
        self.become_other(halfway(&running, intended, &parts), intended.plan.clone());
        let gone: Vec<String> = parts.gone_nodes.iter().map(ToString::to_string).collect();
        join_all(gone.iter().map(|node| self.remove_node(node))).await;
        self.tell_hosts().await;
        let (lab, new) = (Arc::clone(self), &parts.new_links);
        let renewed = tokio::task::spawn_blocking(move || lab.renew_partitions()).await;
        if let Ok(Err(error)) = renewed {
            self.warn(format!("a partition does not hold for new links: {error}"));
        }
        flap::start(self, new.iter().copied());
        Ok(ports)
    }

    /// From one network to the other. Blocks while the kernel works.
    fn rewire(self: &Arc<Self>, intended: &Intended) -> Result<(), LabError> {
        let (running, plan) = (self.topology(), self.plan());
        let parts = Parts::of(&intended.changes, &running, &intended.topology);
        let network = self.network().ok_or_else(no_network)?;
        let transition = Transition::between(&plan, &intended.plan, &parts.remade);
        self.with_all_links(|links| {
            set_forwarding(&network, &parts.forwarding)?;
            for link in &parts.gone_links {
                self.tasks.end(&tasks::of_link(&link.name));
                links.detach(&network, &link.name)?;
            }
            fault::step("links detached");
            let (gone, _) = network::specification(&plan, &transition.gone, links)?;
            network.withdraw(&gone)?;
            fault::step("network withdrawn");
            let connected = self.connect(
                links,
                &network,
                (&intended.topology, &intended.plan),
                &transition.new,
                &parts.new_links,
            );
            if connected.is_err() {
                for node in &parts.new_nodes {
                    drop(network.remove_namespace(&node.name)); // unless it was not made
                }
                let forwarding = parts.forwarding.iter().map(|(node, forward)| (*node, !forward));
                if let Err(error) = set_forwarding(&network, &forwarding.collect::<Vec<_>>()) {
                    self.warn(format!("what a node forwards could not be put back: {error}"));
                }
                let before = (&*running, &*plan);
                let back = self.connect(links, &network, before, &transition.gone, &parts.gone_links);
                if let Err(error) = back {
                    self.warn(format!("what was taken away could not be put back: {error}"));
                }
                flap::start(self, parts.gone_links.iter().copied());
            }
            connected
        })
    }

    /// Ends what runs in a node that is no longer part of the lab. What cannot be ended is a warning; `down` tries again.
    async fn remove_node(self: &Arc<Self>, name: &str) {
        self.tasks.finish(&tasks::of_node(name)).await;
        if let Some(node) = self.running(name) {
            let _turn = node.turn.lock().await;
            for left in node.stop(GRACE).await {
                self.warn(format!("node `{name}` is gone, but not all of it: {left}"));
            }
        }
        if let Some(container) = self.forget_container(name) {
            for left in containers::remove_node(self, container, GRACE).await {
                self.warn(format!("node `{name}` is gone, but not all of it: {left}"));
            }
        }
        self.forget_node(name);
        fault::step("node ended");
        let (network, name) = (self.network(), name.to_owned());
        let scratch = self.state_directory.scratch().join(&name);
        let removed = tokio::task::spawn_blocking(move || {
            if let Some(network) = network {
                network.remove_namespace(&name)?;
            }
            match std::fs::remove_dir_all(&scratch) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    Err(LabError::file("remove", &scratch, source))
                }
                _ => Ok(()),
            }
        });
        if let Ok(Err(error)) = removed.await {
            self.warn(error.to_string());
        }
        fault::step("node removed");
    }

    /// Every node that runs learns what the names stand for now.
    pub(crate) async fn tell_hosts(&self) {
        let (nodes, containers, hosts) = (self.nodes(), self.containers(), self.hosts());
        let native = join_all(nodes.iter().map(|node| node.set_hosts(hosts.clone())));
        let containers = join_all(containers.iter().map(|node| node.set_hosts(hosts.clone())));
        let (native, containers) = tokio::join!(native, containers);
        for error in native.into_iter().chain(containers).filter_map(Result::err) {
            self.warn(error.to_string());
        }
    }

    /// Makes these network steps and hands these links to carriers; nothing of it stays if that fails.
    fn connect(
        &self,
        links: &mut Links,
        network: &Network,
        (topology, plan): (&Topology, &Plan),
        steps: &[Action],
        new: &[&Link],
    ) -> Result<(), LabError> {
        links.choose(new.iter().copied())?;
        let (mut spec, midpoints) = network::specification(plan, steps, links)?;
        network::adopt(&mut spec, &self.containers());
        network.extend(&spec)?;
        fault::step("network extended");
        let attached = links.attach(topology, network, midpoints, new);
        if attached.is_err() {
            for link in new {
                drop(links.detach(network, &link.name));
            }
            drop(network.withdraw(&spec));
        }
        attached
    }

    /// Starts what runs in new nodes. One that does not start is there and stopped.
    pub(crate) async fn start_new(
        self: &Arc<Self>,
        nodes: &[&Node],
        ports: Vec<BoundPort>,
    ) -> Result<(), LabError> {
        let started = async {
            doors::open_all(self, nodes, ports).await?;
            bring_up::start_nodes(self, nodes, None).await
        };
        let result = started.await.map(drop);
        for node in nodes {
            let running = self.driven(&node.name)?;
            if result.is_err() {
                running.power_off(None).await?; // not half a node: it can be started as a whole
            }
            self.tell_state(&running);
        }
        fault::step("new nodes started");
        result
    }
}

fn set_forwarding(network: &Network, nodes: &[(&str, bool)]) -> Result<(), LabError> {
    for (node, forward) in nodes {
        network.set_forwarding(node, *forward)?;
        fault::step("forwarding set");
    }
    Ok(())
}

/// The wanted topology, in which all that was there and stays is still as it was.
fn halfway(running: &Topology, intended: &Intended, parts: &Parts<'_>) -> Topology {
    let mut topology = intended.topology.clone();
    for (name, node) in &mut topology.nodes {
        if let Some(old) = running.nodes.get(name) {
            let interfaces = std::mem::take(&mut node.interfaces);
            *node = Node {
                interfaces,
                forward: node.forward,
                ..old.clone()
            };
        }
    }
    for link in &mut topology.links {
        let old = running.links.iter().find(|it| it.name == link.name);
        if let Some(old) = old.filter(|it| !parts.remade.contains(it.name.as_str())) {
            *link = old.clone();
        }
    }
    for (name, trace) in &running.traces {
        topology
            .traces
            .entry(name.clone())
            .or_insert_with(|| Arc::clone(trace));
    }
    topology
}

fn no_network() -> LabError {
    LabError::Setting("the lab has no network".to_owned())
}
