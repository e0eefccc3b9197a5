//! The agent as a service: runs until it is told to end, and reads its configuration again when asked.

use crate::Failure;
use crate::log::Log;
use dfaas_agent::agent::Agent;
use dfaas_agent::config::{
    Config, ConfigFileError, DataplaneConfig, Environment, ProcessEnvironment, read_file, without_effect,
};
use dfaas_agent::dataplane;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Where the configuration comes from: a file, and below it the environment.
pub(crate) struct ConfigSource {
    file: Option<PathBuf>,
}

impl ConfigSource {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// The configuration as it is now.
    pub(crate) fn read(&self) -> Result<Config, Failure> {
        Ok(Config::read(&self.environment()?)?)
    }

    /// Variables that are set and do nothing, each with the reason.
    pub(crate) fn without_effect(&self) -> Result<Vec<(String, &'static str)>, Failure> {
        Ok(without_effect(&self.environment()?))
    }

    fn environment(&self) -> Result<impl Environment + use<>, ConfigFileError> {
        let file = self
            .file
            .as_deref()
            .map_or_else(|| Ok(BTreeMap::new()), read_file)?;
        Ok((file, ProcessEnvironment))
    }
}

/// Serves the Data Plane API until SIGTERM or SIGINT.
pub(crate) fn run_dataplane(source: &ConfigSource) -> Result<(), Failure> {
    let config = DataplaneConfig::read(&source.environment()?)?;
    let _log = Log::start(&config.log);
    runtime()?.block_on(serve_dataplane(&config))
}

async fn serve_dataplane(config: &DataplaneConfig) -> Result<(), Failure> {
    let haproxy = dataplane::Haproxy::new(config)?;
    let address = config.listen.to_string();
    let listener = TcpListener::bind(&address)
        .await
        .map_err(|source| Failure::Listen { address, source })?;
    tracing::info!(address = %config.listen, "serving the Data Plane API");
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ended = async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("ending on SIGTERM"),
            _ = interrupt.recv() => tracing::info!("ending on SIGINT"),
        }
    };
    dataplane::serve(listener, config, haproxy, ended).await;
    Ok(())
}

/// One thread is enough, and the smallest.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Runs an agent until SIGTERM or SIGINT. SIGHUP reads the configuration again.
pub(crate) fn run(source: ConfigSource) -> Result<(), Failure> {
    let config = source.read()?;
    let log = Log::start(&config.node.log);
    for (name, reason) in source.without_effect()? {
        tracing::warn!("{name} has no effect: {reason}");
    }
    runtime()?.block_on(serve(source, config, log))
}

/// What ends the wait.
enum Wake {
    End(&'static str),
    Reload,
    AgentEnded,
}

/// Signals the agent knows.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn wait(&mut self, agent: &mut Agent) -> Wake {
        tokio::select! {
            _ = self.terminate.recv() => Wake::End("SIGTERM"),
            _ = self.interrupt.recv() => Wake::End("SIGINT"),
            _ = self.hangup.recv() => Wake::Reload,
            () = agent.ended() => Wake::AgentEnded,
        }
    }
}

async fn serve(source: ConfigSource, mut config: Config, log: Log) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let mut agent = Agent::start(config.clone()).await?;
    loop {
        match signals.wait(&mut agent).await {
            Wake::End(signal) => {
                tracing::info!("ending on {signal}");
                agent.stop().await;
                return Ok(());
            }
            Wake::AgentEnded => return Err(Failure::Ended),
            Wake::Reload => {
                let Some(new) = changed(&source, &config) else {
                    continue;
                };
                log.set(&new.node.log);
                // HAProxy goes on meanwhile, and peers take a node that is back within a period for the same.
                agent.stop().await;
                agent = match Agent::start(new.clone()).await {
                    Ok(agent) => {
                        tracing::info!("SIGHUP: the new configuration is in force");
                        config = new;
                        agent
                    }
                    Err(error) => {
                        tracing::error!(%error, "SIGHUP: back to the old configuration");
                        log.set(&config.node.log);
                        Agent::start(config.clone()).await?
                    }
                };
            }
        }
    }
}

/// The configuration as it is now, if it is another one and valid.
fn changed(source: &ConfigSource, config: &Config) -> Option<Config> {
    match source.read() {
        Ok(new) if new == *config => {
            tracing::info!("SIGHUP: the configuration is still the same");
            None
        }
        Ok(new) => Some(new),
        Err(failure) => {
            for line in failure.to_string().lines() {
                tracing::error!("SIGHUP: {line}");
            }
            tracing::error!("SIGHUP: the configuration stays as it was");
            None
        }
    }
}
