//! Runs an experiment: every repetition of every cell on a fresh lab.

mod clients;
mod collector;
mod drive;
mod events;
mod load_plan;
mod repetition;
mod request_row;
mod start_time;

use std::path::PathBuf;

use dfaas_model::{Cell, Experiment};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::description::Description;
use crate::error::ExperimentError;
use crate::expectation::judge_means;
use crate::factory::LabFactory;
use crate::files::{create_directory, write_json, write_text};
use crate::observer::{Observer, Position};
use crate::summary::{
    CellSummary, Failure, FailureKind, RepetitionSummary, SCHEMA, Summary, Validity, Verdict,
};
use repetition::Repetition;

/// How to run an experiment.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The run directory, as [`prepare_run_directory`](crate::prepare_run_directory) made it.
    pub out: PathBuf,
    /// Becomes true when the user wants the run to end; it then ends in good order, with what there is.
    pub stop: watch::Receiver<bool>,
    /// The command line, for the record.
    pub command: Vec<String>,
    /// Version of the program, for the record.
    pub tool_version: String,
}

/// Runs an experiment and writes its run directory.
///
/// Whatever happens, a lab that was started is stopped. The first repetition that does not come to its end ends the
/// run: the summary then has verdict `error` and says why in `failure`.
///
/// # Errors
/// What keeps an experiment from starting (an event that cannot be done, a flow that HTTP cannot carry), what the
/// file system refuses (a full disk is its own variant), and a lab that could not be taken down completely.
pub async fn run(
    experiment: &Experiment,
    factory: &dyn LabFactory,
    options: RunOptions,
    observer: &dyn Observer,
) -> Result<Summary, ExperimentError> {
    check(experiment, factory)?;
    let reference = read_reference(experiment)?;
    if options.out.join("run.json").exists() {
        return Err(ExperimentError::NotEmpty { path: options.out });
    }
    let started = Timestamp::now();
    write_sources(experiment, reference.as_deref(), &options)?;
    Description::new(experiment, started, &options).write(&options.out)?;
    let mut summary = unfinished(experiment, started);
    let ended = run_cells(experiment, factory, &options, observer, &mut summary).await?;
    let (failure, clean_up) = match ended {
        Ended::Complete => (None, Ok(())),
        Ended::Early(failure) => (Some(failure), Ok(())),
        Ended::Unclean(error) => (
            Some(Failure {
                kind: FailureKind::CleanUp,
                text: error.to_string(),
            }),
            Err(error),
        ),
    };
    conclude(&mut summary, failure);
    write_summary(&summary, &options)?;
    clean_up.map(|()| summary)
}

/// How a run came to its end.
enum Ended {
    Complete,
    Early(Failure),
    Unclean(ExperimentError),
}

async fn run_cells(
    experiment: &Experiment,
    factory: &dyn LabFactory,
    options: &RunOptions,
    observer: &dyn Observer,
    summary: &mut Summary,
) -> Result<Ended, ExperimentError> {
    let cells = experiment.cells.len();
    for (index, cell) in experiment.cells.iter().enumerate() {
        summary.cells.push(CellSummary {
            params: cell.params.clone(),
            recalc_period: cell.recalc_period.as_secs_f64(),
            events: events::planned(&cell.events),
            repetitions: Vec::new(),
        });
        for (number, planned) in cell.repetitions.iter().enumerate() {
            write_summary(summary, options)?;
            let position = Position {
                cell: index,
                cells,
                repetition: number,
                repetitions: cell.repetitions.len(),
            };
            let repetition = Repetition::new(cell, planned, position, factory, options, observer)?;
            let (result, clean_up) = repetition.run().await?;
            let failure = result.failure.clone();
            summary.cells[index].repetitions.push(result);
            match (clean_up, failure) {
                (Err(error), _) => return Ok(Ended::Unclean(error)),
                (Ok(()), Some(failure)) => return Ok(Ended::Early(failure)),
                (Ok(()), None) => {}
            }
        }
        conclude_cell(cell, &mut summary.cells[index].repetitions);
    }
    Ok(Ended::Complete)
}

