use std::time::Duration;

use dfaas_model::{Expectation, Flow, Metric, Statistic};

use crate::measure::{Names, Sample, Tally};
use crate::summary::ExpectationResult;

/// Judges one expectation on the samples of one repetition.
///
/// The window takes requests whose intended send time lies in `from..to`, `to` excluded; without `to` it ends with
/// the flow. It never begins before the warm-up is over. Rates are per second of the window.
pub(crate) fn evaluate(
    expectation: &Expectation,
    flows: &[Flow],
    warmup: Duration,
    samples: &[Sample],
    names: &Names,
) -> ExpectationResult {
    let measured = measure(expectation, flows, warmup, samples, names);
    let (measured, reason) = match measured {
        Ok(value) => (Some(value), None),
        Err(reason) => (None, Some(reason)),
    };
    ExpectationResult {
        text: expectation.text.clone(),
        metric: expectation.metric.as_str().to_owned(),
        of: expectation.of.clone(),
        node: expectation.node.clone(),
        measured,
        unit: expectation.metric.unit().to_owned(),
        bound: expectation.bound,
        pass: measured.is_some_and(|value| expectation.bound.holds(value)),
        reason,
    }
}

fn measure(
    expectation: &Expectation,
    flows: &[Flow],
    warmup: Duration,
    samples: &[Sample],
    names: &Names,
) -> Result<f64, String> {
    let of = &expectation.of;
    let index = flows
        .iter()
        .position(|flow| flow.name == *of)
        .ok_or(format!("there is no flow `{of}`"))?;
    let from = expectation.from.max(warmup);
    let to = expectation
        .to
        .unwrap_or_else(|| flows[index].start.saturating_add(flows[index].duration));
    let window = from.as_nanos()..to.as_nanos();
    let place = format!("between {} s and {} s", from.as_secs_f64(), to.as_secs_f64());
    let here: Vec<&Sample> = samples
        .iter()
        .filter(|sample| usize::from(sample.flow) == index && window.contains(&u128::from(sample.offset)))
        .collect();
    if here.is_empty() {
        return Err(format!("no request of `{of}` was due {place}"));
    }
    let node = match &expectation.node {
        Some(name) => Some(node_index(names, name)?),
        None => None,
    };
    let meant = here.into_iter().filter(|sample| {
        node.is_none_or(|node| sample.answered_by == Some(node))
            && expectation.status.is_none_or(|status| sample.code == status)
    });
    let tally = Tally::of(meant);
    let per_second = |count: u64| count as f64 / (to - from).as_secs_f64();
    let nothing = || format!("no such response of `{of}` {place}");
    match expectation.metric {
        Metric::Rate | Metric::Responses => Ok(per_second(tally.requests)),
        Metric::ServedBy => Ok(per_second(tally.served_by.values().sum())),
        Metric::Forwarded => Ok(per_second(tally.forwarded)),
        Metric::SuccessRate => tally.success_rate().ok_or_else(nothing),
        Metric::Latency => latency(&tally, expectation.statistic).ok_or_else(nothing),
    }
}

fn node_index(names: &Names, name: &str) -> Result<u16, String> {
    let index = names.nodes.iter().position(|node| node == name);
    index
        .and_then(|index| u16::try_from(index).ok())
        .ok_or_else(|| format!("there is no node `{name}`"))
}

fn latency(tally: &Tally, statistic: Option<Statistic>) -> Option<f64> {
    match statistic? {
        Statistic::Mean => tally.latency_mean(),
        Statistic::Max => tally.latency_max(),
        other => tally.latency_at(other.quantile()?),
    }
}
