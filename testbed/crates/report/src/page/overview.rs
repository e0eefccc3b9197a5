use super::format::{estimate_text, milliseconds, percent, rate_text};
use crate::measure::{Estimate, flow_totals, percentile_ms};
use crate::run::{Cell, Repetition, Run};

/// Cells against each other.
#[derive(Debug, Clone)]
pub(super) struct Overview {
    pub(super) rows: Vec<Row>,
    /// True when a cell has several repetitions and so an interval.
    pub(super) repeated: bool,
}

/// One cell.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) anchor: String,
    pub(super) heading: String,
    pub(super) held: String,
    pub(super) pass: bool,
    pub(super) sent: String,
    pub(super) served: String,
    pub(super) success: String,
    pub(super) p50: String,
    pub(super) p95: String,
}

/// The table that compares cells, or repetitions with an interval; none for a single repetition.
pub(super) fn overview(run: &Run) -> Option<Overview> {
    let repeated = run.cells.iter().any(|cell| cell.repetitions.len() > 1);
    (run.cells.len() > 1 || repeated).then(|| Overview {
        rows: run
            .cells
            .iter()
            .enumerate()
            .map(|(index, cell)| row(run, index, cell))
            .collect(),
        repeated,
    })
}

fn row(run: &Run, index: usize, cell: &Cell) -> Row {
    let expectations = || {
        cell.repetitions
            .iter()
            .flat_map(|repetition| &repetition.expectations)
    };
    let held = expectations().filter(|expectation| expectation.pass).count();
    let all = expectations().count();
    let estimate = |measure: &dyn Fn(&Repetition) -> Option<f64>, show: fn(f64) -> String| {
        let values: Vec<f64> = cell.repetitions.iter().filter_map(measure).collect();
        Estimate::of(&values).map_or_else(|| "–".to_owned(), |estimate| estimate_text(&estimate, show))
    };
    let totals = |repetition: &Repetition| {
        let flows = flow_totals(&run.names, &[&repetition.traffic]);
        let requests: u64 = flows.iter().map(|flow| flow.requests).sum();
        let succeeded: u64 = flows.iter().map(|flow| flow.succeeded).sum();
        let rate: f64 = flows.iter().map(|flow| flow.rate).sum();
        (requests > 0).then(|| (rate, succeeded as f64 / requests as f64))
    };
    let latency = |repetition: &Repetition, share: f64| {
        let traffic = &repetition.traffic;
        percentile_ms(
            &traffic.latencies(|key| run.names.outcome(key.outcome).is_success()),
            share,
        )
    };
    Row {
        anchor: super::cell::anchor(index),
        heading: super::cell::heading(run, index),
        held: if all > 0 {
            format!("{held} of {all}")
        } else {
            "–".to_owned()
        },
        pass: held == all,
        sent: estimate(&|repetition| totals(repetition).map(|total| total.0), rate_text),
        served: estimate(
            &|repetition| totals(repetition).map(|total| total.0 * total.1),
            rate_text,
        ),
        success: estimate(&|repetition| totals(repetition).map(|total| total.1), percent),
        p50: estimate(&|repetition| latency(repetition, 0.5), milliseconds),
        p95: estimate(&|repetition| latency(repetition, 0.95), milliseconds),
    }
}
