//! The process that owns a lab: it builds it, serves its control API, and undoes everything at the end.

mod api;
mod apply;
mod bring_up;
mod capture;
mod containers;
mod doors;
mod driven;
mod ending;
mod environment;
mod events;
mod flap;
mod kernel;
mod lab;
pub(crate) mod links;
mod monitoring;
pub(crate) mod network;
mod node;
mod partitions;
mod power;
mod probe;
mod ready;
mod rebuild;
mod reporter;
mod roam;
mod services;
mod settings;
mod splice;
mod tasks;
mod teardown;
mod translate;

pub use driven::Entrance;
pub use node::INIT_VERB;
pub use translate::for_people;

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use dfaas_control::LabState;
use dfaas_model::Node;
use dfaas_process::Spawner;
use tokio::task::JoinSet;

use crate::error::LabError;
use crate::fault;
use crate::progress::{LabRequest, Progress};
use crate::rootless;
use crate::state::{StateDirectory, SupervisorIdentity};
use crate::supervisor::ending::Endings;
use crate::supervisor::lab::Lab;
use crate::supervisor::reporter::Reporter;
use crate::tools::Tools;

/// Runs a supervisor: reads a [`LabRequest`] from standard input, builds the lab and keeps it until it is told to end.
/// Must be called before the process has threads. Returns the exit code.
pub fn supervise() -> u8 {
    let reporter = Reporter::default();
    match prepare() {
        Ok((lab, stdin)) => run(Arc::new(lab), stdin, reporter),
        Err(error) => {
            fail(&reporter, &error, false, Vec::new());
            error.exit_code()
        }
    }
}

/// What has to happen while the process has one thread.
fn prepare() -> Result<(Lab, BufReader<std::io::Stdin>), LabError> {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("DFAAS_TESTBED_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init();
    ending::hold_signals()?;
    let mut stdin = BufReader::new(std::io::stdin());
    let mut line = String::new();
    let request: Result<LabRequest, std::io::Error> = stdin
        .read_line(&mut line)
        .and_then(|_| serde_json::from_str(&line).map_err(std::io::Error::from));
    let request =
        request.map_err(|source| LabError::file("read the request from", "/dev/stdin".as_ref(), source))?;
    let state_directory = StateDirectory::of(&request.topology.name);
    fault::step("request read");
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    let start_time = dfaas_process::start_time(pid)?;
    let identity = SupervisorIdentity { pid, start_time };
    state_directory.write_supervisor(identity)?;
    fault::step("supervisor written down");
    let tools = Tools::find(&request.topology)?;
    let rootless = !rootless::is_root(); // asked before: in its user namespace everybody is
    if rootless {
        containers::refuse(request.topology.nodes.values())?;
    }
    environment::enter(&state_directory.scratch())?;
    fault::step("environment entered");
    let spawner = Spawner::start()?;
    let mut lab = Lab::new(request, (state_directory, identity), tools, spawner)?;
    if rootless {
        lab.rootless = true;
        lab.warn(rootless::ROOTLESS_LIMITS.to_owned());
    }
    fault::step("lab made");
    Ok((lab, stdin))
}

fn run(lab: Arc<Lab>, stdin: BufReader<std::io::Stdin>, reporter: Reporter) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(source) => {
            let error = LabError::file("start", "the supervisor's runtime".as_ref(), source);
            fail(&reporter, &error, false, Vec::new());
            return error.exit_code();
        }
    };
    watch_listener(&lab, stdin);
    runtime.block_on(live(&lab, &reporter))
}

/// The whole life of a lab inside the runtime.
async fn live(lab: &Arc<Lab>, reporter: &Reporter) -> u8 {
    let mut endings = match Endings::listen(lab.identity) {
        Ok(endings) => endings,
        Err(error) => {
            fail(reporter, &error, false, Vec::new());
            return error.exit_code();
        }
    };
    let mut tasks = JoinSet::new();
    let started = tokio::select! {
        started = start(lab, reporter, &mut tasks) => started,
        () = endings.any(lab) => Err(LabError::Interrupted),
    };
    for message in lab.warnings() {
        reporter.send(&Progress::Warning { message });
    }
    let mut code = 0;
    match started {
        Ok(agents) => {
            lab.set_state(LabState::Ready);
            lab.release_listener(); // before it hears that it may go
            fault::step("ready");
            reporter.send(&Progress::Ready {
                agents,
                milliseconds: lab.elapsed_milliseconds(),
            });
            if !reporter.listener_gone() {
                endings.any(lab).await;
            }
        }
        Err(error) if lab.keep && !matches!(error, LabError::Interrupted) => {
            tracing::error!("{error}");
            lab.set_state(LabState::Failed);
            lab.release_listener();
            fail(reporter, &error, true, Vec::new());
            endings.any(lab).await;
        }
        Err(error) => {
            tracing::error!("{error}");
            tasks.shutdown().await;
            let left = teardown::take_down(lab).await;
            code = if left.is_empty() { error.exit_code() } else { 4 };
            fail(reporter, &error, false, left);
            return code;
        }
    }
    tasks.shutdown().await;
    let left = teardown::take_down(lab).await;
    if !left.is_empty() {
        tracing::error!(?left, "clean-up incomplete");
        code = 4;
    }
    code
}

async fn start(lab: &Arc<Lab>, reporter: &Reporter, tasks: &mut JoinSet<()>) -> Result<usize, LabError> {
    let listener = api::listen(&lab.state_directory.control_socket())?;
    tasks.spawn(api::serve(listener, Arc::clone(lab)));
    fault::step("control API served");
    tasks.spawn(events::tell_drops(Arc::clone(lab)));
    let topology = lab.topology();
    let nodes: Vec<&Node> = topology.nodes.values().collect();
    let ports = doors::bind_ports(&nodes).await?;
    fault::step("ports bound");
    let mut report = |step: dfaas_docker::ImageProgress| {
        reporter.send(&Progress::Image {
            image: step.image,
            text: step.text,
        });
    };
    let provisions = containers::provide(lab, &nodes, &mut report).await?;
    containers::hold_networks(lab, &nodes, &provisions, &lab.hosts()).await?;
    fault::step("containers prepared");
    bring_up::build_network(lab, reporter).await?;
    doors::open_all(lab, &nodes, ports).await?;
    bring_up::start_nodes(lab, &nodes, Some(reporter)).await
}

/// Until the lab is ready, the end of standard input means that the starting command was interrupted or killed.
fn watch_listener(lab: &Arc<Lab>, mut stdin: BufReader<std::io::Stdin>) {
    let lab = Arc::downgrade(lab);
    std::thread::spawn(move || {
        let mut rest = [0; 64];
        while matches!(stdin.read(&mut rest), Ok(count) if count > 0) {}
        if let Some(lab) = lab.upgrade() {
            lab.listener_ended();
        }
    });
}

fn fail(reporter: &Reporter, error: &LabError, kept: bool, left: Vec<String>) {
    reporter.send(&Progress::Failed {
        message: error.to_string(),
        exit_code: error.exit_code(),
        kept,
        left,
    });
}
