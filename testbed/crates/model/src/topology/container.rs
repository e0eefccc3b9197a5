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

    /// Who makes a node's network: nobody else for a native one; for a container an OCI runtime, perhaps with leave to
    /// be replaced. Under another one the node is another one.
    #[must_use]
    pub(crate) fn network_maker(&self) -> Option<(Option<&str>, bool)> {
        let settings = self.container()?;
        Some((settings.oci_runtime.as_deref(), settings.fallback_privileged))
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

impl ContainerSettings {
    /// The keys of the file in which two differ, without those that decide who makes the network.
    #[must_use]
    pub(crate) fn differences(&self, other: &ContainerSettings) -> Vec<&'static str> {
        let image = match (&self.image, &other.image) {
            (ContainerImage::Folder(_), ContainerImage::Folder(_)) => "build",
            _ => "image",
        };
        [
            (image, self.image != other.image),
            ("command", self.command != other.command),
            ("privileged", self.privileged != other.privileged),
            ("tmpfs", self.tmpfs != other.tmpfs),
            ("devices", self.devices != other.devices),
            ("capabilities", self.capabilities != other.capabilities),
            ("sysctls", self.sysctls != other.sysctls),
            ("health", self.health != other.health),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| key)
        .collect()
    }
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
