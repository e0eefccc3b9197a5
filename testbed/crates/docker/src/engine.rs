//! The connection to an engine, and what it can do.

use std::collections::BTreeSet;

use bollard::Docker;
use serde::{Deserialize, Serialize};

use crate::error::{DockerError, words};

/// Where an engine listens unless `DOCKER_HOST` says otherwise.
const DEFAULT_ADDRESS: &str = "unix:///var/run/docker.sock";

/// A connection to the Docker engine of this machine.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) docker: Docker,
}

/// What an engine is and has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// Version of the engine.
    pub version: String,
    /// OCI runtimes by name.
    pub runtimes: BTreeSet<String>,
    /// The runtime of a container that names none.
    pub default_runtime: String,
    /// 1 or 2; absent when the engine does not say.
    pub cgroup_version: Option<u8>,
    /// `cgroupfs` or `systemd`.
    pub cgroup_driver: String,
    /// How layers are stored, for example `overlay2`.
    pub storage_driver: String,
}

impl Engine {
    /// Connects to the engine that `DOCKER_HOST` names, by default the one at `/var/run/docker.sock`, and agrees on a
    /// version of its API.
    ///
    /// # Errors
    /// [`DockerError::NoEngine`] when nothing answers there.
    pub async fn connect() -> Result<Self, DockerError> {
        let address = std::env::var("DOCKER_HOST").unwrap_or_else(|_| DEFAULT_ADDRESS.to_owned());
        let unreachable = |error: bollard::errors::Error| DockerError::NoEngine {
            address: address.clone(),
            reason: words(error),
        };
        let docker = Docker::connect_with_host(&address).map_err(unreachable)?;
        let docker = docker.negotiate_version().await.map_err(unreachable)?;
        Ok(Self { docker })
    }

    /// What the engine is and has.
    ///
    /// # Errors
    /// [`DockerError::NoEngine`] when it does not answer any more.
    pub async fn facts(&self) -> Result<EngineFacts, DockerError> {
        let info = self.docker.info().await.map_err(|error| DockerError::NoEngine {
            address: std::env::var("DOCKER_HOST").unwrap_or_else(|_| DEFAULT_ADDRESS.to_owned()),
            reason: words(error),
        })?;
        let text = |value: Option<String>| value.unwrap_or_default();
        Ok(EngineFacts {
            version: text(info.server_version),
            runtimes: info.runtimes.unwrap_or_default().into_keys().collect(),
            default_runtime: text(info.default_runtime),
            cgroup_version: info
                .cgroup_version
                .and_then(|version| version.to_string().parse().ok()),
            cgroup_driver: info
                .cgroup_driver
                .map(|driver| driver.to_string())
                .unwrap_or_default(),
            storage_driver: text(info.driver),
        })
    }
}

impl EngineFacts {
    /// Checks that a runtime is there.
    ///
    /// # Errors
    /// [`DockerError::NoRuntime`], which lists what is.
    pub fn require_runtime(&self, runtime: &str) -> Result<(), DockerError> {
        if self.runtimes.contains(runtime) {
            return Ok(());
        }
        let present: Vec<&str> = self.runtimes.iter().map(String::as_str).collect();
        Err(DockerError::NoRuntime {
            runtime: runtime.to_owned(),
            present: present.join(", "),
        })
    }
}
