use super::statistics::{Estimate, percentile_ms};
use super::traffic::{TallyKey, Traffic};
use crate::files::{Moment, ReferenceValue};
use crate::run::{Cell, FlowId, Names, Outcome, Run};

/// A published value beside the one measured in the same window.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The published value.
    pub published: ReferenceValue,
    /// Its window in seconds since t = 0, as far as known.
    pub window: Option<(f64, Option<f64>)>,
    /// Mean over the repetitions; none when there is nothing to measure.
    pub measured: Option<Estimate>,
}

/// What a name in the column `series` stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Quantity {
    /// Answers of one outcome per second.
    Outcome(Outcome),
    /// Requests per second.
    Sent,
    /// Successful answers per second by another node than the one asked.
    Forwarded,
    /// Successful answers per second by the node asked.
    Local,
    /// Successful answers, percent of all requests.
    SuccessRate,
    /// A percentile (0 to 1) of the latency of successful answers, milliseconds.
    Latency(f64),
}

impl Quantity {
    /// Understands `n2`, `429`, `success_rate`, `latency_p95`, …; none for a name that means nothing here.
    pub(crate) fn parse(text: &str, is_node: impl Fn(&str) -> bool) -> Option<Quantity> {
        if is_node(text) {
            return Some(Quantity::Outcome(Outcome::Served(text.to_owned())));
        }
        if let Some(percentile) = text.strip_prefix("latency_p") {
            let share: f64 = percentile.parse().ok()?;
            return (0.0..=100.0)
                .contains(&share)
                .then_some(Quantity::Latency(share / 100.0));
        }
        match text {
            "sent" => Some(Quantity::Sent),
            "forwarded" => Some(Quantity::Forwarded),
            "local" => Some(Quantity::Local),
            "success_rate" => Some(Quantity::SuccessRate),
            "errors" => Some(Quantity::Outcome(Outcome::NoAnswer)),
            _ => match text.parse::<u16>() {
                Ok(code @ 100..=599) => Some(Quantity::Outcome(Outcome::Status(code))),
                _ => None,
            },
        }
    }

    /// Mean over the seconds `from..to` of one repetition; none when nothing was measured there.
    fn measure(
        &self,
        names: &Names,
        traffic: &Traffic,
        flow: Option<FlowId>,
        from: i64,
        to: i64,
    ) -> Option<f64> {
        let (first, end) = traffic.extent()?;
        let (from, to) = (from.max(first), to.min(end));
        if from >= to {
            return None;
        }
        let wanted = |key: &TallyKey| flow.is_none_or(|flow| flow == key.flow);
        let success = |key: &TallyKey| names.outcome(key.outcome).is_success();
        let rows = || traffic.between(from, to).filter(|(key, _)| wanted(key));
        let sum = |weight: &dyn Fn(&TallyKey) -> bool| -> f64 {
            rows()
                .filter(|(key, _)| weight(key))
                .map(|(_, tally)| tally.count as f64)
                .sum()
        };
        let forwarded = || -> f64 {
            rows()
                .filter(|(key, _)| success(key))
                .map(|(_, tally)| tally.forwarded as f64)
                .sum()
        };
        let seconds = (to - from) as f64;
        match self {
            Quantity::Outcome(outcome) => Some(sum(&|key| names.outcome(key.outcome) == outcome) / seconds),
            Quantity::Sent => Some(sum(&|_| true) / seconds),
            Quantity::Forwarded => Some(forwarded() / seconds),
            Quantity::Local => Some((sum(&success) - forwarded()) / seconds),
            Quantity::SuccessRate => {
                let all = sum(&|_| true);
                (all > 0.0).then(|| 100.0 * sum(&success) / all)
            }
            Quantity::Latency(share) => {
                let inside = |key: &TallyKey| (from..to).contains(&key.second) && wanted(key) && success(key);
                percentile_ms(&traffic.latencies(inside), *share)
            }
        }
    }
}

/// Measures what was published, over the repetitions of one cell.
pub fn compare(run: &Run, cell: &Cell) -> Vec<Comparison> {
    run.reference
        .iter()
        .map(|published| Comparison {
            window: window(published, cell.recalc_period),
            measured: measure(run, cell, published),
            published: published.clone(),
        })
        .collect()
}

fn window(published: &ReferenceValue, period: Option<f64>) -> Option<(f64, Option<f64>)> {
    let from = published.from.seconds(period)?;
    match published.to {
        None => Some((from, None)),
        Some(to) => Some((from, Some(to.seconds(period)?))),
    }
}

fn measure(run: &Run, cell: &Cell, published: &ReferenceValue) -> Option<Estimate> {
    let (from, to) = window(published, cell.recalc_period)?;
    let (flow, name) = split_flow(run, &published.series);
    let quantity = Quantity::parse(name, |name| is_node(run, cell, name))?;
    // Only seconds that lie wholly inside the window count.
    let from = from.ceil() as i64;
    let to = to.map_or(i64::MAX, |to| to.floor() as i64);
    let values: Vec<f64> = cell
        .repetitions
        .iter()
        .filter_map(|repetition| quantity.measure(&run.names, &repetition.traffic, flow, from, to))
        .collect();
    Estimate::of(&values)
}

/// Splits `FLOW/SERIES`; a slash that follows no flow's name belongs to the series.
fn split_flow<'a>(run: &Run, series: &'a str) -> (Option<FlowId>, &'a str) {
    let flow = series.split_once('/').and_then(|(flow, rest)| {
        let index = run.names.flows().iter().position(|known| known == flow)?;
        Some((FlowId::try_from(index).ok()?, rest))
    });
    match flow {
        Some((id, rest)) => (Some(id), rest),
        None => (None, series),
    }
}

/// A node that served is a node; one of the lab that served nothing is one as well, and its rate is zero.
pub(crate) fn is_node(run: &Run, cell: &Cell, name: &str) -> bool {
    let served = |outcome: &Outcome| matches!(outcome, Outcome::Served(node) if node == name);
    let mut labs = cell
        .repetitions
        .iter()
        .filter_map(|repetition| repetition.lab.as_ref());
    run.names.outcomes().iter().any(served) || labs.any(|lab| lab.nodes.iter().any(|node| node.name == name))
}

impl Comparison {
    /// The window as people write it: `15–40 s`.
    pub fn window_text(&self) -> String {
        let written = |moment: Moment| match moment {
            Moment::Seconds(seconds) => format!("{seconds} s"),
            Moment::Periods(periods) => format!("{periods} T"),
        };
        match self.window {
            Some((from, Some(to))) => format!("{from}–{to} s"),
            Some((from, None)) => format!("from {from} s"),
            None => match self.published.to {
                Some(to) => format!("{}–{}", written(self.published.from), written(to)),
                None => format!("from {}", written(self.published.from)),
            },
        }
    }
}
