use std::collections::HashSet;

use clap::{Args, ValueEnum};
use dfaas_control::LinkChange;
use dfaas_model::Override;
use serde_json::Value;

use super::{LabChoice, block_on, inspect, print, print_json};
use crate::error::CliError;
use crate::files::parse_override;

/// Settings are the impairment keys of a topology file with its units, such as `delay=200ms loss=1% rate=10mbit`. They
/// are for both directions; `forward.delay=5ms` is for packets from the link's first end to its second only,
/// `backward.delay=5ms` for the other way. What is not named stays as it is.
#[derive(Debug, Args)]
#[command(
    override_usage = "dfaas-testbed link [OPTIONS] <LINK> [show | up | down | reset]\n       \
dfaas-testbed link [OPTIONS] <LINK> set <KEY=VALUE>..."
)]
pub(crate) struct LinkArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The link: `A--B` (or `B--A`), or its name in the file
    link: String,
    /// What to do with it
    #[arg(value_enum, default_value_t = Deed::Show)]
    deed: Deed,
    /// For `set`: what to change
    #[arg(value_name = "KEY=VALUE", value_parser = parse_override)]
    settings: Vec<Override>,
    /// Print the link as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deed {
    /// Print what it does now
    Show,
    /// Change impairments while packets flow
    Set,
    /// Give both ends their carrier
    Up,
    /// Take the carrier away from both ends
    Down,
    /// Back to what the topology file says
    Reset,
}

pub(crate) fn run(arguments: &LinkArguments) -> Result<u8, CliError> {
    let change = change(arguments)?;
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    let link = match &change {
        None => block_on(client.link(&arguments.link))??,
        Some(change) => block_on(client.change_link(&arguments.link, change))??,
    };
    if arguments.json {
        print_json(&link)?;
    } else {
        print(&inspect::links(&[link]))?;
    }
    Ok(0)
}

/// What the lab is asked to change; nothing for a look.
fn change(arguments: &LinkArguments) -> Result<Option<LinkChange>, CliError> {
    let settings = &arguments.settings;
    if arguments.deed != Deed::Set && !settings.is_empty() {
        let list: Vec<String> = settings
            .iter()
            .map(|it| format!("{}={}", it.path, it.value))
            .collect();
        return Err(CliError::input(format!(
            "only `set` takes settings; did you mean `link {} set {}`?",
            arguments.link,
            list.join(" ")
        )));
    }
    Ok(match arguments.deed {
        Deed::Show => None,
        Deed::Set if settings.is_empty() => {
            return Err(CliError::input(format!(
                "nothing to set; for example `link {} set delay=200ms loss=1%`",
                arguments.link
            )));
        }
        Deed::Set => Some(LinkChange {
            set: object(settings)?,
            ..LinkChange::default()
        }),
        Deed::Up | Deed::Down => Some(LinkChange {
            up: Some(arguments.deed == Deed::Up),
            ..LinkChange::default()
        }),
        Deed::Reset => Some(LinkChange {
            reset: true,
            ..LinkChange::default()
        }),
    })
}

/// Settings as the control API takes them.
pub(super) fn object(settings: &[Override]) -> Result<serde_json::Map<String, Value>, CliError> {
    let mut seen = HashSet::new();
    if let Some(twice) = settings.iter().find(|it| !seen.insert(&it.path)) {
        return Err(CliError::input(format!("`{}` is given twice", twice.path)));
    }
    let entry = |it: &Override| (it.path.clone(), Value::from(it.value.clone()));
    Ok(settings.iter().map(entry).collect())
}
