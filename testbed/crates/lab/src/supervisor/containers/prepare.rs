//! What is done before anything else of a lab exists: the engine and its runtimes are checked, images are made sure of,
//! and each container node gets its network.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use dfaas_docker::{Engine, EngineFacts, HolderSpec, ImageSource};
use dfaas_model::{ContainerImage, ContainerSettings, Node, Topology};
use futures::future::try_join_all;

use crate::error::LabError;
use crate::fault;
use crate::ledger::Undo;
use crate::progress::Progress;
use crate::supervisor::containers::node::Prepared;
use crate::supervisor::containers::{ContainerNode, Containers};
use crate::supervisor::lab::Lab;
use crate::supervisor::reporter::Reporter;

/// How a node's container runs, after what this engine has was compared with what the file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runtime {
    pub(super) name: Option<String>,
    pub(super) privileged: bool,
}

/// Refuses container nodes where the lab of an ordinary user could not join their networks.
pub(crate) fn refuse(topology: &Topology) -> Result<(), LabError> {
    match containers(topology).next() {
        None => Ok(()),
        Some((node, _)) => Err(LabError::MachineCannot {
            what: format!("node `{}` has driver `docker`, which needs root", node.name),
            remedy: "run as root (`sudo dfaas-testbed …`), or use `driver: native`".to_owned(),
        }),
    }
}

fn containers(topology: &Topology) -> impl Iterator<Item = (&Node, &ContainerSettings)> {
    let nodes = topology.nodes.values();
    nodes.filter_map(|node| Some((node, node.driver.container()?)))
}

/// Prepares the container nodes of a lab; `None` when it has none.
pub(crate) async fn prepare(lab: &Arc<Lab>, reporter: &Reporter) -> Result<Option<Containers>, LabError> {
    let topology = lab.topology();
    let wanted: Vec<_> = containers(&topology).collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let engine = Engine::connect().await.map_err(|error| LabError::MachineCannot {
        what: error.to_string(),
        remedy: "install and start Docker (`apt install docker.io`), or use `driver: native`".to_owned(),
    })?;
    let facts = engine.facts().await?;
    let mut runtimes = Vec::with_capacity(wanted.len());
    for (node, settings) in &wanted {
        runtimes.push(runtime(&node.name, settings, &facts, lab)?);
    }
    let images = ensure_images(&engine, &wanted, reporter).await?;
    let nodes = wanted.iter().zip(images).zip(runtimes);
    let nodes = try_join_all(nodes.map(|(((node, _), image), runtime)| {
        let (making, engine, node) = (Arc::clone(lab), engine.clone(), (*node).clone());
        make(lab, async move {
            create(&making, &engine, &node, image, runtime).await
        })
    }))
    .await?;
    let nodes = nodes
        .into_iter()
        .map(|node| (node.name().to_owned(), Arc::new(node)));
    Ok(Some(Containers {
        nodes: nodes.collect(),
    }))
}

/// Runs the making of a container to its end, even if nobody waits for it any more: an engine makes what it was asked for
/// although the one who asked is gone, and the lab's end has to know.
pub(super) async fn make<T: Send + 'static>(
    lab: &Lab,
    making: impl Future<Output = Result<T, LabError>> + Send + 'static,
) -> Result<T, LabError> {
    let guard = Arc::clone(&lab.making_containers).read_owned().await;
    let made = tokio::spawn(async move {
        let _guard = guard;
        making.await
    });
    made.await.map_err(|error| LabError::SupervisorGone {
        name: lab.name().to_owned(),
        detail: format!(": {error}"),
    })?
}

/// The runtime of a node, or what the file allows in its place.
fn runtime(
    node: &str,
    settings: &ContainerSettings,
    facts: &EngineFacts,
    lab: &Lab,
) -> Result<Runtime, LabError> {
    let asked = Runtime {
        name: settings.oci_runtime.clone(),
        privileged: settings.privileged,
    };
    let Some(name) = &settings.oci_runtime else {
        return Ok(asked);
    };
    match facts.require_runtime(name) {
        Ok(()) => Ok(asked),
        Err(error) if settings.fallback_privileged => {
            lab.warn(format!(
                "node `{node}`: {error}; it runs privileged under `{}`",
                facts.default_runtime
            ));
            Ok(Runtime {
                name: None,
                privileged: true,
            })
        }
        Err(error) => Err(LabError::MachineCannot {
            what: format!("node `{node}`: {error}"),
            remedy: format!(
                "install `{name}` and make it known to Docker, or allow `fallback: privileged` in the file"
            ),
        }),
    }
}

/// Makes sure of every image once, and returns each node's.
async fn ensure_images(
    engine: &Engine,
    wanted: &[(&Node, &ContainerSettings)],
    reporter: &Reporter,
) -> Result<Vec<String>, LabError> {
    let mut known: Vec<(&ContainerImage, String)> = Vec::new();
    let mut images = Vec::with_capacity(wanted.len());
    for (_, settings) in wanted {
        let found = known.iter().find(|(image, _)| **image == settings.image);
        let name = match found {
            Some((_, name)) => name.clone(),
            None => {
                let mut report = |step: dfaas_docker::ImageProgress| {
                    reporter.send(&Progress::Image {
                        image: step.image,
                        text: step.text,
                    });
                };
                let name = engine.ensure_image(&source(&settings.image), &mut report).await?;
                known.push((&settings.image, name.clone()));
                name
            }
        };
        images.push(name);
    }
    Ok(images)
}

fn source(image: &ContainerImage) -> ImageSource {
    match image {
        ContainerImage::Named(name) => ImageSource::Named(name.clone()),
        ContainerImage::Folder(path) => ImageSource::Folder {
            path: PathBuf::from(path),
            arguments: BTreeMap::new(),
        },
    }
}

/// Starts the node's network holder; both its containers are in the ledger before they exist.
async fn create(
    lab: &Lab,
    engine: &Engine,
    node: &Node,
    image: String,
    runtime: Runtime,
) -> Result<ContainerNode, LabError> {
    let name = &node.name;
    // The supervisor's number tells containers of labs apart that have the same name in different state directories.
    let container = format!("dfaas-{}-{name}-{}", lab.name(), std::process::id());
    let holder = format!("{container}-network");
    for name in [&holder, &container] {
        lab.ledger.record(&Undo::RemoveContainer { name: name.clone() })?;
    }
    let holder = engine
        .start_holder(&HolderSpec {
            name: holder,
            lab: lab.name().to_owned(),
            node: name.clone(),
            hosts: lab.hosts(),
            oci_runtime: runtime.name.clone(),
        })
        .await?;
    fault::step("network holder started");
    let path = PathBuf::from(format!("/proc/{}/ns/net", holder.pid));
    let network = File::open(&path).map_err(|source| LabError::file("open", &path, source))?;
    let prepared = Prepared {
        container,
        holder,
        network: network.into(),
        image,
        runtime,
    };
    Ok(ContainerNode::new(node, engine, prepared))
}
