use std::path::PathBuf;

use clap::Args;

use super::{print, print_json};
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// The directory of a run
    run_directory: PathBuf,
    /// Print the paths of what was written as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &ReportArguments) -> Result<u8, CliError> {
    let directory = &arguments.run_directory;
    let loaded = dfaas_report::load(directory).map_err(CliError::input)?;
    let written = dfaas_report::write(directory).map_err(CliError::failed)?;
    if arguments.json {
        print_json(&serde_json::json!({
            "html": written.html, "csv": written.csv, "junit": written.junit, "markdown": written.markdown,
        }))?;
    } else {
        print(&dfaas_report::terminal_table(&loaded))?;
        print(&format!("report     {}\n", written.html.display()))?;
    }
    Ok(0)
}
