use std::convert::Infallible;

use clap::Args;
use dfaas_control::{EventStream, Happening};

use super::images::{ImageLines, spinner};
use super::{LabChoice, Overrides, block_on, print, print_json};
use crate::error::CliError;
use crate::files;
use crate::table::counted;

/// Only what differs from the file the lab was started with (or last applied) is touched: nodes and links come and go;
/// impairments of links, limits and labels of nodes change at once; a node whose functions, agent, platform, environment,
/// volumes or commands differ is started again, and a container made anew. What stays keeps its interfaces and addresses.
/// What cannot be changed while the lab runs is refused before anything is touched. What `link`, `limits` and `node` have
/// changed meanwhile stays, unless the file differs there.
#[derive(Debug, Args)]
pub(crate) struct ApplyArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The changed topology file
    file: String,
    #[command(flatten)]
    overrides: Overrides,
    /// Print what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the changes as JSON
    #[arg(long)]
    json: bool,
}

/// Shows what is told of images, until it is dropped.
async fn show_images(mut events: EventStream) -> Infallible {
    let mut lines: Option<ImageLines> = None;
    while let Ok(Some(event)) = events.next().await {
        if let Happening::Image { image, text } = event.what {
            let lines = lines.get_or_insert_with(|| ImageLines::on(spinner()));
            lines.show(&image, &text);
        }
    }
    // What became of the changes is told by the answer to them.
    std::future::pending().await
}

pub(crate) fn run(arguments: &ApplyArguments) -> Result<u8, CliError> {
    let mut topology = files::topology(&arguments.file, &arguments.overrides.set)?;
    // The lab of the file, unless another one is named.
    let name = arguments.lab.lab.clone().unwrap_or_else(|| topology.name.clone());
    let (_, client) = dfaas_lab::connect(Some(&name))?;
    topology.name = name;
    let changes = block_on(async {
        if arguments.dry_run {
            return client.apply(&topology, true).await;
        }
        let events = client.events(None).await?;
        tokio::select! {
            changes = client.apply(&topology, false) => changes,
            never = show_images(events) => match never {},
        }
    })??;
    if arguments.json {
        print_json(&changes)?;
        return Ok(0);
    }
    let mut text: String = changes.iter().map(|it| format!("{it}\n")).collect();
    text.push_str(&match (changes.len(), arguments.dry_run) {
        (0, _) => format!("{} is what the file says\n", topology.name),
        (count, true) => format!("{} to make\n", counted(count, "change")),
        (count, false) => format!("{} made\n", counted(count, "change")),
    });
    print(&text)?;
    Ok(0)
}
