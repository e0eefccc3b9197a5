//! What a node of driver `docker` is made from.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::units::duration_text;

/// How a node runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// Linux namespaces, no container engine.
    #[default]
    Native,
    /// A container.
    Docker(Box<ContainerSettings>),
}

impl Driver {
    /// The word in files.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Driver::Native => "native",
            Driver::Docker(_) => "docker",
        }
    }

    /// The container's settings, if it is one.
    #[must_use]
    pub fn container(&self) -> Option<&ContainerSettings> {
        match self {
            Driver::Native => None,
            Driver::Docker(settings) => Some(settings),
        }
    }
}

/// A container that is a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerSettings {
    /// Where its image comes from.
    pub image: ContainerImage,
    /// OCI runtime; the engine's default when absent.
    pub oci_runtime: Option<String>,
    /// Whether it runs privileged under the default runtime where `oci_runtime` is missing.
    pub fallback_privileged: bool,
    /// What it runs instead of the image's command.
    pub command: Option<Vec<String>>,
    /// Whether it may do everything the engine may.
    pub privileged: bool,
    /// File systems in memory: path → mount options, empty for none.
    pub tmpfs: IndexMap<String, String>,
    /// Devices of the machine: path there → path in the container.
    pub devices: IndexMap<String, String>,
    /// Capabilities beside the engine's default ones, without `CAP_`.
    pub capabilities: Vec<String>,
    /// Kernel settings.
    pub sysctls: IndexMap<String, String>,
    /// How its health is told, if not as the image says. The node is ready when it is healthy.
    pub health: Option<HealthCheck>,
}

/// Where a container's image comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerImage {
    /// A name: the image on this machine, or else of its registry.
    Named(String),
    /// Built from a folder with a `Dockerfile`.
    Folder(String),
}

/// A command that tells by its exit code whether a container is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// For the container's shell.
    pub command: String,
    /// Between two checks.
    #[serde(with = "duration_text")]
    pub interval: Duration,
    /// After this a check has failed.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
    /// Failures in a row until it is unwell.
    pub retries: u32,
}
