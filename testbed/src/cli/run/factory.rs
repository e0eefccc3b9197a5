//! Labs for a scenario, made the same way as by `up`.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dfaas_control::{Client, LabDetail, LinkChange};
use dfaas_experiment::{LabFactory, RunningLab};
use dfaas_lab::{LabRequest, Progress, StateDirectory};
use dfaas_model::{Event, EventAction, Topology};
use futures::future::BoxFuture;

/// Where this program lies inside a node.
const PROGRAM_IN_NODES: &str = "/run/dfaas/bin/dfaas-testbed";

type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Starts, steers and ends labs.
pub(super) struct Labs {
    on_progress: OnProgress,
}

/// Raises a flag when it is dropped: a start that nobody waits for any more is undone.
struct UndoOnDrop(Arc<AtomicBool>);

impl Drop for UndoOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Labs {
    pub(super) fn new(on_progress: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self {
            on_progress: Arc::new(on_progress),
        }
    }

    fn client(lab: &str) -> Client {
        Client::new(StateDirectory::of(lab).control_socket())
    }
}

impl LabFactory for Labs {
    fn start<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<RunningLab, String>> {
        Box::pin(async move {
            let plan = dfaas_model::plan(topology).map_err(|error| error.to_string())?;
            let request = LabRequest {
                topology: topology.clone(),
                plan,
                keep: false,
            };
            let on_progress = Arc::clone(&self.on_progress);
            let abandoned = UndoOnDrop(Arc::default());
            let interrupted = Arc::clone(&abandoned.0);
            let started = tokio::task::spawn_blocking(move || {
                dfaas_lab::start(&request, &interrupted, &mut |milestone| on_progress(milestone))
            });
            started
                .await
                .map_err(|error| error.to_string())?
                .map_err(|error| error.to_string())?;
            let described = match Self::client(&topology.name).lab().await {
                Ok(detail) => running_lab(&detail),
                Err(error) => Err(error.to_string()),
            };
            if described.is_err() {
                self.stop(&topology.name).await?; // nobody else knows that it runs
            }
            described
        })
    }

    fn stop<'a>(&'a self, lab: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let state = StateDirectory::of(lab);
            dfaas_lab::take_down(&state)
                .await
                .map_err(|error| error.to_string())
        })
    }

    fn supports(&self, _topology: &Topology, event: &Event) -> Result<(), String> {
        match &event.action {
            EventAction::SetLink { .. } | EventAction::RaiseLink { .. } => Ok(()),
            EventAction::Node { .. } => {
                Err("this version cannot stop and start nodes of a running lab".to_owned())
            }
            EventAction::Partition { .. } => Err("this version cannot partition a running lab".to_owned()),
        }
    }

    fn act<'a>(&'a self, lab: &'a str, action: &'a EventAction) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            match action {
                EventAction::SetLink {
                    link,
                    forward,
                    backward,
                } => {
                    let change = LinkChange {
                        forward: (**forward).clone(),
                        backward: (**backward).clone(),
                        ..LinkChange::default()
                    };
                    change_link(lab, link, &change).await
                }
                EventAction::RaiseLink { link, up } => {
                    change_link(
                        lab,
                        link,
                        &LinkChange {
                            up: Some(*up),
                            ..LinkChange::default()
                        },
                    )
                    .await
                }
                other => Err(format!("{other:?} is not supported")),
            }
        })
    }

    fn undo<'a>(&'a self, lab: &'a str, action: &'a EventAction) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            match action {
                EventAction::SetLink { link, .. } => {
                    change_link(
                        lab,
                        link,
                        &LinkChange {
                            reset: true,
                            ..LinkChange::default()
                        },
                    )
                    .await
                }
                EventAction::RaiseLink { link, up } => {
                    change_link(
                        lab,
                        link,
                        &LinkChange {
                            up: Some(!up),
                            ..LinkChange::default()
                        },
                    )
                    .await
                }
                other => Err(format!("{other:?} is not supported")),
            }
        })
    }

    fn look<'a>(&'a self, lab: &'a str) -> BoxFuture<'a, Result<Option<serde_json::Value>, String>> {
        Box::pin(async move {
            let detail = Self::client(lab).lab().await.map_err(|error| error.to_string())?;
            serde_json::to_value(&detail)
                .map(Some)
                .map_err(|error| error.to_string())
        })
    }

    fn node_command(&self, lab: &str, node: &str, arguments: &[String]) -> Command {
        node_command(lab, node, arguments)
    }
}

/// A command that runs this program with `arguments` inside a node.
pub(crate) fn node_command(lab: &str, node: &str, arguments: &[String]) -> Command {
    // The program must outlive this command by not a moment, which `exec` sees to.
    let program = std::env::current_exe().unwrap_or_else(|_| PROGRAM_IN_NODES.into());
    let mut command = Command::new(program);
    command
        .args(["exec", "-l", lab, node, "--", PROGRAM_IN_NODES])
        .args(arguments);
    command
}

async fn change_link(lab: &str, link: &str, change: &LinkChange) -> Result<(), String> {
    Labs::client(lab)
        .change_link(link, change)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

fn running_lab(detail: &LabDetail) -> Result<RunningLab, String> {
    let mut node_names_by_key = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for node in &detail.nodes {
        if let Some(peer_id) = &node.peer_id {
            node_names_by_key.insert(peer_id.clone(), node.name.clone());
        }
        for address in &node.addresses {
            let address = address.split('/').next().unwrap_or(address);
            node_names_by_key.insert(address.to_owned(), node.name.clone());
        }
        if let Some(address) = &node.address {
            let parsed = address
                .parse()
                .map_err(|_| format!("node `{}` has the address `{address}`", node.name))?;
            addresses.insert(node.name.clone(), parsed);
        }
    }
    Ok(RunningLab {
        name: detail.name.clone(),
        detail: serde_json::to_value(detail).map_err(|error| error.to_string())?,
        node_names_by_key,
        addresses,
        log_directory: detail.log_directory.clone(),
    })
}
