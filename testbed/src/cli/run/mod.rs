//! Carrying a scenario out.

pub(crate) mod factory;
mod outcome;
mod screen;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use dfaas_experiment::{ExperimentError, FailureKind, RunOptions, Summary, Validity, Verdict};
use dfaas_model::Experiment;
use tokio::sync::watch;

use super::up::interrupt_flag;
use super::{Overrides, print, print_json};
use crate::error::CliError;
use crate::files;
use factory::Labs;
use screen::Screen;

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// A scenario file
    scenario: String,
    /// Where the results go; must be empty [default: a new directory below runs/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Print summary.json instead of tables
    #[arg(long)]
    json: bool,
    /// Exit with 1 unless every repetition is VALID
    #[arg(long)]
    require_valid: bool,
}

pub(crate) fn run(arguments: &RunArguments) -> Result<u8, CliError> {
    let experiment = files::scenario(&arguments.scenario, &arguments.overrides.set)?;
    let interrupted = interrupt_flag()?;
    let now = jiff::Timestamp::now();
    let out = dfaas_experiment::prepare_run_directory(
        arguments.out.as_deref(),
        Path::new("runs"),
        &experiment.name,
        now,
    )
    .map_err(experiment_error)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(CliError::failed)?;
    let (stop, stopped) = watch::channel(false);
    runtime.spawn(async move {
        while !interrupted.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.send_replace(true);
    });
    let summary = runtime.block_on(carry_out(&experiment, &out, stopped, arguments.json))?;
    // Written in any case: an interrupted run has a report too.
    let written = dfaas_report::write(&out).map_err(CliError::failed)?;
    if arguments.json {
        print_json(&summary)?;
    } else {
        print(&outcome::text(&out, &summary, &written.html)?)?;
    }
    match &summary.failure {
        Some(failure) if failure.kind == FailureKind::Interrupted => Err(CliError::silent(130)),
        Some(failure) => Err(CliError::failed(&failure.text)),
        None if arguments.require_valid && summary.validity != Validity::Valid => Ok(1),
        None if summary.verdict == Verdict::Pass => Ok(0),
        None => Ok(1),
    }
}

async fn carry_out(
    experiment: &Experiment,
    out: &Path,
    stop: watch::Receiver<bool>,
    quiet: bool,
) -> Result<Summary, CliError> {
    let screen = Arc::new(Screen::new(experiment, quiet));
    screen.title(experiment);
    let shown = Arc::clone(&screen);
    let labs = Labs::new(move |milestone| shown.lab_progress(milestone));
    let options = RunOptions {
        out: out.to_owned(),
        stop,
        command: std::env::args_os()
            .map(|it| it.to_string_lossy().into_owned())
            .collect(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let summary = dfaas_experiment::run(experiment, &labs, options, screen.as_ref()).await;
    screen.finish();
    summary.map_err(experiment_error)
}

fn experiment_error(error: ExperimentError) -> CliError {
    let mut cli_error = CliError::failed(&error);
    cli_error.exit_code = match error {
        ExperimentError::NotEmpty { .. } | ExperimentError::Event { .. } | ExperimentError::Flow(_) => 2,
        ExperimentError::CleanUp { .. } => 4,
        _ => 5,
    };
    cli_error
}
