//! The command line: nearly everything is configured by the environment.

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::path::PathBuf;

/// The DFaaS agent: finds other nodes, agrees limits with them, and steers this node's HAProxy.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// File of NAME=VALUE lines that win over the environment.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
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
