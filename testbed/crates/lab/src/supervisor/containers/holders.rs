//! The networks of container nodes: made before the lab's network, which adopts them.

use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use dfaas_docker::{Engine, HolderSpec};
use dfaas_model::Node;
use futures::future::join_all;

use crate::error::LabError;
use crate::fault;
use crate::ledger::Undo;
use crate::supervisor::containers::node::Prepared;
use crate::supervisor::containers::provision::Provision;
use crate::supervisor::containers::{ContainerNode, Provisions, to_the_end};
use crate::supervisor::lab::Lab;

/// Gives each container among these nodes its network and makes it part of the lab; all of them, or none. `hosts` are the
/// names that they will know.
pub(crate) async fn hold_networks(
    lab: &Arc<Lab>,
    nodes: &[&Node],
    provisions: &Provisions,
    hosts: &[(IpAddr, String)],
) -> Result<(), LabError> {
    let Some(engine) = &provisions.engine else {
        return Ok(());
    };
    let provided = nodes
        .iter()
        .filter_map(|node| Some((*node, provisions.of(&node.name)?.clone())));
    let made = join_all(provided.map(|(node, provision)| {
        let (making, engine, node) = (Arc::clone(lab), engine.clone(), node.clone());
        let hosts = hosts.to_vec();
        to_the_end(lab, async move {
            create(&making, &engine, &node, provision, hosts).await
        })
    }))
    .await;
    let mut failed = None;
    for result in made {
        match result {
            Ok(container) => lab.keep_container(Arc::new(container)),
            Err(error) => drop(failed.get_or_insert(error)),
        }
    }
    match failed {
        None => Ok(()),
        Some(error) => {
            let_go(lab, nodes).await;
            Err(error)
        }
    }
}

/// Takes back what [`hold_networks`] has made. What cannot be removed is a warning; the lab's end tries again.
pub(crate) async fn let_go(lab: &Arc<Lab>, nodes: &[&Node]) {
    let gone = nodes.iter().filter_map(|node| lab.forget_container(&node.name));
    let removed =
        join_all(gone.map(|container| super::remove_node(lab, container, std::time::Duration::ZERO)));
    for left in removed.await.into_iter().flatten() {
        lab.warn(left);
    }
}

/// Starts the node's network holder; both its containers are in the ledger before they exist.
async fn create(
    lab: &Lab,
    engine: &Engine,
    node: &Node,
    provision: Provision,
    hosts: Vec<(IpAddr, String)>,
) -> Result<ContainerNode, LabError> {
    let name = &node.name;
    // The supervisor's number tells containers of labs apart that have the same name in different state directories.
    let container = format!("dfaas-{}-{name}-{}", lab.name(), std::process::id());
    let holder = format!("{container}-network");
    for name in [&holder, &container] {
        lab.ledger.record(&Undo::RemoveContainer { name: name.clone() })?;
    }
    let specification = HolderSpec {
        name: holder,
        lab: lab.name().to_owned(),
        node: name.clone(),
        hosts: hosts.clone(),
        oci_runtime: provision.runtime.name.clone(),
    };
    let started = async {
        let holder = engine.start_holder(&specification).await?;
        fault::step("network holder started");
        let path = PathBuf::from(format!("/proc/{}/ns/net", holder.pid));
        let network = File::open(&path).map_err(|source| LabError::file("open", &path, source))?;
        Ok::<_, LabError>((holder, network))
    };
    match started.await {
        Ok((holder, network)) => {
            let prepared = Prepared {
                container,
                holder,
                network: network.into(),
                provision,
                hosts,
            };
            Ok(ContainerNode::new(node, engine, prepared))
        }
        Err(error) => {
            // A lab that goes on must not keep half a node, and may be asked for it again.
            if let Err(error) = engine.remove_container(&specification.name).await {
                lab.warn(error.to_string());
            }
            Err(error)
        }
    }
}
