use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Requests that may be under way at once in one load process, unless the plan says otherwise.
pub const DEFAULT_IN_FLIGHT_LIMIT: usize = 10_000;

/// Everything one load process has to do; it is read as one JSON document from standard input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// The instant t = 0, in nanoseconds since the Unix epoch (UTC).
    pub start_unix_nanoseconds: i64,
    /// Upper bound of requests under way at once; a request beyond it is recorded as "not sent".
    pub in_flight_limit: usize,
    /// The streams of requests, all sent by the same process.
    pub flows: Vec<LoadFlow>,
}

/// One stream of identical requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadFlow {
    /// Name of the flow in the scenario.
    pub name: String,
    /// Where connections go.
    pub target: SocketAddr,
    /// Value of the `Host` header.
    pub host: String,
    /// Path and query, starting with `/`.
    pub path: String,
    /// HTTP method.
    pub method: String,
    /// Further request headers, in order; a name may be repeated.
    pub headers: Vec<(String, String)>,
    /// Request body; empty for none.
    pub body: Vec<u8>,
    /// When the flow begins, counted from t = 0.
    pub start: Duration,
    /// How long new requests are sent.
    pub duration: Duration,
    /// How the send times are spread over the duration.
    pub arrivals: Arrivals,
    /// How long a request may take, counted from when it was really sent.
    pub timeout: Duration,
    /// Most TCP connections the flow may open; absent for as many as there are requests under way.
    pub max_connections: Option<usize>,
    /// Names of the response headers to keep, as they shall be spelled in the results.
    pub recorded_headers: Vec<String>,
}

/// How intended send times are spread over a flow's duration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Equal distances: request n is due n / `per_second` after the start.
    Constant {
        /// Requests per second.
        per_second: f64,
    },
    /// Independent exponential distances with the given mean rate.
    Poisson {
        /// Mean requests per second.
        per_second: f64,
        /// Key of the random stream; equal seeds give equal send times.
        seed: u64,
    },
    /// Stretches in which the rate changes linearly, one after the other.
    Stages {
        /// The stretches; what lies beyond the flow's duration is cut.
        stages: Vec<Stage>,
        /// Key of the random stream of independent requests; absent when they are spread evenly.
        seed: Option<u64>,
    },
    /// Recorded times.
    Trace {
        /// Distances from the flow's start, in order; what lies beyond the flow's duration is cut.
        times: Vec<Duration>,
    },
}

/// A stretch of time in which the rate changes linearly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Requests per second at the beginning.
    pub from: f64,
    /// Requests per second at the end.
    pub to: f64,
    /// Length of the stretch.
    pub duration: Duration,
}
