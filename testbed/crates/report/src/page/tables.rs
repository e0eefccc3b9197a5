use super::format::{
    count, estimate_text, measured_or_reason, measured_text, milliseconds, percent, rate_text, signed,
};
use crate::measure::{
    Estimate, LatencyTotals, NodeTotals, Traffic, flow_totals, node_totals, outcome_totals,
};
use crate::run::{Cell, Expectation, Names, Run};

/// One line of the table of expectations.
#[derive(Debug, Clone)]
pub(super) struct ExpectationRow {
    pub(super) asked: String,
    pub(super) measured: String,
    pub(super) pass: bool,
    /// How often it held, when there are several repetitions.
    pub(super) held: String,
}

/// Expectations of a cell: the same ones in every repetition, in the same order.
pub(super) fn expectations(cell: &Cell) -> Vec<ExpectationRow> {
    let most = cell
        .repetitions
        .iter()
        .map(|repetition| repetition.expectations.len());
    (0..most.max().unwrap_or(0))
        .map(|index| {
            let all: Vec<&Expectation> = cell
                .repetitions
                .iter()
                .filter_map(|repetition| repetition.expectations.get(index))
                .collect();
            expectation_row(&all)
        })
        .collect()
}

fn expectation_row(all: &[&Expectation]) -> ExpectationRow {
    let values: Vec<f64> = all
        .iter()
        .filter_map(|expectation| expectation.measured)
        .collect();
    let held = all.iter().filter(|expectation| expectation.pass).count();
    let measured = match (Estimate::of(&values), all.first()) {
        (Some(estimate), Some(first)) => estimate_text(&estimate, |value| measured_text(first, value)),
        (_, first) => first.map_or_else(String::new, |first| measured_or_reason(first)),
    };
    ExpectationRow {
        asked: all.first().map_or_else(String::new, |first| asked(first)),
        measured,
        pass: held == all.len(),
        held: if all.len() > 1 {
            format!("{held} of {}", all.len())
        } else {
            String::new()
        },
    }
}

/// The expectation as written, or put together from its parts.
pub(crate) fn asked(expectation: &Expectation) -> String {
    if !expectation.text.is_empty() {
        return expectation.text.clone();
    }
    let node = expectation.node.iter().map(|node| format!("by {node}"));
    let parts = [expectation.metric.clone(), format!("of {}", expectation.of)];
    parts.into_iter().chain(node).collect::<Vec<_>>().join(" ")
}

/// One line of the table of nodes.
#[derive(Debug, Clone)]
pub(super) struct NodeRow {
    pub(super) name: String,
    pub(super) class: String,
    pub(super) asked: String,
    pub(super) success: String,
    pub(super) served: String,
    pub(super) taken_over: String,
    pub(super) rate: String,
    pub(super) share: String,
    /// Share of all answers in percent, for the bar.
    pub(super) bar: String,
}

/// Nodes of a cell; rates are means over the repetitions.
pub(super) fn nodes(names: &Names, traffics: &[&Traffic], class: impl Fn(&str) -> String) -> Vec<NodeRow> {
    let each: Vec<Vec<NodeTotals>> = traffics
        .iter()
        .map(|traffic| node_totals(names, std::slice::from_ref(traffic)))
        .collect();
    let optional = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    node_totals(names, traffics)
        .into_iter()
        .map(|node| {
            let rates: Vec<f64> = each
                .iter()
                .map(|totals| {
                    totals
                        .iter()
                        .find(|other| other.node == node.node)
                        .map_or(0.0, |other| other.rate)
                })
                .collect();
            NodeRow {
                class: class(&node.node),
                asked: optional(node.asked.map(count)),
                success: optional(node.success.map(percent)),
                served: count(node.served),
                taken_over: optional(node.taken_over.map(count)),
                rate: Estimate::of(&rates).map_or_else(String::new, |rate| estimate_text(&rate, rate_text)),
                share: percent(node.share),
                bar: format!("{:.1}", node.share * 100.0),
                name: node.node,
            }
        })
        .collect()
}

/// One line of the table of statuses.
#[derive(Debug, Clone)]
pub(super) struct StatusRow {
    pub(super) status: String,
    pub(super) meaning: &'static str,
    pub(super) requests: String,
    pub(super) share: String,
}

