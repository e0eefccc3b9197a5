use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use dfaas_lab::{LabRequest, Progress};
use dfaas_model::{NodeKind, Topology};
use indicatif::ProgressBar;

use super::images::{ImageLines, spinner};
use super::{Overrides, block_on, print, print_json};
use crate::error::CliError;
use crate::files;
use crate::style::Style;
use crate::table::{self, counted};

#[derive(Debug, Args)]
pub(crate) struct UpArguments {
    /// A topology file
    file: String,
    #[command(flatten)]
    overrides: Overrides,
    /// Leave everything as it is when a step fails, for a look at it
    #[arg(long)]
    keep: bool,
    /// Print the lab as JSON when it is ready
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &UpArguments) -> Result<u8, CliError> {
    let topology = files::topology(&arguments.file, &arguments.overrides.set)?;
    let interrupted = interrupt_flag()?;
    let mut progress = ProgressLines::new(&topology);
    start(&topology, arguments.keep, &interrupted, &mut |milestone| {
        progress.show(milestone)
    })?;
    progress.finish();
    let (_, client) = dfaas_lab::connect(Some(&topology.name))?;
    if arguments.json {
        print_json(&block_on(client.lab())??)?;
    } else {
        let detail = block_on(client.lab_without_links())??;
        print(&format!("\n{}", node_table(&detail)))?;
        print(&hints(&detail))?;
    }
    Ok(0)
}

/// Brings a topology to life, for `up` and `run`.
pub(crate) fn start(
    topology: &Topology,
    keep: bool,
    interrupted: &AtomicBool,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<(), CliError> {
    let plan = dfaas_model::plan(topology)?;
    let request = LabRequest {
        topology: topology.clone(),
        plan,
        keep,
    };
    Ok(dfaas_lab::start(&request, interrupted, on_progress)?)
}

/// True after Ctrl-C or SIGTERM: the verb then undoes what it did and ends with 130.
pub(crate) fn interrupt_flag() -> Result<Arc<AtomicBool>, CliError> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let mut signals = nix::sys::signal::SigSet::empty();
    signals.add(nix::sys::signal::Signal::SIGINT);
    signals.add(nix::sys::signal::Signal::SIGTERM);
    // Blocked in this thread before any other exists, so in all of them; one thread waits for them.
    signals.thread_block().map_err(CliError::failed)?;
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            raised.store(true, Ordering::Relaxed);
        }
    });
    Ok(flag)
}

/// The lines that `up` shows on stderr while a lab starts.
pub(crate) struct ProgressLines {
    style: Style,
    spinner: ProgressBar,
    name_width: usize,
    images: ImageLines,
}

impl ProgressLines {
    pub(crate) fn new(topology: &Topology) -> Self {
        let style = Style::for_stderr();
        let spinner = spinner();
        spinner.set_message("network");
        let longest = topology
            .nodes
            .values()
            .filter(|node| node.kind == NodeKind::Dfaas || node.driver.container().is_some())
            .map(|node| node.name.len());
        let lines = Self {
            style,
            images: ImageLines::on(spinner.clone()),
            spinner,
            name_width: longest.max().unwrap_or(0).max("network".len()),
        };
        lines.line(&format!(
            "{}   {}",
            style.strong(&topology.name),
            summary(topology)
        ));
        lines
    }

    pub(crate) fn show(&mut self, milestone: &Progress) {
        match milestone {
            Progress::Image { image, text } => self.images.show(image, text),
            Progress::Network {
                namespaces,
                links,
                backends,
                milliseconds,
            } => {
                let backends: Vec<String> = backends
                    .iter()
                    .map(|(name, count)| format!("{name}: {count}"))
                    .collect();
                let backends = if backends.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", backends.join(", "))
                };
                self.done(
                    "network",
                    &format!(
                        "{}, {}{backends}",
                        counted(*namespaces, "namespace"),
                        counted(*links, "link")
                    ),
                    *milliseconds,
                );
                self.spinner.set_message("services");
            }
            Progress::Node {
                node,
                services,
                milliseconds,
            } => self.done(node, &services.join(", "), *milliseconds),
            Progress::Warning { message } => self.line(&format!("  {} {message}", self.style.warning("!"))),
            Progress::Ready { agents, milliseconds } => {
                let what = match agents {
                    0 => "all nodes".to_owned(),
                    1 => "1 agent".to_owned(),
                    count => format!("{count} agents know each other"),
                };
                self.done("ready", &what, *milliseconds);
            }
            Progress::Failed { .. } => self.finish(),
        }
    }

    pub(crate) fn finish(&self) {
        self.spinner.finish_and_clear();
    }

    fn done(&self, what: &str, detail: &str, milliseconds: u64) {
        let time = duration_text(milliseconds);
        let width = self.name_width;
        self.line(&format!(
            "  {} {what:<width$}   {detail:<44} {time:>8}",
            self.style.good("✔")
        ));
    }

    #[expect(clippy::print_stderr, reason = "progress is for people")]
    fn line(&self, text: &str) {
        self.spinner.suspend(|| eprintln!("{text}"));
    }
}

