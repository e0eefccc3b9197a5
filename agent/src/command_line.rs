//! The command line: nearly everything is configured by the environment.

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::path::PathBuf;

/// The DFaaS agent: finds other nodes, agrees limits with them, and steers this node's HAProxy.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// File of NAME=VALUE lines that win over the environment. SIGHUP reads it again.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Only say what is wrong with the configuration, one variable per line. Exit code 2 when something is.
    #[arg(long)]
    pub(crate) check: bool,
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Print the PeerId that belongs to a private key file.
    PeerId {
        /// PEM PKCS#8, as AGENT_PRIVATE_KEY_FILE.
        key_file: PathBuf,
    },
    /// Make a private key, as `openssl genpkey -algorithm ed25519` does.
    Key {
        /// File to create, readable by its owner only; its PeerId is printed. Without it, the key itself is printed.
        key_file: Option<PathBuf>,
    },
    /// Serve what the original agent uses of HAProxy's Data Plane API, in front of this node's HAProxy.
    Dataplane,
    /// Print the environment variables as Markdown.
    #[command(hide = true)]
    Markdown,
}

impl Arguments {
    /// Reads the command line; ends the process on `--help`, `--version` and mistakes.
    pub(crate) fn read() -> Self {
        let variables = format!(
            "Environment variables [default]:\n\n{}",
            dfaas_agent_api::environment::help_text()
        );
        let matches = Self::command()
            .after_help(variables.trim_end().to_owned())
            .get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }
}
