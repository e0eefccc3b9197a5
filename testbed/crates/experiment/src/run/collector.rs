use std::collections::BTreeMap;
use std::path::PathBuf;

use indexmap::IndexMap;

use super::request_row::Resolver;
use crate::error::ExperimentError;
use crate::files::LinesFile;
use crate::load::LoadRow;
use crate::measure::{FlowSecond, Names, SECOND, Sample, Tally};
use crate::observer::{Position, SecondRow};
use dfaas_model::{Cell, Flow};

use crate::summary::FlowSummary;

/// Different error texts kept per flow; what comes after is counted as "other errors".
const ERROR_TEXTS: usize = 20;

/// Takes the rows of a repetition: writes them, remembers them for judgement, and sorts them into live seconds.
pub(super) struct Collector {
    resolver: Resolver,
    file: LinesFile,
    samples: Vec<Sample>,
    errors: BTreeMap<(usize, String), u64>,
    /// Samples of seconds that have not been shown yet.
    fresh: BTreeMap<u64, Vec<Sample>>,
    shown: u64,
}

impl Collector {
    pub(super) fn create(path: PathBuf, resolver: Resolver) -> Result<Collector, ExperimentError> {
        Ok(Collector {
            resolver,
            file: LinesFile::create(path)?,
            samples: Vec::new(),
            errors: BTreeMap::new(),
            fresh: BTreeMap::new(),
            shown: 0,
        })
    }

    /// Takes one row of flow `flow`, counted in the cell.
    pub(super) fn add(&mut self, flow: usize, row: &LoadRow) -> Result<(), ExperimentError> {
        let Some((sample, line)) = self.resolver.resolve(flow, row) else {
            return Ok(());
        };
        self.file.append(&line)?;
        self.samples.push(sample);
        if !row.error.is_empty() {
            self.count_error(flow, &row.error);
        }
        let second = sample.offset / SECOND;
        if second >= self.shown {
            self.fresh.entry(second).or_default().push(sample);
        }
        Ok(())
    }

    fn count_error(&mut self, flow: usize, text: &str) {
        let known = self.errors.keys().filter(|(other, _)| *other == flow).count();
        let mut key = (flow, text.to_owned());
        if known >= ERROR_TEXTS && !self.errors.contains_key(&key) {
            "other errors".clone_into(&mut key.1);
        }
        *self.errors.entry(key).or_default() += 1;
    }

    pub(super) fn flush(&mut self) -> Result<(), ExperimentError> {
        self.file.flush()
    }

    /// The seconds before `until` that have not been shown, in order; rows that come for them later are not shown.
    pub(super) fn seconds(
        &mut self,
        until: u64,
        position: Position,
        cell: &Cell,
        names: &Names,
    ) -> Vec<SecondRow> {
        let seconds = self.shown..until.max(self.shown);
        self.shown = seconds.end;
        seconds
            .map(|second| {
                let samples = self.fresh.remove(&second).unwrap_or_default();
                second_row(second, &samples, position, cell, names)
            })
            .collect()
    }

    /// Everything collected so far.
    pub(super) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Totals per flow.
    pub(super) fn summaries(&self, flows: &[Flow], names: &Names) -> IndexMap<String, FlowSummary> {
        let summary = |(index, flow): (usize, &Flow)| {
            let own = self
                .samples
                .iter()
                .filter(|sample| usize::from(sample.flow) == index);
            let tally = Tally::of(own);
            let errors = self.errors.iter().filter(|((other, _), _)| *other == index);
            let summary = FlowSummary {
                requests: tally.requests,
                rate: tally.requests as f64 / flow.duration.as_secs_f64().max(f64::MIN_POSITIVE),
                success_rate: tally.success_rate().unwrap_or(0.0),
                by_code: tally.by_code.clone(),
                served_by: names.by_node(&tally.served_by),
                forwarded: tally.forwarded,
                not_sent: tally.not_sent,
                errors: errors.map(|((_, text), count)| (text.clone(), *count)).collect(),
                latency_ms: tally.latency_summary(),
            };
            (flow.name.clone(), summary)
        };
        flows.iter().enumerate().map(summary).collect()
    }
}

fn second_row(second: u64, samples: &[Sample], position: Position, cell: &Cell, names: &Names) -> SecondRow {
    let all = Tally::of(samples);
    let flows = names.flows.iter().enumerate().map(|(index, name)| {
        let own = samples.iter().filter(|sample| usize::from(sample.flow) == index);
        (name.clone(), FlowSecond::new(&Tally::of(own), names))
    });
    SecondRow {
        position,
        second,
        duration: cell.duration,
        requests: all.requests,
        served_by: names.by_node(&all.served_by),
        by_code: all.by_code.clone(),
        latency_p95_ms: all.latency_at(0.95),
        flows: flows.collect(),
    }
}
