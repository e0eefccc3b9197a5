//! Container nodes: the only crate that speaks to a Docker engine.
//!
//! A container node is two containers. The *network holder* does nothing but keep a network namespace, so that the
//! node's links, addresses and published ports outlive every restart of the node; the *node container* joins it.
//!
//! | module | what |
//! |---|---|
//! | `engine` | the connection, and what the engine can do |
//! | `image` | making sure that an image is there: local, pulled, or built from a folder |
//! | `holder` | the network holder |
//! | `hosts` | the names that containers know |
//! | `node` | the node container: create, start, stop, pause, restart, limit, remove |
//! | `command` | one more program in a running container |
//! | `archive` | files as a tar stream, the only form in which an engine takes them |
//! | `output` | what a container prints, into a log file |
//!
//! Every call is asynchronous and needs a tokio runtime; nothing here changes the caller's namespaces.

mod archive;
mod command;
mod engine;
mod error;
mod holder;
mod hosts;
mod image;
mod node;
mod output;
mod specification;

pub use engine::{Engine, EngineFacts};
pub use error::DockerError;
pub use holder::{HOLD_VERB, Holder, hold_network};
pub use image::{ImageProgress, ImageSource};
pub use node::{ContainerStatus, NodeContainer, RunState};
pub use output::ContainerOutput;
pub use specification::{ContainerSpec, Device, Health, HolderSpec, Limits, Volume};

/// The label on every container of a lab; its value is the lab's name.
pub const LAB_LABEL: &str = "dfaas-testbed.lab";
/// The label that names the node a container belongs to.
pub const NODE_LABEL: &str = "dfaas-testbed.node";
