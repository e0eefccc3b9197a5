//! The container that is a node.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerStateStatusEnum, ContainerUpdateBody, DeviceMapping, HealthConfig,
    HealthStatusEnum, HostConfig, Mount, MountType,
};
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, RemoveContainerOptions, StopContainerOptions,
    UploadToContainerOptions, WaitContainerOptions,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::archive;
use crate::engine::Engine;
use crate::error::{DockerError, is_done_already, is_missing, words};
use crate::specification::{ContainerSpec, Device, Health, Limits, Volume};
use crate::{LAB_LABEL, NODE_LABEL};

/// The period over which an engine counts processor time.
const PERIOD_MICROSECONDS: i64 = 100_000;

/// No limit, in an update of a container.
const UNLIMITED: i64 = -1;

/// A container by its name; it need not run.
#[derive(Debug, Clone)]
pub struct NodeContainer {
    engine: Engine,
    name: String,
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Created, not started yet.
    Created,
    /// Its first process lives.
    Running,
    /// All its processes are frozen.
    Paused,
    /// Its first process has ended.
    Ended,
}

/// What an engine says of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// Whether it runs.
    pub state: RunState,
    /// Its first process, as this machine sees it, while it lives.
    pub pid: Option<i32>,
    /// How it ended, if it did.
    pub exit_code: Option<i64>,
    /// Whether the kernel ended it because it used more memory than it may.
    pub out_of_memory: bool,
    /// What its health check says: `starting`, `healthy` or `unhealthy`; absent without one.
    pub health: Option<String>,
}

impl ContainerStatus {
    /// In words, for an error message.
    #[must_use]
    pub fn describe(&self) -> String {
        match (self.state, self.exit_code) {
            (RunState::Ended, _) if self.out_of_memory => "out of memory".to_owned(),
            (RunState::Ended, Some(code)) => format!("exit code {code}"),
            (state, _) => format!("{state:?}").to_lowercase(),
        }
    }
}

impl Engine {
    /// Creates a node container; it does not run yet.
    ///
    /// # Errors
    /// When the engine refuses, with its own words.
    pub async fn create_node(&self, specification: &ContainerSpec) -> Result<NodeContainer, DockerError> {
        let options = CreateContainerOptions {
            name: Some(specification.name.clone()),
            ..CreateContainerOptions::default()
        };
        let created = self
            .docker
            .create_container(Some(options), body(specification))
            .await;
        match created {
            Ok(created) => {
                for warning in created.warnings {
                    tracing::warn!(container = specification.name, "{warning}");
                }
                Ok(self.node(&specification.name))
            }
            Err(error) => Err(failed("create", &specification.name, error)),
        }
    }

    /// A container by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> NodeContainer {
        NodeContainer {
            engine: self.clone(),
            name: name.to_owned(),
        }
    }

    /// What the engine says of a container.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn container_status(&self, name: &str) -> Result<ContainerStatus, DockerError> {
        let found = self.docker.inspect_container(name, None).await;
        let state = found
            .map_err(|error| failed("look at", name, error))?
            .state
            .unwrap_or_default();
        let run_state = match state.status {
            Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::RESTARTING) => {
                RunState::Running
            }
            Some(ContainerStateStatusEnum::PAUSED) => RunState::Paused,
            Some(ContainerStateStatusEnum::CREATED) => RunState::Created,
            _ => RunState::Ended,
        };
        let lives = matches!(run_state, RunState::Running | RunState::Paused);
        let pid = state
            .pid
            .and_then(|pid| i32::try_from(pid).ok())
            .filter(|pid| lives && *pid > 0);
        Ok(ContainerStatus {
            state: run_state,
            pid,
            exit_code: state.exit_code.filter(|_| run_state == RunState::Ended),
            out_of_memory: state.oom_killed.unwrap_or(false),
            health: state
                .health
                .and_then(|health| health.status)
                .and_then(|status| match status {
                    HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
                    other => Some(other.to_string()),
                }),
        })
    }

    /// Ends and removes a container with its anonymous volumes. One that is gone already is fine.
    ///
    /// # Errors
    /// When the engine cannot remove it.
    pub async fn remove_container(&self, name: &str) -> Result<(), DockerError> {
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            ..RemoveContainerOptions::default()
        };
        match self.docker.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(failed("remove", name, error)),
        }
    }
}

impl NodeContainer {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts files into it, readable by all; directories are made.
    ///
    /// # Errors
    /// When the engine cannot write there.
    pub async fn put_files(&self, files: &[(PathBuf, Vec<u8>)]) -> Result<(), DockerError> {
        let files = files
            .iter()
            .map(|(path, content)| (path.as_path(), content.as_slice()));
        let archive = archive::files(files).map_err(|source| DockerError::System {
            operation: format!("pack the files for container `{}`", self.name),
            source,
        })?;
        let options = UploadToContainerOptions {
            path: "/".to_owned(),
            ..UploadToContainerOptions::default()
        };
        let body = bollard::body_full(archive.into());
        let done = self
            .docker()
            .upload_to_container(&self.name, Some(options), body)
            .await;
        done.map_err(|error| failed("put files into", &self.name, error))
    }

    /// Starts it. One that runs already is fine.
    ///
    /// # Errors
    /// When its command cannot be executed, or its runtime refuses it.
    pub async fn start(&self) -> Result<ContainerStatus, DockerError> {
        self.done("start", self.docker().start_container(&self.name, None).await)?;
        self.status().await
    }

    /// Ends it by its stop signal and, after `grace`, by SIGKILL.
    ///
    /// # Errors
    /// When the engine cannot.
    pub async fn stop(&self, grace: Duration) -> Result<(), DockerError> {
        let options = StopContainerOptions {
            t: Some(i32::try_from(grace.as_secs()).unwrap_or(i32::MAX)),
            ..StopContainerOptions::default()
        };
        self.done(
            "stop",
            self.docker().stop_container(&self.name, Some(options)).await,
        )
    }

