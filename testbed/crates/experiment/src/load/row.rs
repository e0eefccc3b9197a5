use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of a load process' standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMessage {
    /// The process runs and will read its plan now.
    Waiting,
    /// A request has come to its end.
    Row(LoadRow),
    /// Every request has come to its end; the last line.
    Finished {
        /// Rows written.
        requests: u64,
        /// Whether the plan was cut short by a signal.
        interrupted: bool,
    },
}

/// What became of one request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadRow {
    /// Index of the flow in the plan.
    pub flow: usize,
    /// Index of the request in its flow, in the order of intended send times.
    pub seq: u64,
    /// HTTP status, or 0 when there was no complete response.
    pub code: u16,
    /// Intended send time, in nanoseconds after t = 0.
    pub offset: u64,
    /// How much later than intended the request was really sent, in nanoseconds.
    pub sent_after: u64,
    /// From the intended send time to the end of the response (or the error), in nanoseconds.
    pub latency: u64,
    /// Bytes of the request's body.
    pub bytes_out: u64,
    /// Bytes of the response's body.
    pub bytes_in: u64,
    /// Whether the generator tried to send the request at all.
    pub sent: bool,
    /// Why there was no complete response; empty when there was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// The recorded response headers, spelled as the plan spells them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Vec<String>>,
}