fn summary(topology: &Topology) -> String {
    let mut parts = Vec::new();
    let kinds = [
        (NodeKind::Dfaas, "dfaas node", "dfaas nodes"),
        (NodeKind::Host, "host", "hosts"),
        (NodeKind::Client, "client", "clients"),
        (NodeKind::Switch, "switch", "switches"),
        (NodeKind::Router, "router", "routers"),
    ];
    for (kind, one, many) in kinds {
        match topology.nodes.values().filter(|node| node.kind == kind).count() {
            0 => {}
            1 => parts.push(format!("1 {one}")),
            count => parts.push(format!("{count} {many}")),
        }
    }
    parts.push(counted(topology.links.len(), "link"));
    parts.join(" · ")
}

/// `41 ms` below a second, `1.2 s` above.
pub(crate) fn duration_text(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        return format!("{milliseconds} ms");
    }
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

/// More rows than this help nobody; `inspect` has them all.
const LONGEST_TABLE: usize = 40;

pub(crate) fn node_table(detail: &dfaas_control::LabDetail) -> String {
    let mut rows = vec![
        ["NODE", "KIND", "ADDRESS", "FUNCTIONS", "PORTS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let nodes: Vec<_> = detail.nodes.iter().filter(|node| node.kind != "switch").collect();
    for node in nodes.iter().take(LONGEST_TABLE) {
        let functions: Vec<String> = node
            .functions
            .iter()
            .map(|function| match function.maxrate {
                Some(rate) => format!("{} ({rate}/s)", function.name),
                None => function.name.clone(),
            })
            .collect();
        let ports: Vec<String> = node
            .ports
            .iter()
            .map(|port| format!("{} → {}", port.host, port.node_port))
            .collect();
        rows.push(vec![
            node.name.clone(),
            node.kind.clone(),
            node.address.clone().unwrap_or_default(),
            functions.join(", "),
            ports.join(", "),
        ]);
    }
    let mut text = table::columns(&rows);
    if nodes.len() > LONGEST_TABLE {
        text.push_str(&format!(
            "… and {} more: dfaas-testbed inspect\n",
            nodes.len() - LONGEST_TABLE
        ));
    }
    text
}

/// What to type next, with names that exist.
fn hints(detail: &dfaas_control::LabDetail) -> String {
    let mut lines = Vec::new();
    let caller = detail.nodes.iter().find(|node| !node.functions.is_empty());
    if let Some(node) = caller {
        let function = &node.functions[0].name;
        match node.ports.iter().find(|port| port.node_port == 80) {
            Some(port) => {
                lines.push(format!(
                    "curl http://{}/function/{function} -d 'Hello DFaaS world!'",
                    port.host
                ));
            }
            None => lines.push(format!(
                "dfaas-testbed invoke {} {function} -d 'Hello DFaaS world!'",
                node.name
            )),
        }
        lines.push(format!("dfaas-testbed logs {} agent -f", node.name));
    } else {
        let mut nodes = detail.nodes.iter().filter(|node| node.address.is_some());
        if let (Some(first), Some(last)) = (nodes.next(), nodes.next_back()) {
            lines.push(format!(
                "dfaas-testbed exec {} -- ping -c 3 {}",
                first.name, last.name
            ));
        }
    }
    lines.push("dfaas-testbed down".to_owned());
    let style = Style::for_stdout();
    let mut text = String::from("\n");
    for (index, line) in lines.iter().enumerate() {
        let label = if index == 0 {
            style.faint("try   ")
        } else {
            "      ".to_owned()
        };
        text.push_str(&format!("{label}{line}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::duration_text;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration_text(41), "41 ms");
        assert_eq!(duration_text(1299), "1.2 s");
        assert_eq!(duration_text(61_000), "61.0 s");
    }
}
