//! Delay and jitter.

use std::time::Duration;

use dfaas_model::JitterDistribution;

use crate::bench::{Bench, LATENESS, Refusal};
use crate::statistics::{correlated_binomial, moments, quantile, quantile_range};
use crate::table::Row;
use crate::traffic::{Outcome, Stream, send};

const MILLISECOND: Duration = Duration::from_millis(1);
/// Delay and jitter of the cases below, in milliseconds.
const DELAY: f64 = 60.0;
const JITTER: f64 = 12.0;
/// Places at which a distribution is compared.
const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

fn stream(bench: &Bench, keys: &str, count: u32) -> Result<Outcome, Refusal> {
    let link = bench.link(keys)?;
    let (sender, receiver) = link.pair()?;
    let outcome = send(
        sender,
        &receiver,
        Stream {
            count,
            length: 100,
            gap: MILLISECOND,
        },
    )?;
    drop(receiver);
    link.close()?;
    Ok(outcome)
}

pub(super) fn constant(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let mut rows = Vec::new();
    for asked in [5.0, 80.0] {
        let delays = stream(bench, &format!("delay: {asked}ms"), 400)?.sorted_delays();
        let bounds = [asked, asked + LATENESS];
        rows.push(Row::between(
            "shortest, ms",
            asked,
            quantile(&delays, 0.0),
            [asked, f64::INFINITY],
        ));
        rows.push(Row::between("middle, ms", asked, quantile(&delays, 0.5), bounds));
    }
    Ok(rows)
}

/// Compares the delays of packets that need not keep their order with a distribution.
fn distribution(bench: &Bench, shape: JitterDistribution, more: &str) -> Result<Vec<Row>, Refusal> {
    let keys = format!("delay: {DELAY}ms, jitter: {JITTER}ms, distribution: {shape}, ordered: false{more}");
    let delays = stream(bench, &keys, 1500)?.sorted_delays();
    let expected = Deviations::of(&shape);
    let (asked_mean, asked_deviation) = expected.moments();
    let (mean, deviation) = moments(&delays);
    let mut rows = vec![Row::between(
        "packets",
        1500,
        delays.len() as f64,
        [1500.0, 1500.0],
    )];
    for place in QUANTILES {
        let [low, high] = quantile_range(delays.len(), place).map(|at| DELAY + JITTER * expected.at(at));
        let asked = format!("{:.2}", DELAY + JITTER * expected.at(place));
        let what = format!("{} %, ms", place * 100.0);
        rows.push(Row::between(
            &what,
            asked,
            quantile(&delays, place),
            [low, high + LATENESS],
        ));
    }
    // For people: late packets of a busy machine would spoil both, so the quantiles are what is judged.
    let shown = |what: &str, asked: f64, measured: f64| {
        Row::holds(what, format!("{asked:.2}"), format!("{measured:.2}"), true)
    };
    rows.push(shown("mean, ms (not judged)", DELAY + JITTER * asked_mean, mean));
    rows.push(shown(
        "deviation, ms (not judged)",
        JITTER * asked_deviation,
        deviation,
    ));
    Ok(rows)
}

/// A distribution of deviations from the delay, in jitters.
struct Deviations(Option<Vec<f64>>);

impl Deviations {
    fn of(shape: &JitterDistribution) -> Deviations {
        Deviations(shape.table().map(|table| {
            let mut values: Vec<f64> = table
                .values()
                .iter()
                .map(|&value| f64::from(value) / 8192.0)
                .collect();
            values.sort_by(f64::total_cmp);
            values
        }))
    }

    fn at(&self, probability: f64) -> f64 {
        match &self.0 {
            None => probability * 2.0 - 1.0,
            Some(values) => quantile(values, probability),
        }
    }

    fn moments(&self) -> (f64, f64) {
        match &self.0 {
            None => (0.0, 1.0 / 3_f64.sqrt()),
            Some(values) => moments(values),
        }
    }
}

pub(super) fn uniform(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    distribution(bench, JitterDistribution::Uniform, "")
}

pub(super) fn normal(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    distribution(bench, JitterDistribution::Normal, "")
}

pub(super) fn pareto(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    distribution(bench, JitterDistribution::Pareto, "")
}

pub(super) fn paretonormal(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    distribution(bench, JitterDistribution::Paretonormal, "")
}

/// Neighbours have the same jitter as often as asked: then, and half of the other times, both are above the middle or
/// both below it.
pub(super) fn correlated(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    const CORRELATION: f64 = 0.6;
    let keys = format!("delay: {DELAY}ms, jitter: {JITTER}ms, delay_correlation: 60%, ordered: false");
    let outcome = stream(bench, &keys, 1500)?;
    let middle = quantile(&outcome.sorted_delays(), 0.5);
    let delays = outcome.delays();
    let same_side = |pair: &&[f64]| (pair[0] > middle) == (pair[1] > middle);
    let pairs = delays.len() as f64 - 1.0;
    let alike = CORRELATION + (1.0 - CORRELATION) / 2.0;
    let (mean, deviation) = moments(&delays);
    Ok(vec![
        Row::between(
            "pairs on one side",
            (pairs * alike).round(),
            delays.windows(2).filter(same_side).count() as f64,
            correlated_binomial(pairs, alike, CORRELATION),
        ),
        Row::holds(
            "deviation, ms (not judged)",
            format!("{:.2}", JITTER / 3_f64.sqrt()),
            format!("{deviation:.2} around {mean:.2}"),
            true,
        ),
    ])
}

pub(super) fn ordered(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let keys = |ordered: bool| format!("delay: {DELAY}ms, jitter: {JITTER}ms, ordered: {ordered}");
    let ordered = stream(bench, &keys(true), 800)?;
    let free = stream(bench, &keys(false), 800)?;
    Ok(vec![
        Row::between("packets, ordered", 800, ordered.came.len() as f64, [800.0, 800.0]),
        Row::holds(
            "in order, ordered",
            "yes",
            ordered.is_in_order(),
            ordered.is_in_order(),
        ),
        Row::holds(
            "in order, not ordered",
            "no",
            free.is_in_order(),
            !free.is_in_order(),
        ),
    ])
}
