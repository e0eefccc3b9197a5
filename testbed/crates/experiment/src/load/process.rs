use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::error::LoadError;
use super::generator::{Phase, generate};
use super::output::{write_line, write_rows};
use super::plan::LoadPlan;
use super::row::LoadMessage;

/// How long requests may still take after a signal has ended the sending.
const GRACE: Duration = Duration::from_secs(1);

/// Between two looks at the timers and sockets; a small number keeps send times exact while answers pour in.
const TASKS_PER_LOOK: u32 = 8;

const EXIT_BAD_INPUT: i32 = 2;
const EXIT_FAILED: i32 = 5;
const EXIT_INTERRUPTED: i32 = 130;

/// The load process: reads a [`LoadPlan`] as JSON from standard input, sends its requests, and writes one
/// [`LoadMessage`] per line to standard output, none older than 100 ms. Returns the process' exit code.
///
/// SIGTERM and SIGINT end the sending; requests under way get a second to end. A closed standard output ends it too.
pub fn load_main() -> i32 {
    match work() {
        Ok(Phase::Sending) => 0,
        Ok(Phase::Draining | Phase::Abandoning) => EXIT_INTERRUPTED,
        Err(error) => {
            // There is nobody left to tell when standard error is gone too.
            let _ = writeln!(io::stderr(), "load: {error}");
            match error {
                LoadError::Plan(_) | LoadError::Unsendable { .. } => EXIT_BAD_INPUT,
                LoadError::Kernel { .. } | LoadError::Output(_) => EXIT_FAILED,
            }
        }
    }
}

/// Does the whole work and returns the phase in which it ended.
fn work() -> Result<Phase, LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_PER_LOOK)
        .build()
        .map_err(LoadError::kernel("event loop"))?;
    announce().map_err(LoadError::Output)?;
    let plan = LoadPlan::deserialize(&mut serde_json::Deserializer::from_reader(io::stdin().lock()))?;
    super::check(&plan)?;
    raise_descriptor_limit();

    let (set_phase, phase) = watch::channel(Phase::Sending);
    let set_phase = Arc::new(set_phase);
    let (rows, written) = channel();
    let writer = std::thread::Builder::new()
        .name("load-writer".to_owned())
        .spawn({
            let set_phase = Arc::clone(&set_phase);
            move || {
                let interrupted = || *set_phase.borrow() != Phase::Sending;
                let outcome = write_rows(&written, io::stdout().lock(), interrupted);
                if outcome.is_err() {
                    set_phase.send_replace(Phase::Abandoning);
                }
                outcome
            }
        })
        .map_err(LoadError::kernel("writer thread"))?;
    let outcome = runtime.block_on(async {
        let watcher = watch_signals(Arc::clone(&set_phase)).map_err(LoadError::kernel("signal handler"))?;
        let watcher = tokio::spawn(watcher);
        let outcome = generate(&plan, rows, &phase).await;
        watcher.abort();
        outcome
    });
    // A thread that panicked has lost rows just as one that could not write them.
    let written = writer
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the writer thread failed")));
    outcome?;
    written.map_err(LoadError::Output)?;
    Ok(*phase.borrow())
}

fn announce() -> io::Result<()> {
    let mut output = io::stdout().lock();
    write_line(&mut output, &LoadMessage::Waiting)?;
    output.flush()
}

/// Ends the sending at the first signal and gives up on what is under way a moment later. Lets signals reach the calling
/// thread, whoever blocked them: a mask is inherited, and `run` has one.
fn watch_signals(phase: Arc<watch::Sender<Phase>>) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let heard: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    heard.thread_unblock()?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        phase.send_if_modified(|phase| {
            let first = *phase == Phase::Sending;
            if first {
                *phase = Phase::Draining;
            }
            first
        });
        tokio::time::sleep(GRACE).await;
        phase.send_replace(Phase::Abandoning);
    })
}

/// Allows as many sockets as the system lets this process have. What is refused shows as connect errors in the rows.
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
