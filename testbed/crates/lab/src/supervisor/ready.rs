//! When a `dfaas` node is ready: its proxy answers, each of its functions has run once through the proxy, and its
//! agent knows every agent it can reach.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dfaas_agent_api::metrics;
use dfaas_control::LabState;
use dfaas_model::{Node, NodeKind, Service};
use dfaas_netns::Network;
use futures::future::try_join_all;
use tokio::time::{Instant, sleep};

use crate::error::LabError;
use crate::supervisor::lab::{Lab, lock};
use crate::supervisor::services::{self, port};
use crate::supervisor::{bring_up, probe};

/// How long a node may take from its first service to ready. Fifty nodes on two cores need a good part of it.
const LIMIT: Duration = Duration::from_secs(120);
/// How long another agent has to live.
const MOMENT: Duration = Duration::from_secs(1);
/// Between two looks at a service that starts.
const SERVICE_INTERVAL: Duration = Duration::from_millis(10);
/// Between two calls of a function. A call that the node counts as load must not use up a small `maxrate`.
const FUNCTION_INTERVAL: Duration = Duration::from_millis(200);

/// Waits until a service that was just started answers.
pub(crate) async fn service_answers(lab: &Lab, node: &Node, service: Service) -> Result<(), LabError> {
    if service == Service::Agent && node.agent.binary.is_some() {
        return stays(lab, &node.name).await;
    }
    let gateway = services::gateway_port(node);
    let node = node.name.as_str();
    let network = network(lab, node)?;
    let (port, path) = match service {
        Service::Haproxy => (port::HAPROXY, "/"),
        Service::Faas => (gateway, "/healthz"),
        Service::Agent => (port::AGENT, "/metrics"),
        Service::NodeExporter => (port::NODE_EXPORTER, "/"),
        Service::Prometheus => (port::PROMETHEUS, "/-/ready"),
    };
    let deadline = Instant::now() + LIMIT;
    loop {
        if probe::get(&network, node, port, path).await.is_some() {
            return Ok(());
        }
        lab.check_services(node)?;
        if Instant::now() > deadline {
            return Err(too_late(
                lab,
                node,
                &format!("{service} does not answer on port {port}"),
                &service.to_string(),
            ));
        }
        sleep(SERVICE_INTERVAL).await;
    }
}

/// Another agent need not answer anywhere; it has to live for a moment, and to tell HAProxy of the functions.
async fn stays(lab: &Lab, node: &str) -> Result<(), LabError> {
    let until = Instant::now() + MOMENT;
    while Instant::now() < until {
        lab.check_services(node)?;
        sleep(SERVICE_INTERVAL).await;
    }
    Ok(())
}

/// Waits until the lab and each of its nodes that runs is ready; returns how many agents know each other.
///
/// # Errors
/// When that takes longer than `limit`: which nodes are not ready.
pub(crate) async fn whole_lab(lab: &Lab, limit: Duration) -> Result<usize, LabError> {
    let waiting: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::from(["the lab itself".to_owned()]));
    let wait = async {
        let mut states = lab.states();
        // The sender is in the lab, so waiting cannot fail.
        let _ = states
            .wait_for(|state| matches!(state, LabState::Ready | LabState::Failed))
            .await;
        let runs = |name: &str| lab.driven(name).is_ok_and(|it| !it.is_off() && !it.is_paused());
        let topology = lab.topology();
        let identities = lab.identities();
        let peers = bring_up::peers_by_node(lab, &topology, |link| !link.down);
        let agents = topology
            .nodes
            .values()
            .filter(|node| node.kind == NodeKind::Dfaas && runs(&node.name));
        *lock(&waiting) = agents
            .clone()
            .map(|node| format!("node `{}`", node.name))
            .collect();
        let running: HashSet<&str> = agents
            .clone()
            .filter_map(|node| identities.peer_id(&node.name))
            .collect();
        try_join_all(agents.clone().map(|node| async {
            functions_answer(lab, node).await?;
            let known = peers.get(node.name.as_str()).into_iter().flatten();
            let expected = known.filter(|peer| running.contains(peer.peer_id.as_str()));
            agent_knows_peers(lab, node, expected.count()).await?;
            lock(&waiting).remove(&format!("node `{}`", node.name));
            Ok::<_, LabError>(())
        }))
        .await?;
        Ok(agents.count())
    };
    match tokio::time::timeout(limit, wait).await {
        Ok(ready) => ready,
        Err(_) => Err(LabError::NotReady {
            lab: lab.name().to_owned(),
            seconds: limit.as_secs_f64(),
            waiting: lock(&waiting).iter().cloned().collect(),
        }),
    }
}

/// Waits until every function of the node has run once through the node's proxy.
pub(crate) async fn functions_answer(lab: &Lab, node: &Node) -> Result<(), LabError> {
    let network = network(lab, &node.name)?;
    let deadline = Instant::now() + LIMIT;
    for function in node
        .functions
        .values()
        .filter(|function| function.maxrate != Some(0))
    {
        let path = format!("/function/{}", function.name);
        loop {
            let answer = probe::get(&network, &node.name, port::HAPROXY, &path).await;
            match &answer {
                // A function that ends with an error on an empty body has run all the same.
                Some(answer) if answer.status < 400 => break,
                Some(answer) if answer.status == 500 && !answer.body.starts_with("exec:") => break,
                Some(answer) if answer.status == 500 => {
                    let reason = format!(
                        "function `{}` cannot run: {}",
                        function.name,
                        answer.body.trim_end()
                    );
                    return Err(LabError::Node {
                        node: node.name.clone(),
                        reason,
                    });
                }
                _ => {}
            }
            lab.check_services(&node.name)?;
            if Instant::now() > deadline {
                let last = answer.map_or("no answer".to_owned(), |answer| {
                    format!("status {}", answer.status)
                });
                let reason = format!(
                    "function `{}` has not answered through HAProxy (last: {last})",
                    function.name
                );
                return Err(too_late(lab, &node.name, &reason, "agent"));
            }
            sleep(FUNCTION_INTERVAL).await;
        }
    }
    Ok(())
}

/// Waits until the node's agent knows `expected` other agents.
pub(crate) async fn agent_knows_peers(lab: &Lab, node: &Node, expected: usize) -> Result<(), LabError> {
    if node.agent.binary.is_some() {
        // Only ours says whom it knows.
        return Ok(());
    }
    let node = node.name.as_str();
    let network = network(lab, node)?;
    let deadline = Instant::now() + LIMIT;
    loop {
        let page = probe::get(&network, node, port::AGENT, "/metrics").await;
        let known = page
            .and_then(|page| probe::metric(&page.body, metrics::PEERS))
            .unwrap_or(0.0);
        #[expect(clippy::cast_precision_loss, reason = "a lab has far fewer than 2^52 nodes")]
        if known >= expected as f64 {
            return Ok(());
        }
        lab.check_services(node)?;
        if Instant::now() > deadline {
            let reason = format!("its agent knows {known} of {expected} other agents");
            return Err(too_late(lab, node, &reason, "agent"));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn network(lab: &Lab, node: &str) -> Result<Arc<Network>, LabError> {
    lab.network().ok_or_else(|| LabError::Node {
        node: node.to_owned(),
        reason: "the network is gone".to_owned(),
    })
}

fn too_late(lab: &Lab, node: &str, reason: &str, service: &str) -> LabError {
    let log = lab.last_log_lines(node, service);
    LabError::Node {
        node: node.to_owned(),
        reason: format!("not ready after {} s: {reason}{log}", LIMIT.as_secs()),
    }
}
