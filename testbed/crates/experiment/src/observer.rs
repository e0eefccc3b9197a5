use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;

use crate::measure::FlowSecond;
use crate::summary::RepetitionSummary;

/// Which repetition of which cell is meant; both count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Index of the cell.
    pub cell: usize,
    /// Number of cells.
    pub cells: usize,
    /// Index of the repetition in its cell.
    pub repetition: usize,
    /// Number of repetitions of this cell.
    pub repetitions: usize,
}

/// One second of a running repetition, as far as answers have come in a moment after its end. Answers that take
/// longer are missing here; the results have them all.
#[derive(Debug, Clone, PartialEq)]
pub struct SecondRow {
    /// Where in the experiment.
    pub position: Position,
    /// The second lies `second` to `second + 1` after t = 0.
    pub second: u64,
    /// How long the whole cell lasts.
    pub duration: Duration,
    /// Requests that ended so far, of those meant for this second.
    pub requests: u64,
    /// How many of them each node served successfully.
    pub served_by: BTreeMap<String, u64>,
    /// How many of them ended with which HTTP status; 0 for no response.
    pub by_code: BTreeMap<u16, u64>,
    /// 95th percentile of their latencies in milliseconds.
    pub latency_p95_ms: Option<f64>,
    /// The same per flow.
    pub flows: BTreeMap<String, FlowSecond>,
}

/// Is told how an experiment proceeds. Calls come in order from one task and should return quickly.
pub trait Observer: Send + Sync {
    /// A repetition begins: its lab is being started.
    fn repetition_started(&self, position: Position, params: &IndexMap<String, String>, seed: u64) {
        let _ = (position, params, seed);
    }

    /// The lab is ready; load begins at `start`.
    fn lab_ready(&self, position: Position, lab: &str, start: Timestamp) {
        let _ = (position, lab, start);
    }

    /// A second has passed.
    fn second(&self, row: &SecondRow) {
        let _ = row;
    }

    /// An event of the scenario has been carried out, `achieved` after t = 0, or could not be (`outcome`).
    fn event(&self, position: Position, what: &str, achieved: Duration, outcome: &Result<(), String>) {
        let _ = (position, what, achieved, outcome);
    }

    /// A repetition has ended and is judged; its lab is down.
    fn repetition_finished(&self, position: Position, summary: &RepetitionSummary) {
        let _ = (position, summary);
    }
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}
