//! A changed topology file is applied to a running lab: only what differs is touched.

use std::sync::Arc;

use dfaas_control::Happening;
use dfaas_model::{Change, Node, NodeAction, Topology};
use futures::future::join_all;

use crate::error::LabError;
use crate::supervisor::lab::Lab;

impl Lab {
    /// The steps from what the lab is meant to be to `wanted`. Touches nothing.
    ///
    /// # Errors
    /// Everything that cannot be changed while the lab runs.
    pub(crate) fn changes(&self, wanted: &Topology) -> Result<Vec<Change>, LabError> {
        self.must_be_there()?;
        let running = self.topology();
        let changes = dfaas_model::changes(&running, wanted).map_err(|refused| {
            let list: Vec<String> = refused.iter().map(|it| format!("\n  {it}")).collect();
            LabError::Setting(format!(
                "the lab cannot become what the file says while it runs, and is left as it is:{}",
                list.concat()
            ))
        })?;
        for change in &changes {
            if let Change::Link {
                link,
                forward,
                backward,
            } = change
            {
                let after = [&forward[1], &backward[1]];
                self.with_links(link, |links, topology, _| links.could(topology, link, after))?;
            }
        }
        Ok(changes)
    }

    /// Takes the steps and returns them. When one fails, those before stay done, and the lab is meant to be what they
    /// have made of it: the same file can be applied again.
    pub(crate) async fn apply(self: &Arc<Self>, wanted: Topology) -> Result<Vec<Change>, LabError> {
        let _turn = self.applying.lock().await;
        let changes = self.changes(&wanted)?;
        let mut restarts = Vec::new();
        for change in &changes {
            match change {
                Change::Link { link, .. } => self.apply_link(link, &wanted).await?,
                Change::Limits { node, limits } => {
                    let running = self.known_running(node)?;
                    let _turn = running.turn.lock().await;
                    running.limit(limits[1].clone()).await?;
                    self.change_node_settings(&wanted, node, |node, wanted| node.limits = wanted.limits);
                    self.tell_limits(node, &limits[1]);
                }
                Change::Labels { node } => {
                    self.change_node_settings(&wanted, node, |node, wanted| node.labels = wanted.labels);
                }
                Change::Restart { node, .. } => restarts.push(node.as_str()),
            }
        }
        let restarted = join_all(restarts.iter().map(|node| self.apply_restart(node, &wanted))).await;
        restarted.into_iter().collect::<Result<(), LabError>>()?;
        self.events.tell(Happening::Applied {
            changes: changes.iter().map(ToString::to_string).collect(),
        });
        Ok(changes)
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
        });
        if self.known_running(name)?.is_off() {
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
