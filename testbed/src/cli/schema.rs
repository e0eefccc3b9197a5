use clap::{Args, ValueEnum};

use super::print_json;
use crate::error::CliError;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FileType {
    /// The file that describes nodes and links
    Topology,
    /// The file that describes an experiment
    Scenario,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArguments {
    /// Which file type
    #[arg(value_enum)]
    file_type: FileType,
}

pub(crate) fn run(arguments: &SchemaArguments) -> Result<u8, CliError> {
    match arguments.file_type {
        FileType::Topology => print_json(&dfaas_model::topology_schema())?,
        FileType::Scenario => print_json(&dfaas_model::scenario_schema())?,
    }
    Ok(0)
}
