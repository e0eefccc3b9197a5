use std::collections::BTreeMap;

use super::statistics::percentile_ms;
use super::traffic::{Source, Traffic};
use crate::run::{FlowId, Names, Outcome, OutcomeId, natural_order};

/// One flow over a whole repetition, or pooled over several.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowTotals {
    /// Name of the flow.
    pub flow: String,
    /// Requests sent.
    pub requests: u64,
    /// Requests per second while the flow was on.
    pub rate: f64,
    /// Answers with success.
    pub succeeded: u64,
    /// Answers by another node than the one asked; none when the source does not tell.
    pub forwarded: Option<u64>,
    /// Latency of answers with success; none without single requests.
    pub latency: Option<LatencyTotals>,
}

/// Latencies of a set of answers, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyTotals {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Largest.
    pub max: f64,
}

impl LatencyTotals {
    /// Of sorted microseconds; none without values.
    pub fn of(sorted: &[u32]) -> Option<LatencyTotals> {
        let sum: f64 = sorted.iter().map(|latency| f64::from(*latency)).sum();
        Some(LatencyTotals {
            mean: sum / sorted.len() as f64 / 1000.0,
            p50: percentile_ms(sorted, 0.5)?,
            p95: percentile_ms(sorted, 0.95)?,
            p99: percentile_ms(sorted, 0.99)?,
            p999: percentile_ms(sorted, 0.999)?,
            max: percentile_ms(sorted, 1.0)?,
        })
    }
}

/// One node over a whole repetition, or pooled over several.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeTotals {
    /// Name of the node.
    pub node: String,
    /// Requests sent to it by users; none when the source does not tell.
    pub asked: Option<u64>,
    /// Share of those that had an answer with success, 0 to 1.
    pub success: Option<f64>,
    /// Answers with success made by it.
    pub served: u64,
    /// Those of them that users had sent to another node; none when the source does not tell.
    pub taken_over: Option<u64>,
    /// Answers with success per second over the time in which load was on.
    pub rate: f64,
    /// Share of all answers with success, 0 to 1.
    pub share: f64,
}

/// Totals of every flow, in the order of their first request.
pub fn flow_totals(names: &Names, traffics: &[&Traffic]) -> Vec<FlowTotals> {
    let ids = (0..names.flows().len()).filter_map(|index| FlowId::try_from(index).ok());
    ids.filter_map(|id| flow(names, traffics, id)).collect()
}

fn flow(names: &Names, traffics: &[&Traffic], id: FlowId) -> Option<FlowTotals> {
    let (mut requests, mut succeeded, mut forwarded) = (0, 0, 0);
    let mut latencies = Vec::new();
    let mut duration = 0.0;
    for traffic in traffics {
        duration += traffic.spans.get(&id).map_or(0.0, |span| span.duration());
        for (key, tally) in traffic.tallies.iter().filter(|(key, _)| key.flow == id) {
            requests += tally.count;
            forwarded += tally.forwarded;
            if names.outcome(key.outcome).is_success() {
                succeeded += tally.count;
                latencies.extend_from_slice(&tally.latencies);
            }
        }
    }
    latencies.sort_unstable();
    (requests > 0).then(|| FlowTotals {
        flow: names.flow(id).to_owned(),
        requests,
        rate: ratio(requests as f64, duration),
        succeeded,
        forwarded: every_request_known(traffics).then_some(forwarded),
        latency: LatencyTotals::of(&latencies),
    })
}

/// Totals of every node that served or was asked, in natural order of names.
pub fn node_totals(names: &Names, traffics: &[&Traffic]) -> Vec<NodeTotals> {
    let duration: f64 = traffics.iter().map(|traffic| load_duration(traffic)).sum();
    let mut nodes: BTreeMap<&str, (u64, u64, u64, u64)> = BTreeMap::new();
    let mut all = 0;
    for traffic in traffics {
        for (key, tally) in &traffic.tallies {
            let outcome = names.outcome(key.outcome);
            all += if outcome.is_success() { tally.count } else { 0 };
            if let Outcome::Served(node) = outcome {
                let entry = nodes.entry(node).or_default();
                entry.0 += tally.count;
                entry.1 += tally.forwarded;
            }
        }
        for (node, (asked, succeeded)) in &traffic.asked {
            let entry = nodes.entry(node).or_default();
            entry.2 += asked;
            entry.3 += succeeded;
        }
    }
    let known = every_request_known(traffics);
    let mut totals: Vec<NodeTotals> = nodes
        .into_iter()
        .map(|(node, (served, taken_over, asked, succeeded))| NodeTotals {
            node: node.to_owned(),
            asked: known.then_some(asked),
            success: (asked > 0).then(|| succeeded as f64 / asked as f64),
            served,
            taken_over: known.then_some(taken_over),
            rate: ratio(served as f64, duration),
            share: ratio(served as f64, all as f64),
        })
        .collect();
    totals.sort_by(|a, b| natural_order(&a.node, &b.node));
    totals
}

/// Requests per outcome in the order to show, with the outcome's position.
pub(crate) fn outcome_totals(names: &Names, traffics: &[&Traffic]) -> Vec<(OutcomeId, u64)> {
    let mut counts: BTreeMap<OutcomeId, u64> = BTreeMap::new();
    for tallies in traffics.iter().map(|traffic| &traffic.tallies) {
        for (key, tally) in tallies {
            *counts.entry(key.outcome).or_default() += tally.count;
        }
    }
    names
        .ordered()
        .into_iter()
        .filter_map(|id| counts.get(&id).map(|count| (id, *count)))
        .collect()
}

/// True when forwarding and latency of every request are known.
pub(crate) fn every_request_known(traffics: &[&Traffic]) -> bool {
    traffics.iter().all(|traffic| traffic.source == Source::Requests)
}

/// Seconds from the first request of any flow to the end of the last flow.
fn load_duration(traffic: &Traffic) -> f64 {
    let spans = traffic.spans.values();
    let extent = spans
        .map(|span| (span.first, span.first + span.duration()))
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    extent.map_or(0.0, |(first, end)| end - first)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
