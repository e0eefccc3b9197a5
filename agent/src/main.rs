//! The DFaaS agent's program.

mod command_line;
mod daemon;
mod log;

use command_line::{Arguments, Verb};
use daemon::ConfigSource;
use dfaas_agent::agent::AgentError;
use dfaas_agent::config::{ConfigError, ConfigFileError};
use dfaas_agent::identity_file::{self, IdentityFileError};
use dfaas_agent::proxy::ProxyError;
use dfaas_agent_api::{Identity, IdentityError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use thiserror::Error;

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
    NewKey(#[from] IdentityFileError),
    #[error("cannot make a private key: {0}")]
    Random(String),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Haproxy(#[from] ProxyError),
    #[error("cannot listen on {address} (AGENT_DATAPLANEAPI_HOST, AGENT_DATAPLANEAPI_PORT): {source}")]
    Listen { address: String, source: std::io::Error },
    #[error("the agent ended by itself; its log says why")]
    Ended,
    #[error("cannot set up the process: {0}")]
    Process(#[from] std::io::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::ConfigFile(_)
            | Self::Config(_)
            | Self::KeyFile { .. }
            | Self::Key { .. }
            | Self::NewKey(_) => EXIT_USAGE,
            Self::Random(_)
            | Self::Agent(_)
            | Self::Haproxy(_)
            | Self::Listen { .. }
            | Self::Ended
            | Self::Process(_) => EXIT_FAILED,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let source = ConfigSource::new(arguments.config.clone());
    let result = match &arguments.verb {
        Some(Verb::PeerId { key_file }) => print_peer_id(key_file),
        Some(Verb::Key { key_file }) => make_key(key_file.as_deref()),
        Some(Verb::Markdown) => print(&dfaas_agent_api::environment::help_markdown()),
        Some(Verb::Dataplane) => daemon::run_dataplane(&source),
        None if arguments.check => check(&source),
        None => daemon::run(source),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.to_string().lines() {
                complain("error", line);
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn complain(severity: &str, line: &str) {
    // Nothing is left to do when even this cannot be written.
    let _ = writeln!(std::io::stderr(), "{severity}: {line}");
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn print_peer_id(path: &Path) -> Result<(), Failure> {
    print(&format!("{}\n", read_key(path)?.peer_id()))
}

fn read_key(path: &Path) -> Result<Identity, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| Failure::KeyFile {
        path: path.to_owned(),
        source,
    })?;
    Identity::from_pem(&text).map_err(|source| Failure::Key {
        path: path.to_owned(),
        source,
    })
}

fn make_key(path: Option<&Path>) -> Result<(), Failure> {
    let text = match path {
        Some(path) => format!("{}\n", identity_file::create_new(path)?.peer_id()),
        None => {
            let identity = identity_file::generate().map_err(|error| Failure::Random(error.to_string()))?;
            identity
                .to_pem()
                .map_err(|error| Failure::Random(error.to_string()))?
        }
    };
    print(&text)
}

/// Says everything that is wrong, and what has no effect.
fn check(source: &ConfigSource) -> Result<(), Failure> {
    for (name, reason) in source.without_effect()? {
        complain("warning", &format!("{name} has no effect: {reason}"));
    }
    let config = source.read()?;
    match &config.node.private_key_file {
        Some(path) if path.exists() => {
            read_key(path)?;
        }
        Some(path) => complain(
            "warning",
            &format!("`{}` will be created at the first start", path.display()),
        ),
        None => complain(
            "warning",
            "without AGENT_PRIVATE_KEY_FILE every start has a new PeerId",
        ),
    }
    print("the configuration is valid\n")
}