    /// Ends it at once, and returns when it has ended.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&self) -> Result<(), DockerError> {
        let options = KillContainerOptions {
            signal: "KILL".to_owned(),
        };
        self.done(
            "kill",
            self.docker().kill_container(&self.name, Some(options)).await,
        )?;
        let options = WaitContainerOptions {
            condition: "not-running".to_owned(),
        };
        let mut end = self.docker().wait_container(&self.name, Some(options));
        match end.next().await {
            // A code other than 0 is an error to the client; here it is what is waited for.
            None | Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => Err(failed("wait for the end of", &self.name, error)),
        }
    }

    /// Freezes all its processes.
    ///
    /// # Errors
    /// When it does not run or is frozen already.
    pub async fn pause(&self) -> Result<(), DockerError> {
        self.done("pause", self.docker().pause_container(&self.name).await)
    }

    /// Lets its processes go on.
    ///
    /// # Errors
    /// When it is not frozen.
    pub async fn resume(&self) -> Result<(), DockerError> {
        self.done("resume", self.docker().unpause_container(&self.name).await)
    }

    /// Changes what it may use. Without a limit for processors or processes it may use all there are; an engine cannot
    /// take a limit of memory away, so without one the one before stays.
    ///
    /// # Errors
    /// When the engine refuses a limit.
    pub async fn set_limits(&self, limits: &Limits) -> Result<(), DockerError> {
        let host = limited(limits, HostConfig::default());
        let update = ContainerUpdateBody {
            cpu_period: host.cpu_period,
            cpu_quota: host.cpu_quota.or(Some(UNLIMITED)),
            memory: host.memory,
            memory_swap: host.memory_swap,
            pids_limit: host.pids_limit.or(Some(UNLIMITED)),
            ..ContainerUpdateBody::default()
        };
        self.done(
            "limit",
            self.docker().update_container(&self.name, update).await.map(drop),
        )
    }

    /// What the engine says of it.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn status(&self) -> Result<ContainerStatus, DockerError> {
        self.engine.container_status(&self.name).await
    }

    /// Ends and removes it; one that is gone already is fine.
    ///
    /// # Errors
    /// When the engine cannot.
    pub async fn remove(&self) -> Result<(), DockerError> {
        self.engine.remove_container(&self.name).await
    }

    pub(crate) fn docker(&self) -> &bollard::Docker {
        &self.engine.docker
    }

    fn done(
        &self,
        operation: &'static str,
        result: Result<(), bollard::errors::Error>,
    ) -> Result<(), DockerError> {
        match result {
            Err(error) if !is_done_already(&error) => Err(failed(operation, &self.name, error)),
            _ => Ok(()),
        }
    }
}

fn body(specification: &ContainerSpec) -> ContainerCreateBody {
    let environment = specification.environment.iter();
    let host = HostConfig {
        network_mode: Some(format!("container:{}", specification.holder)),
        runtime: specification.oci_runtime.clone(),
        privileged: Some(specification.privileged),
        mounts: Some(specification.volumes.iter().map(mount).collect()),
        tmpfs: Some(specification.tmpfs.clone().into_iter().collect()),
        devices: Some(specification.devices.iter().map(device).collect()),
        cap_add: Some(specification.capabilities.clone()),
        sysctls: Some(specification.sysctls.clone().into_iter().collect()),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(specification.image.clone()),
        cmd: specification.command.clone(),
        env: Some(environment.map(|(key, value)| format!("{key}={value}")).collect()),
        labels: Some(HashMap::from([
            (LAB_LABEL.to_owned(), specification.lab.clone()),
            (NODE_LABEL.to_owned(), specification.node.clone()),
        ])),
        healthcheck: specification.health.as_ref().map(health),
        host_config: Some(limited(&specification.limits, host)),
        ..ContainerCreateBody::default()
    }
}

/// `host` with limits. Swap is as large as memory and so not usable: a limit that spills to disk is none.
fn limited(limits: &Limits, host: HostConfig) -> HostConfig {
    let memory = limits
        .memory_bytes
        .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a number of processors times 100,000 is far from the limits of either type"
    )]
    let quota = limits
        .cpus
        .map(|cpus| (cpus * PERIOD_MICROSECONDS as f64).round() as i64);
    HostConfig {
        cpu_period: quota.map(|_| PERIOD_MICROSECONDS),
        cpu_quota: quota,
        memory,
        memory_swap: memory,
        pids_limit: limits.pids.map(|pids| i64::try_from(pids).unwrap_or(i64::MAX)),
        ..host
    }
}

fn mount(volume: &Volume) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(text(&volume.source)),
        target: Some(text(&volume.target)),
        read_only: Some(volume.read_only),
        ..Mount::default()
    }
}

fn device(device: &Device) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(text(&device.source)),
        path_in_container: Some(text(&device.target)),
        cgroup_permissions: Some("rwm".to_owned()),
    }
}

fn health(health: &Health) -> HealthConfig {
    let nanoseconds = |duration: Duration| i64::try_from(duration.as_nanos()).ok();
    HealthConfig {
        test: Some(vec!["CMD-SHELL".to_owned(), health.command.clone()]),
        interval: nanoseconds(health.interval),
        timeout: nanoseconds(health.timeout),
        retries: Some(i64::from(health.retries)),
        ..HealthConfig::default()
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn failed(operation: &'static str, container: &str, error: bollard::errors::Error) -> DockerError {
    DockerError::Container {
        operation,
        container: container.to_owned(),
        reason: words(error),
    }
}
