use clap::{Args, ValueEnum};
use dfaas_control::NodeInfo;
use dfaas_model::{NodeAction, Override};

use super::{LabChoice, block_on, link, print, print_json};
use crate::error::CliError;
use crate::files::parse_override;

/// A node's links stay as they are: interfaces, addresses, routes and carrier. The file system of a node outlives a
/// stop, as a disk does; what was in /tmp and /run does not. The commands of its `exec:` run again at each start.
#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The node
    node: String,
    /// What to do with it
    #[arg(value_enum)]
    deed: Deed,
    /// After a start, do not wait until the node's functions answer
    #[arg(long)]
    no_wait: bool,
    /// Print the node as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deed {
    /// Shut it down: its services end in good order, the last one first, then all else that runs in it
    Stop,
    /// Start it again, with its services; the agent keeps its key
    Start,
    /// Stop and start
    Restart,
    /// Kill all that runs in it at once, as a power failure does
    Kill,
    /// Hold all that runs in it where it is
    Pause,
    /// Let it go on
    Resume,
}

impl From<Deed> for NodeAction {
    fn from(deed: Deed) -> Self {
        match deed {
            Deed::Stop => Self::Stop,
            Deed::Start => Self::Start,
            Deed::Restart => Self::Restart,
            Deed::Kill => Self::Kill,
            Deed::Pause => Self::Pause,
            Deed::Resume => Self::Resume,
        }
    }
}

pub(crate) fn run(arguments: &NodeArguments) -> Result<u8, CliError> {
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    let call = client.change_node(&arguments.node, arguments.deed.into(), !arguments.no_wait);
    let node = block_on(call)??;
    show(&node, arguments.json, &format!("{} is {}", node.name, node.state))
}

/// Settings are `cpus` (0.5 is half a processor), `memory` (256MiB) and `pids`; `none` takes a limit away. They hold at
/// once, for all that runs in the node and for what is started later, until they are changed again.
#[derive(Debug, Args)]
pub(crate) struct LimitsArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The node
    node: String,
    /// What to change [default: nothing, show its limits]
    #[arg(value_name = "KEY=VALUE", value_parser = parse_override)]
    settings: Vec<Override>,
    /// Print the node as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run_limits(arguments: &LimitsArguments) -> Result<u8, CliError> {
    let settings = link::object(&arguments.settings)?;
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    let node = block_on(client.change_limits(&arguments.node, &settings))??;
    let limits: Vec<String> = node
        .limits
        .iter()
        .map(|(key, value)| match value.as_str() {
            Some(text) => format!("{key} {text}"),
            None => format!("{key} {value}"),
        })
        .collect();
    let limits = match limits.as_slice() {
        [] => "no limits".to_owned(),
        some => some.join(", "),
    };
    show(&node, arguments.json, &format!("{}   {limits}", node.name))
}

fn show(node: &NodeInfo, json: bool, line: &str) -> Result<u8, CliError> {
    if json {
        print_json(node)?;
    } else {
        print(&format!("{line}\n"))?;
    }
    Ok(0)
}
