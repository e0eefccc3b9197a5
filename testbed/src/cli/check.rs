use clap::Args;
use serde_json::json;

use super::{Overrides, print, print_json};
use crate::error::CliError;
use crate::files::{self, FileLoader};
use crate::style::Style;
use crate::table::counted;

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// A topology or scenario file
    file: String,
    #[command(flatten)]
    overrides: Overrides,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &CheckArguments) -> Result<u8, CliError> {
    let overrides = &arguments.overrides.set;
    let (kind, facts) = if files::is_scenario(&arguments.file) {
        let experiment = dfaas_model::load_scenario(&arguments.file, &FileLoader, overrides)?;
        for repetition in experiment.cells.iter().flat_map(|cell| &cell.repetitions) {
            dfaas_model::plan(&repetition.topology)?;
        }
        let repetitions: usize = experiment.cells.iter().map(|cell| cell.repetitions.len()).sum();
        (
            "scenario",
            format!(
                "{}, {}",
                counted(experiment.cells.len(), "cell"),
                counted(repetitions, "run")
            ),
        )
    } else {
        let topology = files::topology(&arguments.file, overrides)?;
        dfaas_model::plan(&topology)?;
        (
            "topology",
            format!(
                "{}, {}",
                counted(topology.nodes.len(), "node"),
                counted(topology.links.len(), "link")
            ),
        )
    };
    if arguments.json {
        print_json(&json!({ "file": arguments.file, "kind": kind, "valid": true }))?;
    } else {
        let mark = Style::for_stdout().good("✔");
        print(&format!("{mark} {}: a valid {kind} ({facts})\n", arguments.file))?;
    }
    Ok(0)
}
