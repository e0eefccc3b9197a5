use clap::Args;
use dfaas_process::{Command, NodeReference};

use super::{LabChoice, block_on};
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct ExecArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The node to run it in
    node: String,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ShellArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The node to open it in
    node: String,
}

pub(crate) fn run(arguments: &ExecArguments) -> Result<u8, CliError> {
    enter(
        arguments.lab.lab.as_deref(),
        &arguments.node,
        arguments.command.clone(),
        false,
    )
}

pub(crate) fn run_shell(arguments: &ShellArguments) -> Result<u8, CliError> {
    let shell = std::env::var("SHELL")
        .ok()
        .filter(|path| std::path::Path::new(path).is_file());
    let shell = shell.unwrap_or_else(|| "/bin/sh".to_owned());
    enter(arguments.lab.lab.as_deref(), &arguments.node, vec![shell], true)
}

/// Trouble of `exec` itself, as opposed to the command's own code: as in `env`, `nohup` and `docker run`.
const OWN_TROUBLE: u8 = 125;

fn enter(lab: Option<&str>, node: &str, argv: Vec<String>, foreground: bool) -> Result<u8, CliError> {
    let own_trouble = |mut error: CliError| {
        error.exit_code = OWN_TROUBLE;
        error
    };
    let (_, client) = dfaas_lab::connect(lab).map_err(|error| own_trouble(error.into()))?;
    let reference: NodeReference = block_on(client.enter_node(node))
        .and_then(|result| result.map_err(CliError::from))
        .map_err(own_trouble)?;
    // What is not text cannot be named in the node either; programs do without it.
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let command = Command {
        argv,
        env,
        directory: "/".into(),
        foreground,
    };
    let code = dfaas_process::execute_in(&reference, &command)
        .map_err(|error| own_trouble(CliError::failed(error)))?;
    Ok(u8::try_from(code).unwrap_or(OWN_TROUBLE))
}
