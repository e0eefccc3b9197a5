//! The HAProxy behind the API: its configuration file, its reloads, its Runtime API.

use super::configuration::{numbered, take_apart};
use super::reloads::Reloads;
use crate::config::DataplaneConfig;
use crate::proxy::{CommandSocket, ProxyError, Reload, control, files};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

/// A new process has to be forked, to bind and to take over.
const RELOAD_PATIENCE: Duration = Duration::from_secs(10);
/// Configurations that come within this time share a reload.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// A configuration as it is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) version: u64,
    /// Without the line of its number.
    pub(super) text: String,
}

impl Stored {
    fn read(file: &str) -> Self {
        let (version, text) = take_apart(file);
        Self {
            version,
            text: text.to_owned(),
        }
    }
}

/// The version that a change is made to is not the one in the file.
#[derive(Debug)]
pub(super) struct Conflict {
    pub(super) stored: u64,
    pub(super) given: u64,
}

/// A running HAProxy in master-worker mode.
#[derive(Debug)]
pub struct Haproxy {
    configuration: PathBuf,
    executable: Option<PathBuf>,
    reload: Reload,
    master: CommandSocket,
    /// What the file held at the last reload that succeeded. Whoever changes the file holds this.
    good: Mutex<String>,
    pub(super) reloads: Reloads,
    wanted: Notify,
}

impl Haproxy {
    /// HAProxy as the environment describes it; it is taken to serve what is in its file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(config: &DataplaneConfig) -> Result<Self, ProxyError> {
        let good = files::read(&config.configuration)?.unwrap_or_default();
        let reload = match &config.update_command {
            Some(command) => Reload::Command(command.clone()),
            None => Reload::Master(config.master_socket.clone()),
        };
        Ok(Self {
            configuration: config.configuration.clone(),
            executable: config.executable.clone(),
            reload,
            master: CommandSocket::new(config.master_socket.clone()),
            good: Mutex::new(good),
            reloads: Reloads::default(),
            wanted: Notify::new(),
        })
    }

    /// The configuration in the file.
    pub(super) fn stored(&self) -> Result<Stored, ProxyError> {
        Ok(Stored::read(
            &files::read(&self.configuration)?.unwrap_or_default(),
        ))
    }

    /// Has HAProxy check a configuration, and leaves nothing behind.
    pub(super) async fn validate(&self, text: &str) -> Result<(), ProxyError> {
        let _changing = self.good.lock().await;
        self.candidate(text).await?;
        files::remove(&self.candidate_path())
    }

    /// Puts a configuration into the file, if it is a change of version `given` and HAProxy has nothing against it.
    pub(super) async fn store(
        &self,
        text: &str,
        given: Option<u64>,
    ) -> Result<Result<Stored, Conflict>, ProxyError> {
        let _changing = self.good.lock().await;
        let stored = self.stored()?.version;
        if let Some(given) = given.filter(|given| *given != stored) {
            return Ok(Err(Conflict { stored, given }));
        }
        let text = numbered(stored + 1, text);
        self.candidate(&text).await?;
        files::rename(&self.candidate_path(), &self.configuration)?;
        tracing::debug!(version = stored + 1, "new configuration");
        Ok(Ok(Stored::read(&text)))
    }

    fn candidate_path(&self) -> PathBuf {
        files::sibling(&self.configuration, ".new")
    }

    /// Writes a configuration beside the one in force, and has it checked.
    async fn candidate(&self, text: &str) -> Result<(), ProxyError> {
        let path = self.candidate_path();
        files::write(&path, text)?;
        let Some(executable) = &self.executable else {
            return Ok(());
        };
        let checked = control::check(executable, &path).await;
        if let Err(error) = &checked {
            tracing::warn!("{error}; the one before stays");
            files::remove(&path)?;
        }
        checked
    }

    /// Loads what is in the file. What HAProxy cannot load is replaced by what it serves, unless somebody has changed the
    /// file meanwhile.
    pub(super) async fn load(&self) -> Result<(), ProxyError> {
        let mut good = self.good.lock().await;
        let text = files::read(&self.configuration)?.unwrap_or_default();
        match self.ask_for_reload().await {
            Ok(()) => {
                tracing::info!(version = take_apart(&text).0, "HAProxy reloaded");
                *good = text;
                Ok(())
            }
            Err(error) => {
                tracing::warn!("{error}");
                // One that is not there begins with the file when it comes.
                if !matches!(error, ProxyError::Socket { .. }) {
                    files::replace(&self.configuration, &good)?;
                }
                Err(error)
            }
        }
    }

    async fn ask_for_reload(&self) -> Result<(), ProxyError> {
        match &self.reload {
            Reload::Command(text) => control::run_update_command(text).await,
            Reload::Master(_) => control::reload(&self.master, Instant::now() + RELOAD_PATIENCE).await,
        }
    }

    /// Asks for a reload soon; the answer is the name under which it can be asked for.
    pub(super) fn load_soon(&self) -> String {
        let id = self.reloads.want();
        self.wanted.notify_one();
        id
    }

    /// Does the reloads that were asked for, for as long as it is polled.
    pub(super) async fn reload_when_asked(&self) {
        loop {
            self.wanted.notified().await;
            while self.reloads.begin() {
                let outcome = self.load().await;
                self.reloads.end(outcome.map_err(|error| error.to_string()));
                tokio::time::sleep(RELOAD_PAUSE).await;
            }
        }
    }

    /// What the worker that serves answers to a command.
    pub(super) async fn ask_worker(&self, command: &str) -> Result<String, ProxyError> {
        self.master.ask(&format!("@1 {command}")).await
    }

    /// Runs commands that say nothing when they succeed.
    pub(super) async fn run(&self, commands: &[String]) -> Result<(), ProxyError> {
        for command in commands {
            let answer = self.ask_worker(command).await?;
            if !answer.trim().is_empty() {
                return Err(ProxyError::Command {
                    command: command.clone(),
                    answer: answer.trim().to_owned(),
                });
            }
        }
        Ok(())
    }
}
