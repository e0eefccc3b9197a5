//! A validated scenario: every time absolute, every name resolved, one topology per repetition.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::topology::{ImpairmentChange, Topology};
use crate::units::{duration_text, optional_duration_text};

/// What to run, completely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// The scenario file's name without its extension.
    pub name: String,
    /// The report's title; the name unless the file has one.
    pub title: String,
    /// The scenario's seed, or the topology's.
    pub seed: u64,
    /// Repetitions of each cell.
    pub repeat: u32,
    /// Path of the published numbers to compare with, resolved against the scenario file.
    pub reference: Option<String>,
    /// One cell per combination of the matrix's values; one cell without a matrix.
    pub cells: Vec<Cell>,
    /// The files this was made of, as read: a name without directories, unique here, and the text.
    /// The scenario comes first, then the topology, then what it includes.
    pub sources: Vec<(String, String)>,
}

/// One combination of parameter values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Values of all parameters and of the matrix's topology paths.
    pub params: IndexMap<String, String>,
    /// One per repetition.
    pub repetitions: Vec<Repetition>,
    /// The longest recalc period of the topology's agents (1 s without agents): t = 0 is a wall-clock multiple of it.
    #[serde(with = "duration_text")]
    pub recalc_period: Duration,
    /// The load.
    pub flows: Vec<Flow>,
    /// What happens meanwhile, in the order of time.
    pub events: Vec<Event>,
    /// What must come out.
    pub expectations: Vec<Expectation>,
    /// Requests meant to be sent before this time are recorded and not judged. Windows of expectations begin no
    /// earlier.
    #[serde(with = "duration_text")]
    pub warmup: Duration,
    /// When the last flow, event or window ends.
    #[serde(with = "duration_text")]
    pub duration: Duration,
}

/// One run of a cell on a fresh lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repetition {
    /// Its seed, derived from the experiment's; the topology's seed too.
    pub seed: u64,
    /// The lab to start.
    pub topology: Topology,
}

/// A stream of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Unique in the scenario.
    pub name: String,
    /// The node that sends.
    pub from: String,
    /// The node that is asked.
    pub to: String,
    /// The function that is asked for.
    pub function: String,
    /// HTTP method.
    pub method: String,
    /// Path and query of the URL.
    pub path: String,
    /// Port of `to`.
    pub port: u16,
    /// Request body.
    pub body: Vec<u8>,
    /// Request headers.
    pub headers: IndexMap<String, String>,
    /// When it begins.
    #[serde(with = "duration_text")]
    pub start: Duration,
    /// How long it goes on.
    #[serde(with = "duration_text")]
    pub duration: Duration,
    /// When its requests are due.
    pub arrivals: Arrivals,
    /// A request without an answer after this time has failed.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
}

/// When requests are due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Arrivals {
    /// Evenly.
    Constant {
        /// Requests per second.
        per_second: f64,
    },
    /// Independently of each other, at random: the times follow from the repetition's seed and the flow's name.
    Poisson {
        /// Mean requests per second.
        per_second: f64,
    },
    /// With a rate that changes.
    Stages {
        /// Its stages, one after the other; together as long as the flow.
        stages: Vec<RateStage>,
        /// Whether the requests are independent of each other, instead of evenly spread.
        poisson: bool,
    },
    /// As they were recorded.
    Trace {
        /// Distances from the flow's start, in order.
        #[serde(with = "shared")]
        times: Arc<[Duration]>,
    },
}

/// A stretch of time in which the rate changes evenly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateStage {
    /// Requests per second at its begin.
    pub from: f64,
    /// Requests per second at its end.
    pub to: f64,
    /// Its length; with none the rate jumps.
    #[serde(with = "duration_text")]
    pub duration: Duration,
}

/// Times that all cells share, as a list.
mod shared {
    use std::sync::Arc;
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        times: &Arc<[Duration]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        times.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[Duration]>, D::Error> {
        Vec::deserialize(deserializer).map(Into::into)
    }
}

/// Something that happens at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    #[serde(with = "duration_text")]
    pub at: Duration,
    /// After this it is undone; never when absent.
    #[serde(with = "optional_duration_text")]
    pub duration: Option<Duration>,
    /// What.
    pub action: EventAction,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum EventAction {
    /// Some impairments of a link change.
    SetLink {
        /// Link name, as in the topology.
        link: String,
        /// From its first end to its second.
        forward: Box<ImpairmentChange>,
        /// From its second end to its first.
        backward: Box<ImpairmentChange>,
    },
    /// A link goes up or down, with the carrier on both ends.
    RaiseLink {
        /// Link name, as in the topology.
        link: String,
        /// Whether up.
        up: bool,
    },
    /// Something is done to a node.
    Node {
        /// Node name.
        node: String,
        /// What.
        action: NodeAction,
    },
    /// Nodes of different groups cannot reach each other.
    Partition {
        /// Node names; a node is in one group at most.
        groups: Vec<Vec<String>>,
    },
    /// All partitions end.
    Heal,
    /// A client roams to another access point.
    Move {
        /// Node name; it has one link.
        client: String,
        /// The switch or node it moves to.
        to: String,
        /// Where the topology has it, for the way back.
        from: String,
        /// How long it has no carrier.
        #[serde(with = "duration_text")]
        gap: Duration,
    },
}

