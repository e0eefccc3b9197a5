//! A run as it was read back from its directory.

use indexmap::IndexMap;
use serde::Deserialize;

use crate::files::{Lab, ReferenceValue};
use crate::measure::Traffic;

/// Everything a run directory says.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Who ran what, where and when (`run.json`); absent when the file is missing or half-written.
    pub info: Option<RunInfo>,
    /// Pass, fail, error, or none when the run did not get as far as a verdict.
    pub verdict: Option<Verdict>,
    /// Whether the links and the load generator did what was asked.
    pub validity: Option<Validity>,
    /// Why the run is not simply valid, and what stopped it.
    pub reasons: Vec<String>,
    /// One per combination of matrix parameters.
    pub cells: Vec<Cell>,
    /// Published values to compare with.
    pub reference: Vec<ReferenceValue>,
    /// What was missing or cut short in the directory, as sentences.
    pub notes: Vec<String>,
    /// Names of flows and outcomes; [`Traffic`] refers to them by position.
    pub names: Names,
    /// Files of the run directory worth a link, relative to it.
    pub files: Vec<String>,
}

/// `run.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RunInfo {
    /// Version of the format.
    pub schema: u64,
    /// File stem of the scenario.
    pub name: String,
    /// Title of the scenario.
    pub title: String,
    /// Start, RFC 3339 in UTC.
    pub started: String,
    /// Version of the program that ran it.
    pub tool_version: String,
    /// Kernel release.
    pub kernel: String,
    /// Processors of the machine.
    pub cpus: Option<u64>,
    /// Memory of the machine, bytes.
    pub memory_bytes: Option<u64>,
    /// Seed of the whole run.
    pub seed: Option<u64>,
    /// The command line that started it.
    pub command: Vec<String>,
    /// File with published values, relative to the run directory.
    pub reference: Option<String>,
}

/// Result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every expectation held.
    Pass,
    /// At least one expectation did not hold.
    Fail,
    /// The run could not be carried out.
    Error,
}

impl Verdict {
    /// In capitals, as people say it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Error => "ERROR",
        }
    }
}

/// How far the emulation itself can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    /// Links and load did what was asked.
    Valid,
    /// Some did not, slightly.
    Degraded,
    /// Results say nothing about what was asked.
    Invalid,
}

impl Validity {
    /// In capitals, as people say it.
    pub fn word(self) -> &'static str {
        match self {
            Validity::Valid => "VALID",
            Validity::Degraded => "DEGRADED",
            Validity::Invalid => "INVALID",
        }
    }
}

/// One combination of matrix parameters.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// Parameter values; empty when the scenario has no parameters.
    pub parameters: IndexMap<String, String>,
    /// Length of the strategy's period, seconds.
    pub recalc_period: Option<f64>,
    /// What was done to the lab, in time order.
    pub events: Vec<Event>,
    /// Executions of this cell.
    pub repetitions: Vec<Repetition>,
}

/// Something done to the lab while load ran.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Event {
    /// Seconds since t = 0.
    pub at: f64,
    /// What was done.
    pub text: String,
}

/// One execution of a cell.
#[derive(Debug, Clone, Default)]
pub struct Repetition {
    /// Its folder, relative to the run directory; none when there is no such folder.
    pub directory: Option<String>,
    /// Its own seed.
    pub seed: Option<u64>,
    /// What was expected and what was measured.
    pub expectations: Vec<Expectation>,
    /// What kept this repetition from its end, and events that could not be carried out.
    pub errors: Vec<String>,
    /// The requests, per second.
    pub traffic: Traffic,
    /// The lab when it was ready.
    pub lab: Option<Lab>,
}

/// One expectation and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Expectation {
    /// As written in the scenario.
    pub text: String,
    /// Name of the metric.
    pub metric: String,
    /// Flow it is about.
    pub of: String,
    /// Node it is about.
    pub node: Option<String>,
    /// Measured value in the metric's unit; none when nothing could be measured.
    pub measured: Option<f64>,
    /// Unit of `measured`, where the file gives one.
    pub unit: Option<String>,
    /// Why there is no measured value.
    pub reason: Option<String>,
    /// Whether it held.
    pub pass: bool,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Answered with success (a status from 200 to 399) by the node of this name.
    Served(String),
    /// Answered with success by a node that did not name itself.
    ServedByUnknown,
    /// Answered with another status.
    Status(u16),
    /// Not answered at all: time-out, refused, broken connection.
    NoAnswer,
}