/// What became of the requests: successes together, then each status.
pub(super) fn statuses(run: &Run, traffics: &[&Traffic]) -> Vec<StatusRow> {
    let totals = outcome_totals(&run.names, traffics);
    let all: u64 = totals.iter().map(|(_, count)| count).sum();
    let success = |id: &u16| run.names.outcome(*id).is_success();
    let succeeded: u64 = totals
        .iter()
        .filter(|(id, _)| success(id))
        .map(|(_, count)| count)
        .sum();
    let row = |status: String, meaning, requests: u64| StatusRow {
        status,
        meaning,
        requests: count(requests),
        share: percent(requests as f64 / all.max(1) as f64),
    };
    let mut rows = Vec::new();
    if succeeded > 0 {
        rows.push(row("success".to_owned(), "status 200 to 399", succeeded));
    }
    for (id, requests) in totals.into_iter().filter(|(id, _)| !success(id)) {
        let label = run.names.outcome(id).label();
        let meaning = meaning(&label);
        rows.push(row(label, meaning, requests));
    }
    rows
}

/// What a status means in a federation of DFaaS nodes.
fn meaning(status: &str) -> &'static str {
    match status {
        "400" => "bad request",
        "403" => "sender is not a known node",
        "404" => "no such function",
        "408" => "function took too long",
        "429" => "limit for forwarded requests exceeded, or too many at once",
        "500" => "function failed",
        "502" => "node could not reach its platform",
        "503" => "no capacity and no node to forward to",
        "504" => "gateway gave up waiting",
        "no answer" => "time-out, refused or broken connection",
        _ => "",
    }
}

/// One line of the table of flows.
#[derive(Debug, Clone)]
pub(super) struct FlowRow {
    pub(super) name: String,
    pub(super) requests: String,
    pub(super) rate: String,
    pub(super) success: String,
    pub(super) forwarded: String,
    /// Mean, p50, p95, p99, p99.9, max.
    pub(super) latency: Vec<String>,
}

/// Flows of a cell, pooled over the repetitions.
pub(super) fn flows(names: &Names, traffics: &[&Traffic]) -> Vec<FlowRow> {
    flow_totals(names, traffics)
        .into_iter()
        .map(|flow| FlowRow {
            name: flow.flow,
            requests: count(flow.requests),
            rate: rate_text(flow.rate),
            success: percent(flow.succeeded as f64 / flow.requests.max(1) as f64),
            forwarded: flow.forwarded.map_or_else(|| "–".to_owned(), count),
            latency: latency_cells(flow.latency),
        })
        .collect()
}

fn latency_cells(latency: Option<LatencyTotals>) -> Vec<String> {
    match latency {
        Some(all) => [all.mean, all.p50, all.p95, all.p99, all.p999, all.max]
            .map(milliseconds)
            .to_vec(),
        None => vec!["–".to_owned(); 6],
    }
}

/// One line of the comparison with published values.
#[derive(Debug, Clone)]
pub(super) struct ComparisonRow {
    pub(super) series: String,
    pub(super) window: String,
    pub(super) published: String,
    pub(super) measured: String,
    pub(super) difference: String,
    pub(super) unit: String,
    pub(super) source: String,
}

/// Published values beside measured ones.
pub(super) fn comparisons(run: &Run, cell: &Cell) -> Vec<ComparisonRow> {
    crate::measure::compare(run, cell)
        .into_iter()
        .map(|row| {
            let value = row.published.value;
            let difference = row.measured.map(|measured| measured.mean - value);
            ComparisonRow {
                window: row.window_text(),
                published: rate_text(value),
                measured: match &row.measured {
                    Some(measured) => estimate_text(measured, rate_text),
                    None => "not measured".to_owned(),
                },
                difference: match difference {
                    Some(difference) if value != 0.0 => {
                        format!(
                            "{} ({} %)",
                            signed(difference),
                            signed(100.0 * difference / value)
                        )
                    }
                    Some(difference) => signed(difference),
                    None => "–".to_owned(),
                },
                unit: row.published.unit.clone(),
                source: row.published.source.clone(),
                series: row.published.series,
            }
        })
        .collect()
}

/// Reasons of requests without answer, the most frequent first.
pub(super) fn failures(traffics: &[&Traffic]) -> Vec<(String, String)> {
    let mut sums: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for traffic in traffics {
        for (reason, number) in &traffic.failures {
            *sums.entry(reason).or_default() += number;
        }
    }
    let mut rows: Vec<(&str, u64)> = sums.into_iter().collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    rows.into_iter()
        .map(|(reason, number)| (reason.to_owned(), count(number)))
        .collect()
}
