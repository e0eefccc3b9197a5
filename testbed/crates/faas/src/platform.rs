//! What all servers of the platform share.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use tokio::sync::{Semaphore, watch};

use crate::auth::Credentials;
use crate::catalogue::Catalogue;
use crate::error::FaasError;
use crate::identity::Identity;
use crate::metrics::{Metrics, ProviderMetrics};
use crate::queue::Queue;
use crate::registry::Registry;
use crate::runtime::{Apart, Runtime};
use crate::secrets::Secrets;
use crate::types::FunctionDeployment;
use crate::watchdog::{Bounds, OutputBudget};

/// How to run the platform.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address all servers listen on.
    pub bind: IpAddr,
    /// Port of the gateway; 0 lets the kernel choose.
    pub gateway_port: u16,
    /// Port of the provider; 0 lets the kernel choose.
    pub provider_port: u16,
    /// Port of the gateway's metrics; 0 lets the kernel choose.
    pub metrics_port: u16,
    /// Functions to deploy before anything listens.
    pub deployments: Vec<FunctionDeployment>,
    /// Where functions are kept over a restart; created when absent.
    pub state_directory: Option<PathBuf>,
    /// For what goes with the platform, removed by somebody else at the latest; one below the machine's when absent.
    pub temporary_directory: Option<PathBuf>,
    /// A folder of images that adds to the built-in ones.
    pub images: Option<PathBuf>,
    /// How much functions are kept apart.
    pub isolation: Apart,
    /// This program, which is started for every function; the running one when absent.
    pub program: Option<PathBuf>,
    /// Which platform this one stands for.
    pub identity: Identity,
    /// The provider's name; that of the identity when absent.
    pub provider_name: Option<String>,
    /// Whether there are asynchronous calls; without, their paths are not there.
    pub queue: bool,
    /// Credentials that open `/system`; without them it is open.
    pub credentials: Option<Credentials>,
    /// Longest time for one call; a process that takes longer is killed and the gateway answers 502.
    pub service_timeout: Duration,
    /// Most processes at the same time; further calls wait.
    pub max_processes: usize,
    /// Longest output of one process in bytes.
    pub max_output: usize,
    /// Memory in bytes for the output of all processes.
    pub output_memory: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            bind: Ipv4Addr::LOCALHOST.into(),
            gateway_port: 8080,
            provider_port: 8081,
            metrics_port: 8082,
            deployments: Vec::new(),
            state_directory: None,
            temporary_directory: None,
            images: None,
            isolation: Apart::default(),
            program: None,
            identity: Identity::default(),
            provider_name: None,
            queue: true,
            credentials: None,
            service_timeout: Duration::from_secs(60),
            max_processes: 2048,
            max_output: 64 << 20,
            output_memory: 512 << 20,
        }
    }
}

/// A name that nobody has, for a directory that is not there yet.
pub(crate) fn temporary_directory() -> PathBuf {
    std::env::temp_dir().join(format!("dfaas-faas-{}", uuid::Uuid::new_v4()))
}

/// Reads a JSON array of function deployments.
///
/// # Errors
/// [`FaasError::Read`] and [`FaasError::DeploymentFile`] name the file.
pub fn deployments_from_file(path: &Path) -> Result<Vec<FunctionDeployment>, FaasError> {
    let content = fs::read(path).map_err(|source| FaasError::Read {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |reason: String| FaasError::DeploymentFile {
        path: path.to_owned(),
        reason,
    };
    let serde_json::Value::Array(entries) =
        serde_json::from_slice(&content).map_err(|error| wrong(error.to_string()))?
    else {
        return Err(wrong("expected an array".to_owned()));
    };
    entries
        .iter()
        .map(|entry| FunctionDeployment::from_value(entry).map_err(wrong))
        .collect()
}

/// The state behind the servers.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) registry: Registry,
    pub(crate) metrics: Metrics,
    pub(crate) provider_metrics: ProviderMetrics,
    pub(crate) queue: Queue,
    /// Whether there are asynchronous calls.
    pub(crate) has_queue: bool,
    pub(crate) identity: Identity,
    pub(crate) provider_name: String,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) bounds: Bounds,
    max_processes: usize,
    abort: watch::Sender<bool>,
}

impl Platform {
    /// Sets up everything that does not listen.
    pub(crate) fn new(options: &Options) -> Result<Arc<Self>, FaasError> {
        let mut catalogue = Catalogue::built_in()?;
        if let Some(directory) = &options.images {
            catalogue.add_directory(directory)?;
        }
        if let Some(directory) = &options.state_directory {
            fs::create_dir_all(directory).map_err(|source: io::Error| FaasError::State {
                path: directory.clone(),
                source,
            })?;
        }
        let runtime = Runtime::new(options.program.clone(), options.isolation)?;
        let state = options.state_directory.clone();
        let secrets = match (&state, &options.temporary_directory) {
            (Some(state), _) => Secrets::kept(state)?,
            (None, Some(directory)) => Secrets::temporary(directory.join("secrets")),
            (None, None) => Secrets::temporary(temporary_directory()),
        };
        let registry = Registry::open(catalogue, options.identity, runtime, secrets, state)?;
        for deployment in &options.deployments {
            registry.adopt(deployment.clone())?;
        }
        let (abort, aborted) = watch::channel(false);
        let max_processes = options.max_processes.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Arc::new(Platform {
            registry,
            metrics: Metrics::default(),
            provider_metrics: ProviderMetrics::default(),
            queue: Queue::default(),
            has_queue: options.queue,
            identity: options.identity,
            provider_name: options
                .provider_name
                .clone()
                .unwrap_or_else(|| options.identity.provider_name().to_owned()),
            credentials: options.credentials.clone(),
            bounds: Bounds {
                service_timeout: options.service_timeout,
                output: options.max_output,
                output_budget: OutputBudget::new(options.output_memory),
                processes: Arc::new(Semaphore::new(max_processes)),
                abort: aborted,
            },
            max_processes,
            abort,
        }))
    }

    /// Returns when no process runs.
    pub(crate) async fn idle(&self) {
        let all = u32::try_from(self.max_processes).unwrap_or(u32::MAX);
        // Fails only for a closed semaphore, and nobody closes it.
        let _ = self.bounds.processes.acquire_many(all).await;
    }

    /// Kills every process.
    pub(crate) fn abort(&self) {
        self.abort.send_replace(true);
        self.registry.end_all();
    }

    /// Ends all functions and waits until nothing of them is left.
    pub(crate) async fn end(&self) {
        self.registry.end_all();
        while self.registry.runtime.is_busy() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
