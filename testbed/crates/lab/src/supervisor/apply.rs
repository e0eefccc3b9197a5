//! A changed topology file is applied to a running lab: only what differs is touched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dfaas_control::Happening;
use dfaas_docker::ImageProgress;
use dfaas_model::{Change, Node, NodeAction, NodeKind, Plan, Topology};
use futures::future::join_all;

use crate::error::LabError;
use crate::fault;
use crate::supervisor::containers::{self, Provisions};
use crate::supervisor::lab::Lab;

/// How often it is told how far an image is.
const BETWEEN_IMAGE_STEPS: Duration = Duration::from_millis(500);

/// What a lab is meant to become, as it sees it: with all that it has chosen for what stays.
#[derive(Debug, Clone)]
pub(crate) struct Intended {
    pub(crate) changes: Vec<Change>,
    pub(crate) topology: Topology,
    pub(crate) plan: Plan,
}

impl Intended {
    /// The nodes that are new.
    pub(crate) fn new_nodes(&self) -> Vec<&Node> {
        self.nodes(|change| match change {
            Change::AddNode { node, .. } => Some(node),
            _ => None,
        })
    }

    /// The nodes that are new or whose container is.
    fn made_nodes(&self) -> Vec<&Node> {
        self.nodes(|change| match change {
            Change::AddNode { node, .. } | Change::RemakeContainer { node, .. } => Some(node),
            _ => None,
        })
    }

    fn nodes(&self, named: impl Fn(&Change) -> Option<&String>) -> Vec<&Node> {
        let names = self.changes.iter().filter_map(named);
        names.filter_map(|name| self.topology.nodes.get(name)).collect()
    }
}

impl Lab {
    /// The steps from what the lab is meant to be to `wanted`. Touches nothing.
    ///
    /// # Errors
    /// Everything that cannot be changed while the lab runs, and containers that this machine cannot run.
    pub(crate) async fn changes(&self, wanted: Topology) -> Result<Vec<Change>, LabError> {
        let stages = self.intended(wanted)?;
        let made: Vec<&Node> = stages.iter().flat_map(Intended::made_nodes).collect();
        containers::check(self, &made).await?;
        Ok(stages.into_iter().flat_map(|stage| stage.changes).collect())
    }

    /// What the lab becomes, one after the other: that alone, unless a node has to go before it comes again.
    fn intended(&self, wanted: Topology) -> Result<Vec<Intended>, LabError> {
        self.must_be_there()?;
        let (running, mut plan) = (self.topology(), self.plan());
        let wanted = wanted.settled(&running, &plan);
        let mut running = Topology::clone(&running).settled(&running, &plan);
        let mut stages = Vec::new();
        for topology in dfaas_model::stages(&running, wanted) {
            let stage = intended(&running, &plan, topology)?;
            for change in &stage.changes {
                self.check(change, &stage.topology)?;
            }
            (running, plan) = (stage.topology.clone(), Arc::new(stage.plan.clone()));
            stages.push(stage);
        }
        Ok(stages)
    }

