use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use dfaas_control::Happening;
use dfaas_model::TimeSpan;

use super::{LabChoice, block_on, print};
use crate::error::CliError;

/// Prints one line of JSON per event, as it happens, until the lab stops or Ctrl-C: states of the lab, its nodes and
/// their services, changes of links and limits, partitions, warnings, and each second which links dropped how many
/// packets.
#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// Begin with what has happened already, as far as it is kept (4096 events)
    #[arg(short, long)]
    all: bool,
    /// End when the events that `--all` begins with are printed
    #[arg(long, requires = "all")]
    no_follow: bool,
}

pub(crate) fn run(arguments: &EventsArguments) -> Result<u8, CliError> {
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    block_on(async {
        let mut events = client.events(arguments.all.then_some(0)).await?;
        let mut over = false;
        loop {
            let next = events.next();
            // What is kept comes at once; a pause is its end.
            let event = match arguments.no_follow {
                false => next.await,
                true => match tokio::time::timeout(Duration::from_millis(500), next).await {
                    Ok(event) => event,
                    Err(_) => return Ok(0),
                },
            };
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(0),
                // The supervisor ends right after its last word.
                Err(_) if over => return Ok(0),
                Err(error) => return Err(error.into()),
            };
            over = matches!(
                event.what,
                Happening::Lab {
                    state: dfaas_control::LabState::Stopping
                }
            );
            let mut line = serde_json::to_vec(&event).map_err(CliError::failed)?;
            line.push(b'\n');
            let mut stdout = std::io::stdout().lock();
            if let Err(error) = stdout.write_all(&line).and_then(|()| stdout.flush()) {
                return match error.kind() {
                    std::io::ErrorKind::BrokenPipe => Ok(0), // `| head`
                    _ => Err(CliError::failed(error)),
                };
            }
        }
    })?
}

/// Waits for a lab that is being started, also by somebody else, or for nodes that were started again.
#[derive(Debug, Args)]
pub(crate) struct WaitArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// Until the lab is up, every function of its running nodes has answered, and their agents know each other
    #[arg(long, required = true)]
    ready: bool,
    /// Give up after this time
    #[arg(long, value_name = "TIME", default_value = "120s")]
    timeout: TimeSpan,
}

/// Between two looks for a lab that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(crate) fn run_wait(arguments: &WaitArguments) -> Result<u8, CliError> {
    let deadline = Instant::now() + arguments.timeout.0;
    let left = || deadline.saturating_duration_since(Instant::now());
    loop {
        let name = arguments.lab.lab.as_deref();
        let refused = match dfaas_lab::connect(name) {
            Ok((_, client)) => match block_on(client.wait_ready(left().as_secs_f64()))? {
                Ok(agents) => {
                    let what = if agents == 0 {
                        String::new()
                    } else {
                        format!("; agents: {agents}")
                    };
                    print(&format!("ready{what}\n"))?;
                    return Ok(0);
                }
                // It has no control socket yet, or it ended while we waited.
                Err(
                    error @ (dfaas_control::ControlError::Connect { .. }
                    | dfaas_control::ControlError::Broken { .. }),
                ) => CliError::from(error),
                Err(error) => return Err(error.into()),
            },
            Err(error @ (dfaas_lab::LabError::NoLab | dfaas_lab::LabError::NoSuchLab(_))) => {
                CliError::from(error)
            }
            Err(error) => return Err(error.into()),
        };
        if left().is_zero() {
            return Err(refused);
        }
        std::thread::sleep(LOOK_AGAIN.min(left()));
    }
}
