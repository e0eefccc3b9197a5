use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dfaas_model::{NodeKind, Topology};
use dfaas_report::Diagram;
use serde_json::json;

use super::{LabChoice, Overrides, block_on, print};
use crate::error::CliError;
use crate::files;

#[derive(Debug, Args)]
pub(crate) struct GraphArguments {
    /// A topology file; without one, a running lab is drawn
    file: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    lab: LabChoice,
    /// The format [default: by the name of the output file, else svg]
    #[arg(short, long)]
    format: Option<Format>,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A picture
    Svg,
    /// For Graphviz
    Dot,
    /// For Mermaid, in Markdown
    Mermaid,
}

pub(crate) fn run(arguments: &GraphArguments) -> Result<u8, CliError> {
    let detail = match &arguments.file {
        Some(file) => described(&files::topology(file, &arguments.overrides.set)?)?,
        None => {
            let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
            serde_json::to_value(block_on(client.lab())??).map_err(CliError::failed)?
        }
    };
    let lab: dfaas_report::Lab = serde_json::from_value(detail).map_err(CliError::failed)?;
    let text = format(arguments)?.draw(&lab);
    match &arguments.output {
        None => print(&text)?,
        Some(path) => std::fs::write(path, text)
            .map_err(|error| CliError::failed(format!("cannot write {}: {error}", path.display())))?,
    }
    Ok(0)
}

fn format(arguments: &GraphArguments) -> Result<Diagram, CliError> {
    let extension = arguments.output.as_ref().and_then(|path| path.extension());
    let format = match (
        arguments.format,
        extension.and_then(|extension| extension.to_str()),
    ) {
        (Some(format), _) => format,
        (None, None | Some("svg")) => Format::Svg,
        (None, Some("dot" | "gv")) => Format::Dot,
        (None, Some("mmd" | "mermaid" | "md")) => Format::Mermaid,
        (None, Some(other)) => {
            let text = format!(
                "no format is known by the extension `.{other}`; use .svg, .dot or .mmd, or `--format`"
            );
            return Err(CliError::input(text));
        }
    };
    Ok(match format {
        Format::Svg => Diagram::Svg,
        Format::Dot => Diagram::Dot,
        Format::Mermaid => Diagram::Mermaid,
    })
}

/// A topology in the words of a running lab.
fn described(topology: &Topology) -> Result<serde_json::Value, CliError> {
    let plan = dfaas_model::plan(topology)?;
    let nodes = topology.nodes.values().map(|node| {
        let address = plan.node(&node.name).and_then(|planned| planned.address);
        let functions = node
            .functions
            .values()
            .map(|function| json!({ "name": function.name, "maxrate": function.maxrate }));
        json!({
            "name": node.name,
            "kind": node.kind.as_str(),
            "address": address.filter(|_| node.kind != NodeKind::Switch),
            "functions": functions.collect::<Vec<_>>(),
        })
    });
    let links = topology.links.iter().map(|link| {
        let ends = link
            .endpoints
            .each_ref()
            .map(|end| json!({ "node": end.node, "interface": end.interface }));
        json!({
            "name": link.name,
            "endpoints": ends,
            "backend": "",
            "forward": dfaas_lab::impairment_for_people(&link.forward),
            "backward": dfaas_lab::impairment_for_people(&link.backward),
        })
    });
    Ok(json!({
        "name": topology.name,
        "nodes": nodes.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    }))
}
