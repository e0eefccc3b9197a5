use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::load_plan::ClientLoad;
use crate::factory::{LabFactory, RunningLab};
use crate::load::LoadMessage;

/// The program's verb that runs a load process.
const VERB: &str = "load";
/// Rows on their way from the processes; when it is full they wait in the processes, which have room.
const QUEUE: usize = 1024;
/// How long a load process may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(3);
/// How much of a process' standard error is kept, in bytes.
const ERROR_TEXT: u64 = 8192;

/// What comes from a load process.
#[derive(Debug)]
pub(super) enum Report {
    /// A line of its output.
    Message(LoadMessage),
    /// Something that is no such line.
    Garbled(String),
    /// The end of its output.
    Ended,
}

/// The load processes of a repetition, one per client node.
pub(super) struct Clients {
    processes: Vec<LoadProcess>,
    reports: mpsc::Receiver<(usize, Report)>,
}

struct LoadProcess {
    node: String,
    child: Child,
    input: Option<ChildStdin>,
    errors: JoinHandle<String>,
    ended: bool,
}

impl Clients {
    /// Starts one process per client; they wait for their plans. The error is one sentence.
    pub(super) fn spawn(
        loads: &[ClientLoad],
        lab: &RunningLab,
        factory: &dyn LabFactory,
    ) -> Result<Clients, String> {
        let (sender, reports) = mpsc::channel(QUEUE);
        let mut processes = Vec::new();
        for (index, load) in loads.iter().enumerate() {
            let command = factory.node_command(&lab.name, &load.node, &[VERB.to_owned()]);
            let process = LoadProcess::spawn(&load.node, command, index, sender.clone())
                .map_err(|reason| format!("cannot start load on `{}`: {reason}", load.node))?;
            processes.push(process);
        }
        Ok(Clients { processes, reports })
    }

    /// The next report and the index of the process it comes from; nothing when all have ended.
    pub(super) async fn next(&mut self) -> Option<(usize, Report)> {
        let (index, report) = self.reports.recv().await?;
        if matches!(report, Report::Ended)
            && let Some(process) = self.processes.get_mut(index)
        {
            process.ended = true;
        }
        Some((index, report))
    }

    /// Name of the node a process runs on.
    pub(super) fn node(&self, index: usize) -> &str {
        self.processes.get(index).map_or("?", |process| &process.node)
    }

    /// Hands every process its plan. The error is one sentence.
    pub(super) async fn give_plans(&mut self, loads: &[ClientLoad]) -> Result<(), String> {
        for (process, load) in self.processes.iter_mut().zip(loads) {
            let failed = |error: std::io::Error| format!("cannot hand `{}` its load: {error}", load.node);
            let text = serde_json::to_vec(&load.plan).map_err(|error| failed(error.into()))?;
            if let Some(mut input) = process.input.take() {
                input.write_all(&text).await.map_err(failed)?;
                input.shutdown().await.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// How a process that has closed its output came to its end, with what it said on standard error.
    pub(super) async fn outcome(&mut self, index: usize) -> String {
        let Some(process) = self.processes.get_mut(index) else {
            return String::new();
        };
        let status = match timeout(PATIENCE, process.child.wait()).await {
            Ok(Ok(status)) => describe(status),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "still running".to_owned(),
        };
        let errors = match timeout(PATIENCE, &mut process.errors).await {
            Ok(Ok(text)) => text,
            _ => String::new(),
        };
        match errors.trim() {
            "" => status,
            text => format!("{status}: {text}"),
        }
    }

    /// Asks every process that still runs to end.
    pub(super) fn terminate(&self) {
        for process in self.processes.iter().filter(|process| !process.ended) {
            // The id stays ours until the child is waited for, so nobody else can be hit.
            if let Some(id) = process.child.id().and_then(|id| i32::try_from(id).ok()) {
                let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
            }
        }
    }

    /// Ends what still runs, by force if need be, and waits until it is gone.
    pub(super) async fn shut_down(mut self) {
        self.terminate();
        // Nobody reads any more, so that no process hangs in a write.
        self.reports.close();
        for process in &mut self.processes {
            process.input = None;
            if timeout(PATIENCE, process.child.wait()).await.is_err() {
                let _ = process.child.kill().await;
            }
        }
    }
}

impl LoadProcess {
    fn spawn(
        node: &str,
        command: std::process::Command,
        index: usize,
        reports: mpsc::Sender<(usize, Report)>,
    ) -> std::io::Result<LoadProcess> {
        let mut command = Command::from(command);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(std::io::Error::other("its output cannot be read"));
        };
        tokio::spawn(read_output(output, index, reports));
        Ok(LoadProcess {
            node: node.to_owned(),
            child,
            input,
            errors: tokio::spawn(read_errors(errors)),
            ended: false,
        })
    }
}

async fn read_output(output: ChildStdout, index: usize, reports: mpsc::Sender<(usize, Report)>) {
    let mut lines = BufReader::new(output).lines();
    loop {
        let report = match lines.next_line().await {
            Ok(Some(line)) => match serde_json::from_str(&line) {
                Ok(message) => Report::Message(message),
                Err(_) => Report::Garbled(line),
            },
            Ok(None) | Err(_) => Report::Ended,
        };
        let last = matches!(report, Report::Ended);
        if reports.send((index, report)).await.is_err() || last {
            return;
        }
    }
}

/// Reads to the end, so that the process never blocks, and keeps the beginning.
async fn read_errors(mut errors: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let _ = (&mut errors).take(ERROR_TEXT).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}
