use std::path::PathBuf;

use dfaas_model::{Cell, Repetition as Planned};
use tokio::sync::watch;

use super::RunOptions;
use super::drive::{Driven, Setting, drive, interrupted, stopped};
use crate::error::ExperimentError;
use crate::expectation::evaluate;
use crate::factory::{LabFactory, RunningLab};
use crate::files::{copy_tree, create_directory, write_json};
use crate::measure::{Names, Series, assess};
use crate::observer::{Observer, Position};
use crate::sentinel::SentinelSummary;
use crate::summary::{ExpectationResult, Failure, FailureKind, RepetitionSummary, Validity, Verdict};

/// One repetition of one cell: a fresh lab, the load, the judgement.
pub(super) struct Repetition<'a> {
    cell: &'a Cell,
    planned: &'a Planned,
    position: Position,
    names: Names,
    factory: &'a dyn LabFactory,
    observer: &'a dyn Observer,
    stop: watch::Receiver<bool>,
    directory: PathBuf,
    /// The directory, relative to the run directory.
    place: String,
}

/// What came of a repetition, and whether its lab is gone.
pub(super) type Outcome = (RepetitionSummary, Result<(), ExperimentError>);

impl<'a> Repetition<'a> {
    /// Makes the repetition's directory.
    pub(super) fn new(
        cell: &'a Cell,
        planned: &'a Planned,
        position: Position,
        factory: &'a dyn LabFactory,
        options: &RunOptions,
        observer: &'a dyn Observer,
    ) -> Result<Repetition<'a>, ExperimentError> {
        let place = format!("cells/{}/{}", position.cell, position.repetition);
        let directory = options.out.join(&place);
        create_directory(&directory)?;
        let names = Names {
            flows: cell.flows.iter().map(|flow| flow.name.clone()).collect(),
            nodes: planned.topology.nodes.keys().cloned().collect(),
        };
        let stop = options.stop.clone();
        Ok(Repetition {
            cell,
            planned,
            position,
            names,
            factory,
            observer,
            stop,
            directory,
            place,
        })
    }

    /// Runs it. An error means that results could not be written; the lab is stopped in every case.
    pub(super) async fn run(mut self) -> Result<Outcome, ExperimentError> {
        self.observer
            .repetition_started(self.position, &self.cell.params, self.planned.seed);
        let (driven, clean_up) = match self.start_lab().await {
            Ok(lab) => {
                let driven = self.use_lab(&lab).await;
                let clean_up = self.stop_lab(&lab.name).await;
                if let (Err(_), Err(error)) = (&driven, &clean_up) {
                    // Only one of the two can be returned; the other must not get lost.
                    tracing::error!("{error}");
                }
                (driven?, clean_up)
            }
            Err((failure, clean_up)) => (
                Driven {
                    failure: Some(failure),
                    ..Driven::default()
                },
                clean_up,
            ),
        };
        let summary = self.judge(driven)?;
        self.observer.repetition_finished(self.position, &summary);
        Ok((summary, clean_up))
    }

    async fn start_lab(&mut self) -> Result<RunningLab, (Failure, Result<(), ExperimentError>)> {
        // Not begun, so nothing to stop: a lab of this name would be somebody else's.
        if *self.stop.borrow() {
            return Err((interrupted(), Ok(())));
        }
        let started = tokio::select! {
            () = stopped(&mut self.stop) => None,
            started = self.factory.start(&self.planned.topology) => Some(started),
        };
        match started {
            Some(Ok(lab)) => Ok(lab),
            Some(Err(reason)) => {
                let text = format!("lab `{}` did not start: {reason}", self.planned.topology.name);
                Err((
                    Failure {
                        kind: FailureKind::Lab,
                        text,
                    },
                    Ok(()),
                ))
            }
            None => Err((interrupted(), self.stop_lab(&self.planned.topology.name).await)),
        }
    }

    async fn stop_lab(&self, lab: &str) -> Result<(), ExperimentError> {
        self.factory
            .stop(lab)
            .await
            .map_err(|reason| ExperimentError::CleanUp {
                lab: lab.to_owned(),
                reason,
            })
    }

    async fn use_lab(&self, lab: &RunningLab) -> Result<Driven, ExperimentError> {
        write_json(&self.directory.join("lab.json"), &lab.detail)?;
        let setting = Setting {
            cell: self.cell,
            names: &self.names,
            position: self.position,
            seed: self.planned.seed,
            factory: self.factory,
            observer: self.observer,
            lab,
        };
        let driven = drive(setting, self.directory.join("requests.jsonl"), self.stop.clone()).await?;
        copy_tree(&lab.log_directory, &self.directory.join("logs"))?;
        Ok(driven)
    }

    fn judge(&self, driven: Driven) -> Result<RepetitionSummary, ExperimentError> {
        let samples = driven
            .collector
            .as_ref()
            .map_or(&[][..], |collector| collector.samples());
        let complete = driven.failure.is_none();
        let expectations: Vec<ExpectationResult> = self
            .cell
            .expectations
            .iter()
            .filter(|_| complete)
            .map(|one| evaluate(one, &self.cell.flows, self.cell.warmup, samples, &self.names))
            .collect();
        // What is about the mean of all repetitions is judged after the last one.
        let judged = self.cell.expectations.iter().zip(&expectations);
        let met = judged
            .filter(|(asked, _)| !asked.of_mean)
            .all(|(_, one)| one.pass);
        let verdict = match (complete, met) {
            (false, _) => Verdict::Error,
            (true, true) => Verdict::Pass,
            (true, false) => Verdict::Fail,
        };
        let doubts = assess(samples, &self.names)
            .into_iter()
            .map(|reason| (Validity::Degraded, reason));
        let seen = driven.sentinel.iter().flat_map(SentinelSummary::reasons);
        let doubts: Vec<(Validity, String)> = doubts.chain(seen).collect();
        let validity = doubts
            .iter()
            .map(|(validity, _)| *validity)
            .max()
            .unwrap_or(Validity::Valid);
        if driven.collector.is_some() {
            let seconds = u64::try_from(self.cell.duration.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
            let seconds = if complete { seconds } else { 0 };
            write_json(
                &self.directory.join("series.json"),
                &Series::new(samples, seconds, &self.names),
            )?;
        }
        let load = driven
            .collector
            .as_ref()
            .map(|one| one.summaries(&self.cell.flows, &self.names));
        Ok(RepetitionSummary {
            seed: self.planned.seed,
            directory: self.place.clone(),
            start: driven.start.map(|start| start.to_string()),
            verdict,
            validity,
            validity_reasons: doubts.into_iter().map(|(_, reason)| reason).collect(),
            sentinel: driven.sentinel,
            failure: driven.failure,
            expectations,
            events: driven.events,
            load: load.unwrap_or_default(),
        })
    }
}
