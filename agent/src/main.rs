//! The DFaaS agent's program.

mod command_line;

use command_line::{Arguments, Verb};
use dfaas_agent::agent::{Agent, AgentError};
use dfaas_agent::config::{
    Config, ConfigError, ConfigFileError, NodeConfig, ProcessEnvironment, read_file, without_effect,
};
use dfaas_agent_api::{Identity, IdentityError};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

/// Bad configuration or usage.
const EXIT_USAGE: u8 = 2;
/// The agent could not do its work.
const EXIT_FAILED: u8 = 5;

/// Why the program ends with an error.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot read `{}`: {source}", path.display())]
    KeyFile { path: PathBuf, source: std::io::Error },
    #[error("`{}`: {source}", path.display())]
    Key { path: PathBuf, source: IdentityError },
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error("the agent ended by itself; its log says why")]
    Ended,
    #[error("cannot set up the process: {0}")]
    Process(#[from] std::io::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::ConfigFile(_) | Self::Config(_) | Self::KeyFile { .. } | Self::Key { .. } => EXIT_USAGE,
            Self::Agent(_) | Self::Ended | Self::Process(_) => EXIT_FAILED,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let result = match &arguments.verb {
        Some(Verb::PeerId { key_file }) => print_peer_id(key_file),
        Some(Verb::Markdown) => print(&dfaas_agent_api::environment::help_markdown()),
        None => run(arguments.config.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.to_string().lines() {
                // Nothing is left to do when even this cannot be written.
                let _ = writeln!(std::io::stderr(), "error: {line}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn print_peer_id(path: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| Failure::KeyFile {
        path: path.to_owned(),
        source,
    })?;
    let identity = Identity::from_pem(&text).map_err(|source| Failure::Key {
        path: path.to_owned(),
        source,
    })?;
    print(&format!("{}\n", identity.peer_id()))
}

fn run(config_file: Option<&Path>) -> Result<(), Failure> {
    let file = config_file.map_or_else(|| Ok(BTreeMap::new()), read_file)?;
    let environment = (file, ProcessEnvironment);
    let config = Config::read(&environment)?;
    start_log(&config.node);
    for (name, reason) in without_effect(&environment) {
        tracing::warn!("{name} has no effect: {reason}");
    }
    // One thread is enough, and the smallest.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut agent = Agent::start(config).await?;
        tokio::select! {
            _ = terminate.recv() => tracing::info!("ending on SIGTERM"),
            _ = interrupt.recv() => tracing::info!("ending on SIGINT"),
            () = agent.ended() => return Err(Failure::Ended),
        }
        agent.stop().await;
        Ok(())
    })
}

fn start_log(node: &NodeConfig) {
    // A first node without peers is no news; the Kademlia library warns of it.
    let level = if node.debug {
        "info,dfaas_agent=debug"
    } else {
        "warn,libp2p_kad=error,dfaas_agent=info"
    };
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(node.log_colors)
        .with_target(false)
        .with_env_filter(level);
    if node.log_datetime {
        log.init()
    } else {
        log.without_time().init()
    }
}
