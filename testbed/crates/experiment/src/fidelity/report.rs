//! `fidelity.json`.

use serde::{Deserialize, Serialize};

/// Version of the file.
pub(super) const SCHEMA: u32 = 1;

/// What came of a verification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// Version of this file, 1.
    pub schema: u32,
    /// Name of the lab.
    pub lab: String,
    /// When it was measured, RFC 3339 in UTC.
    pub measured: String,
    /// Whether every judged parameter of every link is as asked.
    pub good: bool,
    /// One per link, in the order of the topology.
    pub links: Vec<LinkReport>,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// Its name.
    pub link: String,
    /// `tc` or `wire`.
    pub backend: String,
    /// Why it was not measured; absent when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Both ways; none if it was not measured.
    pub directions: Vec<DirectionReport>,
}

/// One direction of a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DirectionReport {
    /// Node that sends.
    pub from: String,
    /// Node that receives.
    pub to: String,
    /// Probes that were sent.
    pub probes: u32,
    /// What was measured.
    pub parameters: Vec<ParameterReport>,
}

/// One parameter of one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParameterReport {
    /// `delay`, `delay-p99`, `jitter`, `loss`, `rate`, `mtu`, or the key of one that is not measured.
    pub name: String,
    /// `ms`, `%`, `Mbit/s` or `bytes`; empty for what is not measured.
    pub unit: String,
    /// What was asked; absent where nothing was.
    pub asked: Option<f64>,
    /// What was measured.
    pub measured: Option<f64>,
    /// Lower end of the confidence interval (95 %; 99 % for loss).
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// Whether it is as asked.
    pub verdict: ParameterVerdict,
    /// What a reader should know.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Whether a parameter is as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterVerdict {
    /// Within the tolerance.
    Good,
    /// Not.
    Off,
    /// Measured or not, it cannot be said.
    NotJudged,
}
