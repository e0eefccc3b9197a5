use std::collections::BTreeMap;

use crate::run::{FlowId, OutcomeId};

/// Where the numbers of a repetition come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Every single request (`requests.jsonl`).
    Requests,
    /// Sums per second (`series.json`): who was asked and which requests were forwarded is not known.
    Series,
    /// There is neither.
    #[default]
    None,
}

/// What a tally counts: one second, flow and outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TallyKey {
    /// Second since t = 0 in which the requests were meant to be sent; negative before t = 0.
    pub second: i64,
    /// Flow they belong to.
    pub flow: FlowId,
    /// What became of them.
    pub outcome: OutcomeId,
}

/// Requests of one second, flow and outcome.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// How many of them another node than the one asked has answered.
    pub forwarded: u64,
    /// Latencies in microseconds, sorted; empty when the source has no single requests.
    pub latencies: Vec<u32>,
}

/// Latency percentiles of one second and flow as the run wrote them, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile, where known.
    pub p99: Option<f64>,
}

/// All requests of one repetition, summed per second.
///
/// Four bytes are kept per request (its latency); everything else depends on the number of seconds only.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Where the numbers come from.
    pub source: Source,
    /// The sums.
    pub tallies: BTreeMap<TallyKey, Tally>,
    /// Percentiles from `series.json`; empty when every request is known.
    pub percentiles: BTreeMap<(i64, FlowId), Percentiles>,
    /// First and last intended send time of each flow and how many requests lie between them.
    pub spans: BTreeMap<FlowId, Span>,
    /// Requests sent to each node, and how many of these had an answer with success.
    pub asked: BTreeMap<String, (u64, u64)>,
    /// What went wrong with requests that had no answer, and how often.
    pub failures: BTreeMap<String, u64>,
    /// The longest time by which a request left later than intended, seconds.
    pub latest_send: Option<f64>,
}

/// Extent of a flow in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// First intended send time, seconds since t = 0.
    pub first: f64,
    /// Last intended send time, seconds since t = 0.
    pub last: f64,
    /// Number of requests.
    pub requests: u64,
}

impl Span {
    /// Seconds during which the flow was on. The last request stands for an interval too, so `n` requests last `n`
    /// mean intervals.
    pub fn duration(&self) -> f64 {
        match self.requests {
            0 => 0.0,
            1 => 1.0,
            requests => {
                let intervals = (requests - 1) as f64;
                ((self.last - self.first) * (intervals + 1.0) / intervals).max(f64::EPSILON)
            }
        }
    }
}

impl Traffic {
    /// Widens the span of a flow and remembers the latest sender.
    pub(crate) fn note_time(&mut self, flow: FlowId, offset: f64, sent_after: Option<f64>) {
        let span = self.spans.entry(flow).or_insert(Span {
            first: offset,
            last: offset,
            requests: 0,
        });
        span.first = span.first.min(offset);
        span.last = span.last.max(offset);
        span.requests += 1;
        if let Some(late) = sent_after {
            self.latest_send = Some(self.latest_send.map_or(late, |latest| latest.max(late)));
        }
    }

    /// Widens the span of a flow by `count` requests spread over one second.
    pub(crate) fn note_second(&mut self, flow: FlowId, second: i64, count: u64) {
        let (first, last) = (second as f64, (second + 1) as f64);
        let span = self.spans.entry(flow).or_insert(Span {
            first,
            last,
            requests: 0,
        });
        span.first = span.first.min(first);
        span.last = span.last.max(last);
        span.requests += count;
    }

    /// Counts one request that was sent to `node`.
    pub(crate) fn note_asked(&mut self, node: &str, success: bool) {
        if let Some((asked, succeeded)) = self.asked.get_mut(node) {
            *asked += 1;
            *succeeded += u64::from(success);
        } else {
            self.asked.insert(node.to_owned(), (1, u64::from(success)));
        }
    }

    /// Number of requests.
    pub fn requests(&self) -> u64 {
        self.tallies.values().map(|tally| tally.count).sum()
    }

    /// First second and the one after the last; none without requests.
    pub fn extent(&self) -> Option<(i64, i64)> {
        let first = self.tallies.keys().next()?.second;
        let last = self.tallies.keys().next_back()?.second;
        Some((first, last + 1))
    }

    /// Tallies of the seconds `from..to`.
    pub fn between(&self, from: i64, to: i64) -> impl Iterator<Item = (&TallyKey, &Tally)> {
        let start = |second| TallyKey {
            second,
            flow: 0,
            outcome: 0,
        };
        self.tallies.range(start(from)..start(to.max(from)))
    }

    /// Sorted latencies in microseconds of all tallies that `wanted` accepts.
    pub fn latencies(&self, wanted: impl Fn(&TallyKey) -> bool) -> Vec<u32> {
        let mut all: Vec<u32> = self
            .tallies
            .iter()
            .filter(|(key, _)| wanted(key))
            .flat_map(|(_, tally)| tally.latencies.iter().copied())
            .collect();
        all.sort_unstable();
        all
    }
}