/// Judges what is about all repetitions of a cell together.
fn conclude_cell(cell: &Cell, repetitions: &mut [RepetitionSummary]) {
    let results = repetitions.iter_mut().map(|one| &mut one.expectations);
    judge_means(&cell.expectations, &mut results.collect::<Vec<_>>());
    for repetition in repetitions {
        let met = repetition.expectations.iter().all(|one| one.pass);
        if repetition.verdict == Verdict::Pass && !met {
            repetition.verdict = Verdict::Fail;
        }
    }
}

/// Finds what would keep the run from its end before anything is started.
fn check(experiment: &Experiment, factory: &dyn LabFactory) -> Result<(), ExperimentError> {
    for cell in &experiment.cells {
        load_plan::check(&cell.flows)?;
        for planned in &cell.repetitions {
            for event in &cell.events {
                factory
                    .supports(&planned.topology, event)
                    .map_err(|reason| ExperimentError::Event {
                        at: event.at.as_secs_f64(),
                        reason,
                    })?;
            }
        }
    }
    Ok(())
}

fn read_reference(experiment: &Experiment) -> Result<Option<String>, ExperimentError> {
    let Some(path) = &experiment.reference else {
        return Ok(None);
    };
    std::fs::read_to_string(path)
        .map(Some)
        .map_err(|source| ExperimentError::Reference {
            path: PathBuf::from(path),
            source,
        })
}

fn write_sources(
    experiment: &Experiment,
    reference: Option<&str>,
    options: &RunOptions,
) -> Result<(), ExperimentError> {
    let sources = options.out.join("sources");
    create_directory(&sources)?;
    for (name, text) in &experiment.sources {
        write_text(&sources.join(crate::directory::file_name(name)), text)?;
    }
    match reference {
        Some(text) => write_text(&options.out.join("reference.csv"), text),
        None => Ok(()),
    }
}

/// The summary of a run of which nothing is known yet; it stays on disk should the process be killed.
fn unfinished(experiment: &Experiment, started: Timestamp) -> Summary {
    Summary {
        schema: SCHEMA,
        name: experiment.name.clone(),
        title: experiment.title.clone(),
        started: started.to_string(),
        verdict: Verdict::Error,
        validity: Validity::Valid,
        validity_reasons: Vec::new(),
        failure: Some(Failure {
            kind: FailureKind::Unfinished,
            text: "the run has not come to its end".to_owned(),
        }),
        cells: Vec::new(),
    }
}

/// Sums the repetitions up; `failure` is what ended the run before its end.
fn conclude(summary: &mut Summary, failure: Option<Failure>) {
    let repetitions = || summary.cells.iter().flat_map(|cell| &cell.repetitions);
    let verdict = if failure.is_some() || repetitions().any(|one| one.verdict == Verdict::Error) {
        Verdict::Error
    } else if repetitions().any(|one| one.verdict == Verdict::Fail) {
        Verdict::Fail
    } else {
        Verdict::Pass
    };
    let validity = repetitions()
        .map(|one| one.validity)
        .max()
        .unwrap_or(Validity::Valid);
    let reasons = repetitions().flat_map(reasons_with_place).collect();
    summary.verdict = verdict;
    summary.validity = validity;
    summary.validity_reasons = reasons;
    summary.failure = failure;
}

fn reasons_with_place(repetition: &RepetitionSummary) -> impl Iterator<Item = String> + '_ {
    repetition
        .validity_reasons
        .iter()
        .map(|reason| format!("{}: {reason}", repetition.directory))
}

fn write_summary(summary: &Summary, options: &RunOptions) -> Result<(), ExperimentError> {
    write_json(&options.out.join("summary.json"), summary)
}
