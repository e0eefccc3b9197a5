use std::collections::BTreeMap;

use clap::Args;
use dfaas_model::Topology;
use serde_json::json;

use super::{Overrides, print, print_json};
use crate::error::CliError;
use crate::files;
use crate::style::Style;
use crate::table::counted;

/// Links named for each preset; more are counted.
const SHOWN: usize = 4;

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

/// What a file that is valid says, in short.
struct Found {
    kind: &'static str,
    facts: String,
    /// The topology, if there is one alone.
    topology: Option<Topology>,
}

pub(crate) fn run(arguments: &CheckArguments) -> Result<u8, CliError> {
    let found = if files::is_scenario(&arguments.file) {
        scenario(arguments)?
    } else {
        topology(arguments)?
    };
    let presets = found.topology.as_ref().map(presets).unwrap_or_default();
    if arguments.json {
        let presets: Vec<_> = presets
            .iter()
            .map(|(text, links)| json!({ "preset": text, "links": links }))
            .collect();
        let file = &arguments.file;
        print_json(&json!({ "file": file, "kind": found.kind, "valid": true, "presets": presets }))?;
        return Ok(0);
    }
    let mark = Style::for_stdout().good("✔");
    let Found { kind, facts, .. } = found;
    let mut text = format!("{mark} {}: a valid {kind} ({facts})\n", arguments.file);
    for (preset, links) in presets {
        let names = links.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        let more = match links.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        text.push_str(&format!("  {preset}  ({names}{more})\n"));
    }
    print(&text)?;
    Ok(0)
}

fn scenario(arguments: &CheckArguments) -> Result<Found, CliError> {
    let experiment = files::scenario(&arguments.file, &arguments.overrides.set)?;
    let runs = || experiment.cells.iter().flat_map(|cell| &cell.repetitions);
    for repetition in runs() {
        dfaas_model::plan(&repetition.topology)?;
    }
    let (cells, runs) = (experiment.cells.len(), runs().count());
    Ok(Found {
        kind: "scenario",
        facts: format!("{}, {}", counted(cells, "cell"), counted(runs, "run")),
        topology: None,
    })
}

fn topology(arguments: &CheckArguments) -> Result<Found, CliError> {
    let topology = files::topology(&arguments.file, &arguments.overrides.set)?;
    dfaas_model::plan(&topology)?;
    let (nodes, links) = (topology.nodes.len(), topology.links.len());
    Ok(Found {
        kind: "topology",
        facts: format!("{}, {}", counted(nodes, "node"), counted(links, "link")),
        topology: Some(topology),
    })
}

/// What presets stand for, with what the links that use them add: `preset wifi is delay 3ms, …`, and which links those are.
fn presets(topology: &Topology) -> BTreeMap<String, Vec<&str>> {
    let mut presets: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for link in topology.links.iter().filter(|link| !link.presets.is_empty()) {
        let names = link.presets.join(", ");
        let text = if link.forward == link.backward {
            format!("preset {names} is {}", link.forward)
        } else {
            format!(
                "preset {names} is {} forward, {} backward",
                link.forward, link.backward
            )
        };
        presets.entry(text).or_default().push(&link.name);
    }
    presets
}
