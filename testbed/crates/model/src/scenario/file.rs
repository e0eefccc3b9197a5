//! The scenario file as written. Only shapes: nothing here is checked against anything else.
//!
//! Values that may stand for a parameter (`T`, `3T`, `rate`) are literals here and get their types in `validate`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::experiment::{Metric, NodeAction, Statistic};
use crate::document::literal::Literal;
use crate::document::spanned::Spanned;
use crate::topology::link_file::LinkChangeFile;

/// A value that may be a parameter's name.
pub(crate) type Value = Spanned<Literal>;

/// An experiment on a topology: load, events, and what must come out.
///
/// Times are lengths of time (`40s`) or multiples of a parameter (`8T`), counted from t = 0, the first wall-clock
/// multiple of the agents' recalc period after the lab is ready.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScenarioFile {
    /// The topology file, relative to this file.
    pub(crate) topology: Option<Spanned<String>>,
    /// Named values. `--set NAME=VALUE` replaces them.
    #[serde(default)]
    pub(crate) params: IndexMap<Spanned<String>, Value>,
    /// Values for places in the topology, by dotted path: a parameter's name or a literal.
    #[serde(default)]
    pub(crate) set: IndexMap<Spanned<String>, Value>,
    /// Wins over the topology's seed.
    pub(crate) seed: Option<u64>,
    /// Repetitions of each cell, each on a fresh lab with a seed of its own; 1 when absent.
    pub(crate) repeat: Option<Spanned<u32>>,
    /// Values to try, by parameter name or dotted path into the topology: one cell per combination.
    #[serde(default)]
    pub(crate) matrix: IndexMap<Spanned<String>, Spanned<Vec<Value>>>,
    /// Requests meant to be sent before this time are recorded and not judged.
    pub(crate) warmup: Option<Value>,
    /// The flows of requests.
    #[serde(default)]
    pub(crate) load: Vec<FlowFile>,
    /// What happens meanwhile.
    #[serde(default)]
    pub(crate) events: Vec<EventFile>,
    /// What must come out, in every repetition.
    #[serde(default)]
    pub(crate) expect: Vec<ExpectFile>,
    /// What the report says.
    #[serde(default)]
    pub(crate) report: ReportFile,
}

/// A flow of requests, open-loop: requests are sent when they are due, whatever became of earlier ones.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlowFile {
    /// Its name in expectations and results; `FROM-TO` when absent.
    pub(crate) name: Option<Spanned<String>>,
    /// The node that sends.
    pub(crate) from: Value,
    /// The node that is asked; of kind `dfaas`.
    pub(crate) to: Value,
    /// The function that is asked for.
    pub(crate) function: Value,
    /// HTTP method; POST with a body and GET without when absent.
    pub(crate) method: Option<Spanned<String>>,
    /// Path and query; `/function/NAME` when absent.
    pub(crate) path: Option<Spanned<String>>,
    /// Port of the node that is asked; 80 when absent.
    pub(crate) port: Option<Spanned<u16>>,
    /// Request body.
    pub(crate) body: Option<Literal>,
    /// Request headers.
    #[serde(default)]
    pub(crate) headers: IndexMap<Spanned<String>, Value>,
    /// Requests per second, for example `50/s`; with `stages` the rate at the begin of the first, 0 when absent.
    pub(crate) rate: Option<Value>,
    /// How requests are spread; `constant` when absent.
    pub(crate) arrivals: Option<Spanned<ArrivalsFile>>,
    /// Rates that change evenly, one stage after the other.
    pub(crate) stages: Option<Spanned<Vec<StageFile>>>,
    /// Table (CSV) with a column `time`: when each request is due, counted from the first. Relative to this file.
    pub(crate) trace: Option<Spanned<String>>,
    /// When it begins; at 0 when absent.
    pub(crate) start: Option<Value>,
    /// How long it goes on; with a `trace` all of it when absent, and `stages` have their own.
    pub(crate) duration: Option<Value>,
    /// A request without an answer after this time has failed; 10s when absent.
    pub(crate) timeout: Option<Value>,
}

/// How requests are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ArrivalsFile {
    /// Evenly.
    Constant,
    /// At random, independently of each other.
    Poisson,
}

