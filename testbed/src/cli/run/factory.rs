//! Labs for a scenario, made the same way as by `up`.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dfaas_control::{Client, ControlError, LabDetail, LinkChange, Partition};
use dfaas_experiment::{LabFactory, RunningLab};
use dfaas_lab::{LabRequest, Progress, StateDirectory};
use dfaas_model::{Event, EventAction, Topology};
use futures::future::BoxFuture;

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

    fn supports(&self, _topology: &Topology, _event: &Event) -> Result<(), String> {
        Ok(())
    }

    fn begin<'a>(&'a self, lab: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let begun = Self::client(lab).begin_replays().await;
            begun.map_err(|error| error.to_string())
        })
    }

    fn act<'a>(&'a self, lab: &'a str, action: &'a EventAction) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            act(&Self::client(lab), action)
                .await
                .map_err(|error| error.to_string())
        })
    }

    fn undo<'a>(&'a self, lab: &'a str, action: &'a EventAction) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            undo(&Self::client(lab), action)
                .await
                .map_err(|error| error.to_string())
        })
    }

    fn look<'a>(&'a self, lab: &'a str) -> BoxFuture<'a, Result<Option<serde_json::Value>, String>> {
        Box::pin(async move {
            let detail = Self::client(lab).lab_unread().await;
            detail.map(Some).map_err(|error| error.to_string())
        })
    }

    fn node_command(&self, lab: &str, node: &str, arguments: &[String]) -> Command {
        node_command(lab, node, arguments)
    }
}

/// A command that runs this program with `arguments` inside a node.
pub(crate) fn node_command(lab: &str, node: &str, arguments: &[String]) -> Command {
    // The program must outlive this command by not a moment, which `exec` sees to.
    let program = std::env::current_exe().unwrap_or_else(|_| "dfaas-testbed".into());
    let mut command = Command::new(program);
    command
        .args(["exec", "-l", lab, "--own-program", node, "--"])
        .args(arguments);
    command
}

async fn act(client: &Client, action: &EventAction) -> Result<(), ControlError> {
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
            client.change_link(link, &change).await.map(drop)
        }
        EventAction::RaiseLink { link, up } => raise(client, link, *up).await,
        // The events after a start keep their times: nobody waits for the node's functions.
        EventAction::Node { node, action } => client.change_node(node, *action, false).await.map(drop),
        EventAction::Partition { groups } => client.partition(&partition(groups)).await.map(drop),
        EventAction::Heal => client.heal(None).await.map(drop),
        EventAction::Move {
            client: who, to, gap, ..
        } => client.roam(who, to, *gap).await.map(drop),
    }
}

async fn undo(client: &Client, action: &EventAction) -> Result<(), ControlError> {
    match action {
        EventAction::SetLink { link, .. } => {
            let change = LinkChange {
                reset: true,
                ..LinkChange::default()
            };
            client.change_link(link, &change).await.map(drop)
        }
        EventAction::RaiseLink { link, up } => raise(client, link, !up).await,
        EventAction::Node { node, action } => match action.undone_by() {
            Some(action) => client.change_node(node, action, false).await.map(drop),
            None => Ok(()), // refused when the scenario was read
        },
        EventAction::Partition { groups } => client.heal(Some(&partition(groups))).await.map(drop),
        EventAction::Heal => Ok(()), // the same
        EventAction::Move {
            client: who,
            from,
            gap,
            ..
        } => client.roam(who, from, *gap).await.map(drop),
    }
}

async fn raise(client: &Client, link: &str, up: bool) -> Result<(), ControlError> {
    let change = LinkChange {
        up: Some(up),
        ..LinkChange::default()
    };
    client.change_link(link, &change).await.map(drop)
}

fn partition(groups: &[Vec<String>]) -> Partition {
    Partition {
        groups: groups.to_vec(),
    }
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
