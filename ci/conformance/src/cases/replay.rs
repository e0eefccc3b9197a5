//! Links that change by themselves.

use std::time::Duration;

use crate::bench::{Bench, LATENESS, Refusal, TRACE};
use crate::statistics::quantile;
use crate::table::Row;
use crate::traffic::{Stream, send};

/// Two delays in turns, 200 ms each.
pub(super) fn pattern(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let steps = "steps: [{ at: 0s, delay: 20ms }, { at: 200ms, delay: 60ms }]";
    let link = bench.link(&format!("ordered: false, pattern: {{ every: 400ms, {steps} }}"))?;
    let (sender, receiver) = link.pair()?;
    // Three periods, so each delay has half of the packets, wherever the first one falls.
    let stream = Stream {
        count: 600,
        length: 100,
        gap: Duration::from_millis(2),
    };
    let outcome = send(sender, &receiver, stream)?;
    drop(receiver);
    link.close()?;
    let (delays, sorted) = (outcome.delays(), outcome.sorted_delays());
    // The time from each packet to the next belongs to the delay it had. Where the delay changed in between, that is
    // wrong by so long at most, and it changes six times.
    let gaps = outcome
        .sent
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs_f64());
    let gaps: Vec<f64> = gaps.collect();
    let whole: f64 = gaps.iter().sum();
    let short: f64 = (gaps.iter().zip(&delays))
        .filter(|&(_, &delay)| delay < 60.0)
        .map(|(gap, _)| gap)
        .sum();
    let longest = gaps.iter().copied().fold(0.0, f64::max);
    let error = 6.0 * longest / whole;
    Ok(vec![
        Row::between("packets", 600, delays.len() as f64, [600.0, 600.0]),
        Row::between(
            "time with the shorter delay",
            0.5,
            short / whole,
            [0.5 - error, 0.5 + error],
        ),
        Row::between(
            "middle of that, ms",
            20,
            quantile(&sorted, 0.25),
            [20.0, 20.0 + LATENESS],
        ),
        Row::between(
            "middle of the other, ms",
            60,
            quantile(&sorted, 0.75),
            [60.0, 60.0 + LATENESS],
        ),
    ])
}

/// One opportunity each five milliseconds, whatever came before.
pub(super) fn deliveries(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let link = bench.link(&format!("trace: {TRACE}, queue: 1000packets"))?;
    let (sender, receiver) = link.pair()?;
    let stream = Stream {
        count: 150,
        length: 1472,
        gap: Duration::ZERO,
    };
    let outcome = send(sender, &receiver, stream)?;
    drop(receiver);
    link.close()?;
    // The first ones may have waited for the sender.
    let (Some(early), Some(last)) = (outcome.came.get(20), outcome.came.get(149)) else {
        return Err(Refusal::Failed(format!(
            "only {} of 150 came",
            outcome.came.len()
        )));
    };
    let took = (last.at - early.at).as_secs_f64() * 1e3;
    Ok(vec![
        Row::between("full packets", 150, outcome.came.len() as f64, [150.0, 150.0]),
        Row::between("129 of them, ms", 645, took, [645.0 * 0.99, 645.0 * 1.01]),
    ])
}