impl Outcome {
    /// Classifies one answer. `code` 0 means that there was none. Success is 200 to 399, as vegeta counts it and as
    /// expectations are judged.
    pub fn of(code: u16, served_by: Option<&str>) -> Outcome {
        match (code, served_by) {
            (0, _) => Outcome::NoAnswer,
            (200..=399, Some(node)) => Outcome::Served(node.to_owned()),
            (200..=399, None) => Outcome::ServedByUnknown,
            (status, _) => Outcome::Status(status),
        }
    }

    /// True for every answer with success.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Served(_) | Outcome::ServedByUnknown)
    }

    /// Short name for tables and charts.
    pub fn label(&self) -> String {
        match self {
            Outcome::Served(node) => node.clone(),
            Outcome::ServedByUnknown => "unnamed node".to_owned(),
            Outcome::Status(code) => code.to_string(),
            Outcome::NoAnswer => "no answer".to_owned(),
        }
    }
}

/// Position of an outcome in [`Names::outcomes`].
pub type OutcomeId = u16;
/// Position of a flow in [`Names::flows`].
pub type FlowId = u16;

/// Names seen in the whole run, so that a node has one colour in every figure.
#[derive(Debug, Clone, Default)]
pub struct Names {
    flows: Vec<String>,
    outcomes: Vec<Outcome>,
}

impl Names {
    /// Flows in the order in which they were first seen.
    pub fn flows(&self) -> &[String] {
        &self.flows
    }

    /// Outcomes in the order in which they were first seen; see [`Names::ordered`] for the order to show.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The outcome at a position.
    pub fn outcome(&self, id: OutcomeId) -> &Outcome {
        self.outcomes.get(usize::from(id)).unwrap_or(&Outcome::NoAnswer)
    }

    /// The flow at a position.
    pub fn flow(&self, id: FlowId) -> &str {
        self.flows.get(usize::from(id)).map_or("", String::as_str)
    }

    /// Positions of all outcomes: nodes in natural order (`n2` before `n10`), statuses, then those without answer.
    pub fn ordered(&self) -> Vec<OutcomeId> {
        let mut ids: Vec<OutcomeId> = (0..self.outcomes.len()).map(|index| index as OutcomeId).collect();
        ids.sort_by(|a, b| match (self.outcome(*a), self.outcome(*b)) {
            (Outcome::Served(a), Outcome::Served(b)) => natural_order(a, b),
            (a, b) => a.cmp(b),
        });
        ids
    }

    pub(crate) fn flow_id(&mut self, name: &str) -> Option<FlowId> {
        intern(&mut self.flows, |known| known == name, || name.to_owned())
    }

    pub(crate) fn outcome_id(&mut self, outcome: &Outcome) -> Option<OutcomeId> {
        intern(&mut self.outcomes, |known| known == outcome, || outcome.clone())
    }
}

/// Position of the item, which is added when it is new; none when 65,535 others came before.
fn intern<T>(items: &mut Vec<T>, same: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> Option<u16> {
    if let Some(index) = items.iter().position(same) {
        return u16::try_from(index).ok();
    }
    let index = u16::try_from(items.len()).ok()?;
    items.push(make());
    Some(index)
}

/// Compares names so that runs of digits count as numbers: `n2` comes before `n10`.
pub fn natural_order(a: &str, b: &str) -> std::cmp::Ordering {
    let key = |text: &str| {
        let mut parts: Vec<(String, u128)> = vec![(String::new(), 0)];
        let mut in_number = false;
        for character in text.chars() {
            let digit = character.to_digit(10);
            if in_number && digit.is_none() {
                parts.push((String::new(), 0));
            }
            in_number = digit.is_some();
            if let Some(last) = parts.last_mut() {
                match digit {
                    Some(digit) => last.1 = last.1.saturating_mul(10).saturating_add(u128::from(digit)),
                    None => last.0.push(character),
                }
            }
        }
        parts
    };
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_count_as_numbers_in_names() {
        let mut names = vec!["n10", "n2", "edge-1", "n1", "n1b"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["edge-1", "n1", "n1b", "n2", "n10"]);
    }

    #[test]
    fn outcomes_are_shown_nodes_first_then_statuses() {
        let mut names = Names::default();
        for (code, node) in [
            (503, Some("n1")),
            (0, None),
            (200, Some("n10")),
            (429, None),
            (204, Some("n2")),
        ] {
            names.outcome_id(&Outcome::of(code, node));
        }
        let labels: Vec<String> = names
            .ordered()
            .into_iter()
            .map(|id| names.outcome(id).label())
            .collect();
        assert_eq!(labels, ["n2", "n10", "429", "503", "no answer"]);
    }
}
