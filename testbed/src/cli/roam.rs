use clap::Args;
use dfaas_model::TimeSpan;

use super::{LabChoice, block_on, inspect, print, print_json};
use crate::error::CliError;

/// A user roams to another access point: its link ends at another switch or node. It keeps its interface, its addresses and
/// the impairments of its link; in another network, host routes lead to it. The link is called after where it ends, unless the
/// file names it.
#[derive(Debug, Args)]
pub(crate) struct MoveArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The node that moves; it has one link
    client: String,
    /// The switch or node it moves to
    to: String,
    /// How long it has no carrier on the way
    #[arg(long, value_name = "TIME", default_value = "0s")]
    gap: TimeSpan,
    /// Print its link as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &MoveArguments) -> Result<u8, CliError> {
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    let link = block_on(client.roam(&arguments.client, &arguments.to, arguments.gap.0))??;
    if arguments.json {
        print_json(&link)?;
    } else {
        print(&inspect::links(&[link]))?;
    }
    Ok(0)
}
