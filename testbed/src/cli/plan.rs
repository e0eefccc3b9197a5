use clap::Args;

use super::{Overrides, print, print_json};
use crate::error::CliError;
use crate::files;

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// A topology file
    file: String,
    #[command(flatten)]
    overrides: Overrides,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &PlanArguments) -> Result<u8, CliError> {
    let topology = files::topology(&arguments.file, &arguments.overrides.set)?;
    let plan = dfaas_model::plan(&topology)?;
    if arguments.json {
        print_json(&plan)?;
    } else {
        print(&plan.to_string())?;
    }
    Ok(0)
}