    /// What the model cannot know: what this machine can do, and what has been done to the lab since its start.
    fn check(&self, change: &Change, wanted: &Topology) -> Result<(), LabError> {
        match change {
            Change::Link {
                link,
                forward,
                backward,
            } => {
                let after = [&forward[1], &backward[1]];
                self.with_links(link, |links, topology, _| links.could(topology, link, after))
            }
            Change::AddLink { link, .. } | Change::RemakeLink { link, .. } => {
                let new = wanted.links.iter().find(|it| it.name == *link);
                self.check_carrier(new)
            }
            Change::RemoveNode { node } => match self.partition_with(node) {
                Some(_) => Err(impossible(&format!(
                    "\n  node {node}: it is in a partition; end that first (`dfaas-testbed heal`)"
                ))),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Takes the steps and returns them. When one fails, those before stay done, and the lab is meant to be what they
    /// have made of it: the same file can be applied again.
    pub(crate) async fn apply(self: &Arc<Self>, wanted: Topology) -> Result<Vec<Change>, LabError> {
        let _turn = self.applying.lock().await;
        let stages = self.intended(wanted)?;
        fault::step("apply begun");
        let made: Vec<&Node> = stages.iter().flat_map(Intended::made_nodes).collect();
        let provisions = containers::provide(self, &made, &mut self.tell_images()).await?;
        let mut changes = Vec::new();
        for stage in stages {
            self.take_steps(&stage, &provisions).await?;
            changes.extend(stage.changes);
        }
        fault::step("applied");
        self.events.tell(Happening::Applied {
            changes: changes.iter().map(ToString::to_string).collect(),
        });
        Ok(changes)
    }

    /// Tells of images that are pulled or built: of each at once, and now and then how far it is. An engine reports every
    /// part of every layer.
    fn tell_images(&self) -> impl FnMut(ImageProgress) + Send {
        let mut told: Option<(String, Instant)> = None;
        move |ImageProgress { image, text }| {
            let is_news = told
                .as_ref()
                .is_none_or(|(before, at)| *before != image || at.elapsed() >= BETWEEN_IMAGE_STEPS);
            if is_news {
                told = Some((image.clone(), Instant::now()));
                self.events.tell(Happening::Image { image, text });
            }
        }
    }

    async fn take_steps(self: &Arc<Self>, stage: &Intended, provisions: &Provisions) -> Result<(), LabError> {
        let Intended {
            changes,
            topology: wanted,
            ..
        } = stage;
        let running = self.topology();
        let doors = self.change_doors(changes, &running, wanted).await?;
        match self.rebuild(stage, provisions).await {
            Ok(ports) => self.start_new(&stage.new_nodes(), ports).await?,
            Err(error) => {
                self.take_doors_back(&doors, &running).await;
                return Err(error);
            }
        }
        let mut restarts = Vec::new();
        for change in changes {
            match change {
                Change::Link { link, .. } => self.apply_link(link, wanted).await?,
                Change::Monitoring { monitoring } => self.watch_nodes(*monitoring).await?,
                Change::Limits { node, limits } => {
                    let running = self.driven(node)?;
                    let _turn = running.turn().lock().await;
                    running.limit(limits[1].clone()).await?;
                    self.change_node_settings(wanted, node, |node, wanted| node.limits = wanted.limits);
                    self.tell_limits(node, &limits[1]);
                }
                Change::Labels { node } => {
                    self.change_node_settings(wanted, node, |node, wanted| node.labels = wanted.labels);
                }
                Change::Restart { node, .. } => restarts.push(node.as_str()),
                Change::RemakeContainer { node, .. } => {
                    if let Some((container, provision)) = self.container(node).zip(provisions.of(node)) {
                        container.make_with(provision.clone());
                    }
                    restarts.push(node.as_str());
                }
                Change::RemoveLink { .. }
                | Change::RemoveNode { .. }
                | Change::AddNode { .. }
                | Change::AddLink { .. }
                | Change::RemakeLink { .. }
                | Change::Forward { .. }
                | Change::Ports { .. }
                | Change::Uplink { .. } => {} // done
            }
        }
        let restarted = join_all(restarts.iter().map(|node| self.apply_restart(node, wanted))).await;
        restarted.into_iter().collect()
    }

    async fn apply_link(self: &Arc<Self>, name: &str, wanted: &Topology) -> Result<(), LabError> {
        let Some(link) = wanted.link(name) else {
            return Ok(()); // it would have been refused
        };
        let (lab, link) = (Arc::clone(self), link.clone());
        let changed = tokio::task::spawn_blocking(move || {
            let impairments = [link.forward, link.backward];
            let info = lab.with_links(&link.name, |links, topology, network| {
                links.reimpair_to(topology, network, &link.name, impairments.clone())
            })?;
            lab.change_topology(|topology| {
                let own = topology.links.iter_mut().find(|it| it.name == info.name);
                if let Some(own) = own {
                    [own.forward, own.backward] = impairments;
                }
            });
            lab.tell_link(&info);
            fault::step("link changed");
            Ok::<(), LabError>(())
        });
        changed.await.unwrap_or_else(|error| {
            Err(LabError::Link {
                link: name.to_owned(),
                reason: error.to_string(),
            })
        })
    }

    /// A node that is stopped stays so; it has the new settings when it is started.
    async fn apply_restart(self: &Arc<Self>, name: &str, wanted: &Topology) -> Result<(), LabError> {
        self.change_node_settings(wanted, name, |node, wanted| {
            (node.functions, node.agent, node.faas) = (wanted.functions, wanted.agent, wanted.faas);
            (node.env, node.volumes, node.exec) = (wanted.env, wanted.volumes, wanted.exec);
            node.driver = wanted.driver;
        });
        if self.driven(name)?.is_off() {
            return Ok(());
        }
        self.change_node(name, NodeAction::Restart, true).await.map(drop)
    }

    fn change_node_settings(&self, wanted: &Topology, name: &str, change: impl FnOnce(&mut Node, Node)) {
        let Some(wanted) = wanted.nodes.get(name).cloned() else {
            return; // it would have been refused
        };
        self.change_topology(|topology| {
            if let Some(node) = topology.nodes.get_mut(name) {
                change(node, wanted);
            }
        });
    }
}

/// The steps from one topology to another, both settled.
fn intended(running: &Topology, running_plan: &Plan, wanted: Topology) -> Result<Intended, LabError> {
    let mut changes = dfaas_model::changes(running, &wanted).map_err(|refused| {
        let list: Vec<String> = refused.iter().map(|it| format!("\n  {it}")).collect();
        impossible(&list.concat())
    })?;
    let plan = dfaas_model::plan(&wanted).map_err(|error| {
        let reason = error.line();
        impossible(&format!(
            "\n  what stays keeps its addresses, and then {reason}; `down` and `up` give others"
        ))
    })?;
    changes.extend(restarts_by_address(running_plan, &wanted, &plan, &changes));
    Ok(Intended {
        changes,
        topology: wanted,
        plan,
    })
}

/// The services of a node are told its address when they start.
fn restarts_by_address(running: &Plan, wanted: &Topology, plan: &Plan, changes: &[Change]) -> Vec<Change> {
    let restarts = |name: &str| {
        changes.iter().any(|change| match change {
            Change::Restart { node, .. } | Change::RemakeContainer { node, .. } => node == name,
            _ => false,
        })
    };
    let agents = wanted.nodes.values().filter(|node| node.kind == NodeKind::Dfaas);
    let differing = agents.filter(|node| match (running.node(&node.name), plan.node(&node.name)) {
        (Some(old), Some(new)) => old.address != new.address && !restarts(&node.name),
        _ => false,
    });
    differing
        .map(|node| Change::restart(node, &["address"]))
        .collect()
}

fn impossible(reasons: &str) -> LabError {
    LabError::Setting(format!(
        "the lab cannot become what the file says while it runs, and is left as it is:{reasons}"
    ))
}
