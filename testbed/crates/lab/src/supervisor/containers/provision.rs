//! What is found out before anything is touched: whether the engine answers and has the runtimes, and whether every image
//! is there or can be had.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dfaas_docker::{Engine, EngineFacts, ImageProgress, ImageSource};
use dfaas_model::{ContainerImage, ContainerSettings, Node};

use crate::error::LabError;
use crate::supervisor::lab::Lab;

/// How a node's container runs, after what this engine has was compared with what the file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runtime {
    pub(super) name: Option<String>,
    pub(super) privileged: bool,
}

/// What one node's container is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provision {
    /// It is on this machine.
    pub(super) image: String,
    pub(super) runtime: Runtime,
}

/// What the containers of some nodes are made with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Provisions {
    /// Absent where none of the nodes is a container.
    pub(super) engine: Option<Engine>,
    nodes: BTreeMap<String, Provision>,
}

impl Provisions {
    /// Those of one node, if it is a container.
    pub(crate) fn of(&self, node: &str) -> Option<&Provision> {
        self.nodes.get(node)
    }
}

/// Refuses container nodes where the lab of an ordinary user could not join their networks.
pub(crate) fn refuse<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Result<(), LabError> {
    match containers(nodes).next() {
        None => Ok(()),
        Some((node, _)) => Err(LabError::MachineCannot {
            what: format!("node `{}` has driver `docker`, which needs root", node.name),
            remedy: "run as root (`sudo dfaas-testbed …`), or use `driver: native`".to_owned(),
        }),
    }
}

fn containers<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
) -> impl Iterator<Item = (&'a Node, &'a ContainerSettings)> {
    let nodes = nodes.into_iter();
    nodes.filter_map(|node| Some((node, node.driver.container()?)))
}

/// A node with what its container is, how it will run, and what has to be said of that.
struct Checked<'a> {
    node: &'a str,
    settings: &'a ContainerSettings,
    runtime: Runtime,
    warning: Option<String>,
}

/// Fails where this machine cannot run the containers among these nodes. Makes sure of no image.
pub(crate) async fn check(lab: &Lab, nodes: &[&Node]) -> Result<(), LabError> {
    look(lab, nodes).await.map(drop)
}

async fn look<'a>(lab: &Lab, nodes: &[&'a Node]) -> Result<Option<(Engine, Vec<Checked<'a>>)>, LabError> {
    let wanted: Vec<_> = containers(nodes.iter().copied()).collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    if lab.rootless {
        refuse(nodes.iter().copied())?;
    }
    let engine = Engine::connect().await.map_err(|error| LabError::MachineCannot {
        what: error.to_string(),
        remedy: "install and start Docker (`apt install docker.io`), or use `driver: native`".to_owned(),
    })?;
    let facts = engine.facts().await?;
    let checked = wanted
        .into_iter()
        .map(|(node, settings)| runtime(&node.name, settings, &facts));
    Ok(Some((engine, checked.collect::<Result<_, _>>()?)))
}

/// Makes sure of all that the containers among these nodes are made with. `report` hears of images that are pulled or built.
pub(crate) async fn provide(
    lab: &Lab,
    nodes: &[&Node],
    report: &mut (dyn FnMut(ImageProgress) + Send),
) -> Result<Provisions, LabError> {
    let Some((engine, checked)) = look(lab, nodes).await? else {
        return Ok(Provisions::default());
    };
    let mut known: Vec<(&ContainerImage, String)> = Vec::new();
    let mut provisions = BTreeMap::new();
    for node in checked {
        if let Some(warning) = node.warning {
            lab.warn(warning);
        }
        let image = &node.settings.image;
        let name = match known.iter().find(|(other, _)| *other == image) {
            Some((_, name)) => name.clone(),
            None => {
                let name = engine.ensure_image(&source(image), report).await?;
                known.push((image, name.clone()));
                name
            }
        };
        let provision = Provision {
            image: name,
            runtime: node.runtime,
        };
        provisions.insert(node.node.to_owned(), provision);
    }
    Ok(Provisions {
        engine: Some(engine),
        nodes: provisions,
    })
}

/// The runtime of a node, or what the file allows in its place.
fn runtime<'a>(
    node: &'a str,
    settings: &'a ContainerSettings,
    facts: &EngineFacts,
) -> Result<Checked<'a>, LabError> {
    let checked = |runtime, warning| Checked {
        node,
        settings,
        runtime,
        warning,
    };
    let asked = Runtime {
        name: settings.oci_runtime.clone(),
        privileged: settings.privileged,
    };
    let Some(name) = &settings.oci_runtime else {
        return Ok(checked(asked, None));
    };
    match facts.require_runtime(name) {
        Ok(()) => Ok(checked(asked, None)),
        Err(error) if settings.fallback_privileged => {
            let runtime = Runtime {
                name: None,
                privileged: true,
            };
            let warning = format!(
                "node `{node}`: {error}; it runs privileged under `{}`",
                facts.default_runtime
            );
            Ok(checked(runtime, Some(warning)))
        }
        Err(error) => Err(LabError::MachineCannot {
            what: format!("node `{node}`: {error}"),
            remedy: format!(
                "install `{name}` and make it known to Docker, or allow `fallback: privileged` in the file"
            ),
        }),
    }
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
