use std::collections::BTreeMap;

use dfaas_model::Bound;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::measure::LatencySummary;
use crate::sentinel::SentinelSummary;

/// Version of the files in a run directory.
pub const SCHEMA: u32 = 1;

/// The content of `summary.json`: what came of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The scenario file's name without extension.
    pub name: String,
    /// The scenario's title.
    pub title: String,
    /// When the run began, RFC 3339 in UTC.
    pub started: String,
    /// Whether the expectations were met.
    pub verdict: Verdict,
    /// Whether the measurement can be trusted.
    pub validity: Validity,
    /// Why it cannot be trusted fully.
    pub validity_reasons: Vec<String>,
    /// What kept the run from its end; absent when nothing did.
    #[serde(flatten)]
    pub failure: Option<Failure>,
    /// Results per combination of parameters, as far as the run came.
    pub cells: Vec<CellSummary>,
}

/// Whether expectations were met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All of them, in every repetition.
    Pass,
    /// At least one was not.
    Fail,
    /// The run did not come to its end.
    Error,
}

/// Whether a measurement can be trusted; ordered from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    /// Nothing speaks against it.
    Valid,
    /// Usable with the reasons given in mind.
    Degraded,
    /// Not what was asked for.
    Invalid,
}

/// What kept a run from its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What sort of trouble.
    #[serde(rename = "error_kind")]
    pub kind: FailureKind,
    /// One sentence for people, without final period.
    #[serde(rename = "error")]
    pub text: String,
}

/// Sorts of trouble during a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The run is still going on, or its process was killed.
    Unfinished,
    /// The user (or a signal) ended it.
    Interrupted,
    /// A lab did not start.
    Lab,
    /// A load process did not do its work.
    Load,
    /// An event of the scenario could not be carried out.
    Event,
    /// A lab could not be taken down completely.
    CleanUp,
}

/// Results of one combination of parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellSummary {
    /// The combination.
    pub params: IndexMap<String, String>,
    /// Length of the strategy's period, in seconds.
    pub recalc_period: f64,
    /// What the scenario wants to happen meanwhile, in the order of time.
    pub events: Vec<PlannedEvent>,
    /// One per repetition, as far as the run came.
    pub repetitions: Vec<RepetitionSummary>,
}

/// Results of one repetition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepetitionSummary {
    /// Seed of the lab and the load.
    pub seed: u64,
    /// Where its files are, relative to the run directory.
    pub directory: String,
    /// t = 0, RFC 3339 in UTC; absent when the lab did not start.
    pub start: Option<String>,
    /// Whether this repetition met the expectations.
    pub verdict: Verdict,
    /// Whether its measurement can be trusted.
    pub validity: Validity,
    /// Why it cannot be trusted fully.
    pub validity_reasons: Vec<String>,
    /// What was seen of the lab and the machine meanwhile; absent when it did not come to load, and of labs
    /// that cannot be watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<SentinelSummary>,
    /// What kept it from its end; absent when nothing did.
    #[serde(flatten)]
    pub failure: Option<Failure>,
    /// One per expectation of the scenario; none when the repetition did not come to its end.
    pub expectations: Vec<ExpectationResult>,
    /// What was carried out of the scenario's events, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventRecord>,
    /// Totals per flow, warm-up included.
    pub load: IndexMap<String, FlowSummary>,
}

/// How one expectation came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectationResult {
    /// The expectation as a line for tables.
    pub text: String,
    /// What was measured: `rate`, `success_rate`, …
    pub metric: String,
    /// Of which flow.
    pub of: String,
    /// Of what this node served only.
    pub node: Option<String>,
    /// The value, in `unit`; absent when there was nothing to measure.
    pub measured: Option<f64>,
    /// The mean of all repetitions of the cell, in `unit`, where that is judged; absent before the last one has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// `/s`, `%` or `ms`.
    pub unit: String,
    /// What was allowed, in `unit`.
    pub bound: Bound,
    /// Whether what is judged is allowed: the value, or the mean.
    pub pass: bool,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One event of the scenario, or the end of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedEvent {
    /// When it is due, in seconds after t = 0.
    pub at: f64,
    /// What is done, in a few words.
    pub text: String,
}

/// One event as it was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When it was due, in seconds after t = 0.
    pub at: f64,
    /// When it was done, in seconds after t = 0.
    pub achieved: f64,
    /// What was done, in a few words.
    pub text: String,
    /// Why it failed; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Totals of one flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowSummary {
    /// Requests of the flow.
    pub requests: u64,
    /// Requests per second over the flow's duration.
    pub rate: f64,
    /// Successful responses in percent of the requests.
    pub success_rate: f64,
    /// How many ended with which HTTP status; 0 for no response.
    pub by_code: BTreeMap<u16, u64>,
    /// How many each node served successfully.
    pub served_by: BTreeMap<String, u64>,
    /// How many were served by another node than the one they were sent to.
    pub forwarded: u64,
    /// How many the generator did not send.
    pub not_sent: u64,
    /// The most frequent reasons for getting no response, with how often each occurred.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// Latencies in milliseconds; absent when nothing was sent.
    pub latency_ms: Option<LatencySummary>,
}

impl Verdict {
    /// The word used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Error => "error",
        }
    }
}

impl Validity {
    /// The word used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Validity::Valid => "valid",
            Validity::Degraded => "degraded",
            Validity::Invalid => "invalid",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl std::fmt::Display for Validity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}
