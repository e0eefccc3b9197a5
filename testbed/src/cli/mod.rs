//! The verbs: one module each.

mod apply;
mod capture;
mod check;
mod completions;
mod doctor;
mod down;
mod events;
mod exec;
mod functions;
mod graph;
mod images;
mod init;
mod inspect;
mod invoke;
mod link;
mod logs;
mod ls;
mod node;
mod partition;
mod plan;
mod report;
mod roam;
mod run;
mod schema;
mod up;
mod verify;

use clap::{Args, Parser, Subcommand};
use dfaas_model::Override;

use crate::error::CliError;
use crate::files::parse_override;

/// Federations of edge nodes on one Linux machine.
///
/// A topology file describes nodes and links; `up` brings it to life. A scenario file describes an experiment on a
/// topology; `run` carries it out and judges it.
#[derive(Debug, Parser)]
#[command(
    name = "dfaas-testbed",
    version,
    max_term_width = 100,
    propagate_version = true
)]
#[command(
    after_help = "Exit codes: 0 fine, 1 expectations not met, 2 bad input or usage, 3 this machine cannot, \
4 clean-up incomplete, 5 the operation failed, 130 interrupted."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a commented topology and scenario to start from
    Init(init::InitArguments),
    /// Check a topology or scenario file without touching the machine
    Check(check::CheckArguments),
    /// Print every step that `up` would take
    Plan(plan::PlanArguments),
    /// Bring a topology to life; returns when it is ready
    Up(up::UpArguments),
    /// Take a lab down; returns when nothing of it is left
    Down(down::DownArguments),
    /// List the labs of this machine
    Ls(ls::LsArguments),
    /// Show a lab's nodes, links and services
    Inspect(inspect::InspectArguments),
    /// Run a command inside a node
    Exec(exec::ExecArguments),
    /// Open a shell inside a node
    Shell(exec::ShellArguments),
    /// Print what a node's services have logged
    Logs(logs::LogsArguments),
    /// Call a function of a node, as a user of that node would
    Invoke(invoke::InvokeArguments),
    /// Make a running lab what a changed topology file says
    Apply(apply::ApplyArguments),
    /// Show or change a link while packets flow
    Link(link::LinkArguments),
    /// Stop, start, kill or pause a node; its links stay
    Node(node::NodeArguments),
    /// Let a client roam to another access point
    Move(roam::MoveArguments),
    /// Show or change what a running node may use of the machine
    Limits(node::LimitsArguments),
    /// Cut every path between groups of nodes
    Partition(partition::PartitionArguments),
    /// End partitions
    Heal(partition::HealArguments),
    /// Record what passes a link, for Wireshark
    Capture(capture::CaptureArguments),
    /// Print what happens in a lab, as JSON lines
    Events(events::EventsArguments),
    /// Wait until a lab is ready
    Wait(events::WaitArguments),
    /// Deploy a function on a node, or change one
    Deploy(functions::DeployArguments),
    /// Remove a function from a node
    Undeploy(functions::UndeployArguments),
    /// List the functions of a node
    Functions(functions::FunctionsArguments),
    /// Carry out a scenario, judge it and write its report
    Run(run::RunArguments),
    /// Measure what a lab's links really do, against what was asked
    Verify(verify::VerifyArguments),
    /// Draw a topology file or a running lab
    Graph(graph::GraphArguments),
    /// Rebuild the report of a run from its files
    Report(report::ReportArguments),
    /// Tell what this machine can do and what is missing
    Doctor(doctor::DoctorArguments),
    /// Print the JSON schema of a file type, for editors
    Schema(schema::SchemaArguments),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArguments),
    /// The process that owns a lab
    #[command(hide = true)]
    Supervise,
    /// The first process of a node
    #[command(hide = true)]
    NodeInit,
    /// What runs in the network holder of a container node
    #[command(hide = true)]
    HoldNetwork,
    /// The load generator
    #[command(hide = true)]
    Load,
    /// One end of a link that is measured
    #[command(hide = true)]
    Probe,
}

/// Which lab a verb means.
#[derive(Debug, Args)]
pub(crate) struct LabChoice {
    /// The lab [default: the only one running]
    #[arg(short, long, value_name = "NAME")]
    lab: Option<String>,
}

/// Values that win over the file.
#[derive(Debug, Args)]
pub(crate) struct Overrides {
    /// Set a value: a dotted path into the topology, or a parameter of the scenario
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_override)]
    set: Vec<Override>,
}

/// Carries a verb out and returns the exit code.
pub(crate) fn dispatch(arguments: Arguments) -> Result<u8, CliError> {
    if !matches!(arguments.verb, Verb::Supervise) {
        show_warnings(); // the supervisor has a log of its own
    }
    match arguments.verb {
        Verb::Init(arguments) => init::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Plan(arguments) => plan::run(&arguments),
        Verb::Up(arguments) => up::run(&arguments),
        Verb::Down(arguments) => down::run(&arguments),
        Verb::Ls(arguments) => ls::run(&arguments),
        Verb::Inspect(arguments) => inspect::run(&arguments),
        Verb::Exec(arguments) => exec::run(&arguments),
        Verb::Shell(arguments) => exec::run_shell(&arguments),
        Verb::Logs(arguments) => logs::run(&arguments),
        Verb::Invoke(arguments) => invoke::run(&arguments),
        Verb::Apply(arguments) => apply::run(&arguments),
        Verb::Link(arguments) => link::run(&arguments),
        Verb::Node(arguments) => node::run(&arguments),
        Verb::Move(arguments) => roam::run(&arguments),
        Verb::Limits(arguments) => node::run_limits(&arguments),
        Verb::Partition(arguments) => partition::run(&arguments),
        Verb::Heal(arguments) => partition::run_heal(&arguments),
        Verb::Capture(arguments) => capture::run(&arguments),
        Verb::Events(arguments) => events::run(&arguments),
        Verb::Wait(arguments) => events::run_wait(&arguments),
        Verb::Deploy(arguments) => functions::deploy(&arguments),
        Verb::Undeploy(arguments) => functions::undeploy(&arguments),
        Verb::Functions(arguments) => functions::list(&arguments),
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Verify(arguments) => verify::run(&arguments),
        Verb::Graph(arguments) => graph::run(&arguments),
        Verb::Report(arguments) => report::run(&arguments),
        Verb::Doctor(arguments) => doctor::run(&arguments),
        Verb::Schema(arguments) => schema::run(&arguments),
        Verb::Completions(arguments) => completions::run(&arguments),
        Verb::Supervise => Ok(dfaas_lab::supervise()),
        Verb::NodeInit => dfaas_process::init_main(),
        Verb::HoldNetwork => Ok(dfaas_lab::hold_network()),
        Verb::Load => Ok(u8::try_from(dfaas_experiment::load_main()).unwrap_or(5)),
        Verb::Probe => Ok(u8::try_from(dfaas_experiment::probe_main()).unwrap_or(5)),
    }
}

/// Warnings go to people; `DFAAS_TESTBED_LOG=debug` shows more.
fn show_warnings() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("DFAAS_TESTBED_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .try_init();
}

/// Runs one verb's calls to a supervisor.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::failed)?;
    Ok(runtime.block_on(future))
}

/// Writes to standard output. A reader that has gone away (`| head`) is no error: there is nobody left to tell.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(CliError::failed(error)),
        _ => Ok(()),
    }
}

/// Writes a value as JSON for a program to read.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let mut text = serde_json::to_string_pretty(value).map_err(CliError::failed)?;
    text.push('\n');
    print(&text)
}