/// A stretch of time in which the rate changes evenly.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StageFile {
    /// Rate at its end.
    pub(crate) rate: Value,
    /// Its length; with none the rate jumps.
    pub(crate) duration: Value,
}

/// Something that happens: exactly one of `link`, `node`, `partition`, `move` and `do: heal`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventFile {
    /// When.
    pub(crate) at: Value,
    /// After this it is undone; never when absent.
    #[serde(rename = "for")]
    pub(crate) lasting: Option<Value>,
    /// The link that changes.
    pub(crate) link: Option<Value>,
    /// What changes on the link.
    pub(crate) set: Option<Spanned<LinkChangeFile>>,
    /// The node to which something is done.
    pub(crate) node: Option<Value>,
    /// What is done: `up` or `down` to a link; `stop`, `start`, `restart`, `kill`, `pause` or `resume` to a node; `heal`
    /// alone ends all partitions.
    #[serde(rename = "do")]
    pub(crate) deed: Option<Spanned<DeedFile>>,
    /// The client whose link then leads to another switch or node; with `for`, it moves back.
    #[serde(rename = "move")]
    pub(crate) client: Option<Value>,
    /// The switch or node it moves to.
    pub(crate) to: Option<Value>,
    /// How long it has no carrier on the way; not at all when absent.
    pub(crate) gap: Option<Value>,
    /// Groups of nodes that cannot reach each other. Nodes in no group reach all.
    pub(crate) partition: Option<Spanned<Vec<Vec<Value>>>>,
}

/// What can be done to a link, to a node, or to all partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeedFile {
    /// A link gets its carrier.
    Up,
    /// A link loses its carrier.
    Down,
    /// A node is shut down in good order; with `for`, it is started again.
    Stop,
    /// A node is started.
    Start,
    /// A node is shut down and started again.
    Restart,
    /// All that runs in a node is killed at once; with `for`, it is started again.
    Kill,
    /// All that runs in a node stands still; with `for`, it goes on.
    Pause,
    /// What stood still goes on.
    Resume,
    /// All partitions end.
    Heal,
}

impl DeedFile {
    pub(crate) fn to_node(self) -> Option<NodeAction> {
        match self {
            DeedFile::Stop => Some(NodeAction::Stop),
            DeedFile::Start => Some(NodeAction::Start),
            DeedFile::Restart => Some(NodeAction::Restart),
            DeedFile::Kill => Some(NodeAction::Kill),
            DeedFile::Pause => Some(NodeAction::Pause),
            DeedFile::Resume => Some(NodeAction::Resume),
            DeedFile::Up | DeedFile::Down | DeedFile::Heal => None,
        }
    }
}

/// What must come out: exactly one of `at_least`, `at_most` and `between`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectFile {
    /// What is measured.
    pub(crate) metric: Spanned<Metric>,
    /// Of which flow.
    pub(crate) of: Spanned<String>,
    /// Of what this node serves only; needed for `served_by`.
    pub(crate) node: Option<Value>,
    /// Of responses with this status only; needed for `responses`.
    pub(crate) status: Option<Spanned<u16>>,
    /// Which number of the distribution; needed for `latency`.
    pub(crate) statistic: Option<Spanned<Statistic>>,
    /// Requests meant to be sent from here on; the flow's start or the end of the warm-up when absent.
    pub(crate) from: Option<Value>,
    /// Requests meant to be sent before here; the flow's end when absent.
    pub(crate) to: Option<Value>,
    /// This or more.
    pub(crate) at_least: Option<Value>,
    /// This or less.
    pub(crate) at_most: Option<Value>,
    /// From the first to the second.
    pub(crate) between: Option<Spanned<Vec<Value>>>,
    /// Whether each repetition is judged, or their mean; `each` when absent.
    pub(crate) across: Option<Spanned<AcrossFile>>,
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AcrossFile {
    /// Each repetition.
    Each,
    /// The mean of all repetitions.
    Mean,
}

/// What the report says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportFile {
    /// Its title; the file's name when absent.
    pub(crate) title: Option<String>,
    /// Published numbers to compare with: a CSV file, relative to this file.
    pub(crate) reference: Option<Spanned<String>>,
}
