use std::collections::BTreeMap;

use clap::Args;
use dfaas_lab::Entrance;
use dfaas_process::Command;

use super::{LabChoice, block_on};
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct ExecArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The node to run it in
    node: String,
    /// Run this program itself, with the arguments given, in the node's network: in a container it is not there
    #[arg(long, hide = true)]
    own_program: bool,
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
    let argv = arguments.command.clone();
    let program = if arguments.own_program {
        Program::Own(argv)
    } else {
        Program::Command(argv)
    };
    enter(arguments.lab.lab.as_deref(), &arguments.node, program)
}

pub(crate) fn run_shell(arguments: &ShellArguments) -> Result<u8, CliError> {
    enter(arguments.lab.lab.as_deref(), &arguments.node, Program::Shell)
}

/// Trouble of `exec` itself, as opposed to the command's own code: as in `env`, `nohup` and `docker run`.
const OWN_TROUBLE: u8 = 125;

/// What runs in a node.
enum Program {
    Command(Vec<String>),
    Shell,
    /// This program, with these arguments.
    Own(Vec<String>),
}

/// Where this program is seen in a native node.
const PROGRAM_IN_NODES: &str = "/run/dfaas/bin/dfaas-testbed";

fn enter(lab: Option<&str>, node: &str, program: Program) -> Result<u8, CliError> {
    let own_trouble = |mut error: CliError| {
        error.exit_code = OWN_TROUBLE;
        error
    };
    let (_, client) = dfaas_lab::connect(lab).map_err(|error| own_trouble(error.into()))?;
    let entrance: Entrance = block_on(client.enter_node(node))
        .and_then(|result| result.map_err(CliError::from))
        .map_err(own_trouble)?;
    let command = command(program, entrance.environment).map_err(own_trouble)?;
    match dfaas_process::execute_in(&entrance.node, &command) {
        Ok(code) => Ok(u8::try_from(code).unwrap_or(OWN_TROUBLE)),
        Err(error) => {
            let mut told = CliError::failed(format!("node `{node}`: {error}"));
            told.exit_code = error.shell_code().unwrap_or(OWN_TROUBLE);
            Err(told)
        }
    }
}

/// `environment`: that of a container, absent in a native node.
fn command(program: Program, environment: Option<BTreeMap<String, String>>) -> Result<Command, CliError> {
    let is_container = environment.is_some();
    let foreground = matches!(program, Program::Shell);
    let mut network_only = false;
    let argv = match program {
        Program::Command(argv) => argv,
        Program::Shell => vec![shell(is_container)],
        Program::Own(arguments) => {
            network_only = is_container;
            let own = if is_container {
                let own = std::env::current_exe().map_err(CliError::failed)?;
                own.display().to_string()
            } else {
                PROGRAM_IN_NODES.to_owned()
            };
            std::iter::once(own).chain(arguments).collect()
        }
    };
    Ok(Command {
        argv,
        env: environment
            .filter(|_| !network_only)
            .map_or_else(own_environment, with_terminal),
        directory: "/".into(),
        foreground,
        network_only,
    })
}

/// What is not text cannot be named in the node either; programs do without it.
fn own_environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// A container's own variables, and what kind of terminal this is.
fn with_terminal(mut environment: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if let Ok(terminal) = std::env::var("TERM") {
        environment.entry("TERM".to_owned()).or_insert(terminal);
    }
    environment
}

/// The caller's own shell; of a container's files only this one is likely to be there.
fn shell(is_container: bool) -> String {
    let own = std::env::var("SHELL").ok();
    let own = own.filter(|path| !is_container && std::path::Path::new(path).is_file());
    own.unwrap_or_else(|| "/bin/sh".to_owned())
}
