use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Arguments, print};
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(arguments: &CompletionsArguments) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "dfaas-testbed",
        &mut script,
    );
    print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
