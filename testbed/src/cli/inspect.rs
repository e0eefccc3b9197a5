use clap::Args;
use dfaas_control::{LabDetail, LinkInfo};

use super::{LabChoice, block_on, print, print_json};
use crate::error::CliError;
use crate::table;

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &InspectArguments) -> Result<u8, CliError> {
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    let detail = block_on(client.lab())??;
    if arguments.json {
        print_json(&detail)?;
    } else {
        print(&text(&detail))?;
    }
    Ok(0)
}

fn text(detail: &LabDetail) -> String {
    let mut text = format!(
        "{}   {} since {} · seed {} · supervisor {}\n",
        detail.name, detail.state, detail.started, detail.seed, detail.pid
    );
    text.push_str(&format!("logs   {}\n\n", detail.log_directory.display()));
    text.push_str(&nodes(detail));
    if !detail.links.is_empty() {
        text.push('\n');
        text.push_str(&links(&detail.links));
    }
    for partition in &detail.partitions {
        text.push_str(&format!("\npartition: {partition}\n"));
    }
    if let Some(scheduling) = &detail.engine_scheduling {
        text.push_str(&format!("\nwire engine: {scheduling} scheduling\n"));
    }
    for warning in &detail.warnings {
        text.push_str(&format!("\nwarning: {warning}\n"));
    }
    text
}

fn nodes(detail: &LabDetail) -> String {
    let mut rows = vec![
        ["NODE", "KIND", "STATE", "PID", "ADDRESSES", "SERVICES"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for node in &detail.nodes {
        let services: Vec<String> = node
            .services
            .iter()
            .map(|service| match service.restarts {
                0 => format!("{} {}", service.name, service.state),
                count => format!("{} {} ({count} restarts)", service.name, service.state),
            })
            .collect();
        rows.push(vec![
            node.name.clone(),
            node.kind.clone(),
            node.state.to_string(),
            node.pid.map_or("-".to_owned(), |pid| pid.to_string()),
            node.addresses.join(" "),
            services.join(", "),
        ]);
    }
    table::columns(&rows)
}

/// Links as a table.
pub(super) fn links(links: &[LinkInfo]) -> String {
    let mut rows = vec![
        ["LINK", "BACKEND", "STATE", "FORWARD →", "BACKWARD ←"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for link in links {
        rows.push(vec![
            link.name.clone(),
            link.backend.clone(),
            if link.up { "up" } else { "down" }.to_owned(),
            impairments(&link.forward),
            impairments(&link.backward),
        ]);
    }
    table::columns(&rows)
}

fn impairments(map: &serde_json::Map<String, serde_json::Value>) -> String {
    let parts: Vec<String> = map
        .iter()
        .map(|(key, value)| match value.as_str() {
            Some(value) => format!("{key} {value}"),
            None => format!("{key} {value}"),
        })
        .collect();
    if parts.is_empty() {
        "-".to_owned()
    } else {
        parts.join(", ")
    }
}