/// What can be done to a node. Its links stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeAction {
    /// It is shut down: its services are ended in good order, then all else that runs in it.
    Stop,
    /// It is started, with its services.
    Start,
    /// It is shut down and started again.
    Restart,
    /// All that runs in it is killed at once, as by a power failure.
    Kill,
    /// All that runs in it stands still.
    Pause,
    /// What stood still goes on.
    Resume,
}

impl NodeAction {
    /// The word in files and commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            NodeAction::Stop => "stop",
            NodeAction::Start => "start",
            NodeAction::Restart => "restart",
            NodeAction::Kill => "kill",
            NodeAction::Pause => "pause",
            NodeAction::Resume => "resume",
        }
    }

    /// What makes up for it, if anything does.
    #[must_use]
    pub fn undone_by(self) -> Option<NodeAction> {
        match self {
            NodeAction::Stop | NodeAction::Kill => Some(NodeAction::Start),
            NodeAction::Pause => Some(NodeAction::Resume),
            NodeAction::Start | NodeAction::Restart | NodeAction::Resume => None,
        }
    }
}

impl fmt::Display for NodeAction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// What must come out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// What is measured.
    pub metric: Metric,
    /// Of which flow.
    pub of: String,
    /// Of what this node serves only; always given for [`Metric::ServedBy`].
    pub node: Option<String>,
    /// Of responses with this status only; always given for [`Metric::Responses`].
    pub status: Option<u16>,
    /// Which number of the distribution; always given for [`Metric::Latency`], never else.
    pub statistic: Option<Statistic>,
    /// Requests meant to be sent from here on…
    #[serde(with = "duration_text")]
    pub from: Duration,
    /// … and before here count; the flow's end unless the file says otherwise.
    #[serde(with = "optional_duration_text")]
    pub to: Option<Duration>,
    /// What is allowed, in the metric's unit (see [`Metric::unit`]).
    pub bound: Bound,
    /// Whether the mean of all repetitions is judged, instead of every repetition.
    #[serde(default)]
    pub of_mean: bool,
    /// The expectation as a line for tables.
    pub text: String,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Requests sent, per second.
    Rate,
    /// Responses with a status below 400, in percent of the requests.
    SuccessRate,
    /// Responses with one `status`, per second.
    Responses,
    /// Successful responses that one `node` served, per second.
    ServedBy,
    /// Responses that another node than the asked one served, per second.
    Forwarded,
    /// Time from the intended sending of a request to the end of its response, in milliseconds.
    Latency,
}

impl Metric {
    /// The unit of a bound and of a measured value: `/s`, `%` or `ms`.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Metric::Rate | Metric::Responses | Metric::ServedBy | Metric::Forwarded => "/s",
            Metric::SuccessRate => "%",
            Metric::Latency => "ms",
        }
    }

    /// The word in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::Rate => "rate",
            Metric::SuccessRate => "success_rate",
            Metric::Responses => "responses",
            Metric::ServedBy => "served_by",
            Metric::Forwarded => "forwarded",
            Metric::Latency => "latency",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// One number of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// Median.
    P50,
    /// 75 % are not above it.
    P75,
    /// 90 % are not above it.
    P90,
    /// 95 % are not above it.
    P95,
    /// 99 % are not above it.
    P99,
    /// 99.9 % are not above it.
    #[serde(rename = "p99.9")]
    P999,
    /// Arithmetic mean.
    Mean,
    /// Largest.
    Max,
}

impl Statistic {
    /// The quantile, 0 to 1, if it is one.
    #[must_use]
    pub fn quantile(self) -> Option<f64> {
        match self {
            Statistic::P50 => Some(0.5),
            Statistic::P75 => Some(0.75),
            Statistic::P90 => Some(0.9),
            Statistic::P95 => Some(0.95),
            Statistic::P99 => Some(0.99),
            Statistic::P999 => Some(0.999),
            Statistic::Mean | Statistic::Max => None,
        }
    }

    /// The word in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Statistic::P50 => "p50",
            Statistic::P75 => "p75",
            Statistic::P90 => "p90",
            Statistic::P95 => "p95",
            Statistic::P99 => "p99",
            Statistic::P999 => "p99.9",
            Statistic::Mean => "mean",
            Statistic::Max => "max",
        }
    }
}

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// From the first to the second, both included.
    Between(f64, f64),
}

impl Bound {
    /// Whether `value` is allowed. A value that could not be measured (not a number) is not.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
            Bound::Between(least, most) => (least..=most).contains(&value),
        }
    }
}
