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
    pub(super) reasons: Vec<String>,
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
    pub(super) error: Option<String>,
    pub(super) expectations: Vec<Expectation>,
}
