//! Keeping a running HAProxy in the desired state.

use super::control::{self, POLL};
use super::counters::{UserCounters, parse_servers, parse_stage, parse_table};
use super::maps;
use super::render::{MapPaths, render};
use super::servers::{self, Parked};
use super::socket::CommandSocket;
use super::{Desired, Mode, NodeSettings, ProxyError, files};
use crate::strategy::{FunctionName, FunctionSample};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// A new process has to be forked, to bind and to take over.
const RELOAD_PATIENCE: Duration = Duration::from_secs(10);

/// How HAProxy is made to reload.
#[derive(Clone, Debug)]
pub enum Reload {
    /// Its master process is asked on this socket.
    Master(PathBuf),
    /// This shell command is run.
    Command(String),
}

/// Where HAProxy's things are.
#[derive(Clone, Debug)]
pub struct ProxyPaths {
    /// The configuration file; map files are kept beside it.
    pub configuration: PathBuf,
    /// Program that checks a configuration; without one, the check is left to the reload.
    pub executable: Option<PathBuf>,
    /// How a reload is asked for.
    pub reload: Reload,
}

/// What [`Proxy::apply`] had to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Nothing.
    None,
    /// This many commands of the Runtime API.
    Commands(usize),
    /// A reload. The users' counters start again at zero; this was their state just before, if it could be read.
    Reloaded(Option<UserCounters>),
}

/// A running HAProxy and what it was told.
#[derive(Debug)]
pub struct Proxy {
    node: NodeSettings,
    paths: ProxyPaths,
    maps: MapPaths,
    runtime: CommandSocket,
    applied: Option<Desired>,
    parked: Parked,
    generation: u32,
}

impl Proxy {
    /// A proxy that has been told nothing yet. `generation` numbers the configurations; starting from the time of day
    /// keeps them apart from those of an agent before.
    #[must_use]
    pub fn new(node: NodeSettings, paths: ProxyPaths, generation: u32) -> Self {
        let directory = paths
            .configuration
            .parent()
            .map(PathBuf::from)
            .unwrap_or_default();
        let runtime = CommandSocket::new(PathBuf::from(&node.runtime_socket));
        Self {
            node,
            paths,
            maps: MapPaths::in_directory(&directory),
            runtime,
            applied: None,
            parked: Parked::new(),
            generation,
        }
    }

    /// Brings HAProxy into the desired state with as little disturbance as possible.
    ///
    /// # Errors
    /// When HAProxy does not answer or refuses. The configuration before stays in force, and the next call tries again.
    pub async fn apply(&mut self, desired: &Desired) -> Result<Change, ProxyError> {
        let serving = self.serving().await?;
        let Some(applied) = self.applied.take().filter(|_| serving == Some(self.generation)) else {
            return self.load(desired).await;
        };
        match self.commands(&applied, desired) {
            Some(commands) => self.change(&applied, desired, &commands).await,
            None => self.load(desired).await,
        }
    }

    /// What users have asked for so far.
    ///
    /// # Errors
    /// When HAProxy does not answer.
    pub async fn user_counters(&self) -> Result<UserCounters, ProxyError> {
        Ok(parse_table(&self.runtime.ask("show table st_users").await?))
    }

    /// The load generator's stage, if it said so within the last seconds.
    ///
    /// # Errors
    /// When HAProxy does not answer.
    pub async fn stage(&self) -> Result<Option<u32>, ProxyError> {
        Ok(parse_stage(&self.runtime.ask("show table st_stage").await?))
    }

    /// Counters of the servers of every function.
    ///
    /// # Errors
    /// When HAProxy does not answer.
    pub async fn server_samples(&self) -> Result<BTreeMap<FunctionName, FunctionSample>, ProxyError> {
        // Servers only (4) of all proxies (-1).
        Ok(parse_servers(&self.runtime.ask("show stat -1 4 -1").await?))
    }

    /// The number of the configuration being served; nothing when it is not one of an agent.
    async fn serving(&self) -> Result<Option<u32>, ProxyError> {
        Ok(parse_generation(
            &self.runtime.ask("get var proc.dfaas_generation").await?,
        ))
    }

