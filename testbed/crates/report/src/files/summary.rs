use indexmap::IndexMap;
use serde::Deserialize;

use crate::run::{Event, Expectation, Validity, Verdict};

/// `summary.json`. Loads are not read from it: the report counts requests itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    pub(super) schema: u64,
    pub(super) verdict: Option<Verdict>,
    pub(super) validity: Option<Validity>,
    pub(super) validity_reasons: Vec<String>,
    /// What kept the run from its end.
    pub(super) error: Option<String>,
    pub(super) cells: Vec<CellSummary>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CellSummary {
    pub(super) params: IndexMap<String, String>,
    /// Seconds.
    pub(super) recalc_period: Option<f64>,
    pub(super) events: Vec<Event>,
    pub(super) repetitions: Vec<RepetitionSummary>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RepetitionSummary {
    pub(super) seed: Option<u64>,
    /// Its folder, relative to the run directory.
    pub(super) directory: Option<String>,
    pub(super) error: Option<String>,
    pub(super) validity_reasons: Vec<String>,
    pub(super) events: Vec<EventRecord>,
    pub(super) expectations: Vec<Expectation>,
}

/// One event as it was carried out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EventRecord {
    /// Seconds after t = 0 at which it was due.
    pub(super) at: f64,
    pub(super) text: String,
    /// Why it failed.
    pub(super) error: Option<String>,
}
