//! What the model is told: rates and times between readings of counters.

use crate::strategy::FunctionName;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// A server's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerSample {
    /// Requests so far.
    pub requests: u64,
    /// Answers with a status of 2xx so far.
    pub succeeded: u64,
    /// Mean time to an answer lately, in milliseconds.
    pub milliseconds: f64,
}

/// One function at this node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionSample {
    /// The local platform.
    pub local: ServerSample,
    /// Peers, by PeerId.
    pub peers: BTreeMap<String, ServerSample>,
    /// All users' requests so far.
    pub requests: u64,
    /// Copies of the function.
    pub replicas: u32,
}

/// A reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// When, on the caller's clock.
    pub at: Duration,
    /// The load generator's stage, if it says so.
    pub stage: Option<u32>,
    /// Processor time in use and in total, in any unit.
    pub processor: (u64, u64),
    /// By function.
    pub functions: BTreeMap<FunctionName, FunctionSample>,
}

/// The readings between which the model is told something.
pub(super) struct Windows<'a> {
    pub(super) earlier: Option<&'a Observed>,
    pub(super) begun: Option<&'a Observed>,
    pub(super) now: &'a Observed,
}

impl Windows<'_> {
    /// The observation of this node, in the original's words.
    pub(super) fn observation(&self, own_id: &str, function: &str, peers: &[String]) -> Value {
        let current = self.begun.map(|begun| Window {
            begin: begun,
            end: self.now,
        });
        let before = self
            .earlier
            .zip(self.begun)
            .map(|(begin, end)| Window { begin, end });
        let mut values = Map::new();
        let mut put = |name: String, value: f64| {
            let value = if value.is_finite() { value } else { 0.0 };
            values.insert(name, value.into());
        };
        for (prefix, window) in [("", current), ("previous_", before)] {
            let told = window.map(|window| window.told(function)).unwrap_or_default();
            put(format!("{prefix}input_rate"), told.input_rate);
            put(format!("{prefix}reject_rate"), told.reject_rate);
            put(format!("{prefix}avg_resp_time_loc"), told.local_time);
            put(format!("{prefix}cpu_utilization"), told.processor);
            put(format!("{prefix}n_replicas"), told.replicas);
        }
        for peer in peers {
            let (rate, refused, time) = before
                .map(|window| window.forwarded(function, peer))
                .unwrap_or_default();
            put(format!("previous_fwd_to_node_{peer}"), rate);
            put(format!("previous_fwd_to_node_{peer}_rejected"), refused);
            put(format!("previous_avg_resp_time_fwd_to_node_{peer}"), time);
        }
        let mut nodes = Map::new();
        nodes.insert(format!("node_{own_id}"), Value::Object(values));
        Value::Object(nodes)
    }
}

#[derive(Clone, Copy)]
struct Window<'a> {
    begin: &'a Observed,
    end: &'a Observed,
}

impl Window<'_> {
    fn seconds(&self) -> f64 {
        self.end.at.saturating_sub(self.begin.at).as_secs_f64()
    }

    fn samples(&self, function: &str) -> (FunctionSample, FunctionSample) {
        let of = |observed: &Observed| observed.functions.get(function).cloned().unwrap_or_default();
        (of(self.begin), of(self.end))
    }

    fn rate(&self, begin: u64, end: u64) -> f64 {
        let seconds = self.seconds();
        if seconds > 0.0 {
            grown(begin, end) as f64 / seconds
        } else {
            0.0
        }
    }

    fn told(&self, function: &str) -> Told {
        let (begin, end) = self.samples(function);
        let requests = grown(begin.local.requests, end.local.requests);
        let succeeded = grown(begin.local.succeeded, end.local.succeeded).min(requests);
        let part = |part: u64, whole: u64| {
            if whole == 0 {
                0.0
            } else {
                part as f64 / whole as f64
            }
        };
        let ((busy_before, all_before), (busy, all)) = (self.begin.processor, self.end.processor);
        Told {
            input_rate: self.rate(begin.requests, end.requests),
            reject_rate: part(requests - succeeded, requests),
            local_time: end.local.milliseconds.max(0.0),
            processor: part(busy.saturating_sub(busy_before), all.saturating_sub(all_before)).clamp(0.0, 1.0),
            replicas: f64::from(end.replicas),
        }
    }

    /// Requests per second to a peer, those of them without success, and the time they took.
    fn forwarded(&self, function: &str, peer: &str) -> (f64, f64, f64) {
        let (begin, end) = self.samples(function);
        let of = |sample: &FunctionSample| sample.peers.get(peer).copied().unwrap_or_default();
        let (begin, end) = (of(&begin), of(&end));
        let rate = self.rate(begin.requests, end.requests);
        let refused = (rate - self.rate(begin.succeeded, end.succeeded)).max(0.0);
        (rate, refused, end.milliseconds.max(0.0))
    }
}

/// What the model is told of a function and a window; by default, of a window that never was.
struct Told {
    input_rate: f64,
    /// Part of the requests served here that was not answered with success.
    reject_rate: f64,
    local_time: f64,
    processor: f64,
    replicas: f64,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            input_rate: 0.0,
            reject_rate: 0.0,
            local_time: 0.0,
            processor: 0.0,
            replicas: 1.0,
        }
    }
}

/// What a counter grew by; one that went down was reset in between.
fn grown(begin: u64, end: u64) -> u64 {
    if end >= begin { end - begin } else { end }
}