    /// What brings HAProxy from one state to the other; nothing when only a reload can.
    fn commands(&self, applied: &Desired, desired: &Desired) -> Option<Vec<String>> {
        let mut commands = servers::commands(self.node.mode, applied, desired, &self.parked)?;
        let old = self.map_entries(applied);
        let new = self.map_entries(desired);
        for ((path, old), (_, new)) in old.iter().zip(&new) {
            commands.extend(maps::commands(path, old, new));
        }
        Some(commands)
    }

    /// Limits that are not enforced are in no map: HAProxy knows those maps only that its configuration names.
    fn map_entries(&self, desired: &Desired) -> [(&str, maps::Entries); 4] {
        let enforced = self.node.enforce_limits && self.node.mode == Mode::Overflow;
        maps::entries(&self.maps, desired, enforced)
    }

    async fn change(
        &mut self,
        applied: &Desired,
        desired: &Desired,
        commands: &[String],
    ) -> Result<Change, ProxyError> {
        if commands.is_empty() {
            self.applied = Some(desired.clone());
            return Ok(Change::None);
        }
        // Files first: whoever loads them from now on gets the new state.
        self.write_maps(desired)?;
        let text = render(&self.node, &self.maps, desired, self.generation)?;
        files::replace(&self.paths.configuration, &text)?;
        if let Err(error) = self.runtime.run(commands).await {
            // HAProxy's state is not what was thought; a reload makes it so.
            tracing::warn!(%error, "reloading HAProxy instead of changing it");
            return self.load(desired).await;
        }
        servers::repark(&mut self.parked, applied, desired);
        self.applied = Some(desired.clone());
        Ok(Change::Commands(commands.len()))
    }

    /// Writes, checks and loads a whole configuration.
    async fn load(&mut self, desired: &Desired) -> Result<Change, ProxyError> {
        self.generation = self.generation.wrapping_add(1) & (u32::MAX >> 1);
        let text = render(&self.node, &self.maps, desired, self.generation)?;
        self.write_maps(desired)?;
        let candidate = files::sibling(&self.paths.configuration, ".new");
        files::write(&candidate, &text)?;
        if let Some(executable) = &self.paths.executable {
            control::check(executable, &candidate).await?;
        }
        let before = files::read(&self.paths.configuration)?;
        files::rename(&candidate, &self.paths.configuration)?;
        let counters = self.user_counters().await.ok();
        if let Err(error) = self.reload().await {
            // An HAProxy that starts again must not meet a file it refuses.
            if let Some(before) = before {
                files::replace(&self.paths.configuration, &before)?;
            }
            return Err(error);
        }
        self.parked.clear();
        self.applied = Some(desired.clone());
        Ok(Change::Reloaded(counters))
    }

    fn write_maps(&self, desired: &Desired) -> Result<(), ProxyError> {
        for (path, entries) in self.map_entries(desired) {
            files::replace(&PathBuf::from(path), &maps::text(&entries))?;
        }
        Ok(())
    }

    /// Asks for a reload and waits until the new configuration is served.
    async fn reload(&self) -> Result<(), ProxyError> {
        let deadline = Instant::now() + RELOAD_PATIENCE;
        match &self.paths.reload {
            Reload::Command(text) => control::run_update_command(text).await?,
            Reload::Master(path) => {
                control::reload(&CommandSocket::new(path.clone()), deadline).await?;
            }
        }
        loop {
            // Sockets come and go while processes change places: only the deadline ends this.
            if self.serving().await.ok().flatten() == Some(self.generation) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let path = self.paths.configuration.clone();
                return Err(ProxyError::NotServed {
                    path,
                    waited: RELOAD_PATIENCE,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The number in the answer to `get var`: `proc.dfaas_generation: type=sint value=<7>`.
pub(super) fn parse_generation(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("value=<")?;
    let (number, _) = rest.split_once('>')?;
    number.parse().ok()
}
