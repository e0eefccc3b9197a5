//! Rate, burst, overhead, overload.

use std::time::Duration;

use crate::bench::{Bench, HEADERS, LATENESS, Refusal};
use crate::statistics::quantile;
use crate::table::Row;
use crate::traffic::{Arrival, Outcome, Stream, send};

/// Payload of a frame of 1514 bytes.
const FULL: usize = 1472;

/// Offers a little more than `rate` for a while, through a queue that outlasts any pause of the sender.
fn offer(bench: &Bench, rate: f64, length: usize, seconds: f64, more: &str) -> Result<Outcome, Refusal> {
    let link = bench.link(&format!("rate: {rate}bit, queue: 400ms{more}"))?;
    let (sender, receiver) = link.pair()?;
    let time = (length + HEADERS) as f64 * 8.0 / rate / 1.3;
    let stream = Stream {
        count: (seconds / time) as u32,
        length,
        gap: Duration::from_secs_f64(time),
    };
    let outcome = send(sender, &receiver, stream)?;
    drop(receiver);
    link.close()?;
    Ok(outcome)
}

/// Bit/s on layer 2 between the first and the last arrival, each frame counted with `overhead` bytes more.
fn rate_of(came: &[Arrival], length: usize, overhead: usize) -> f64 {
    let (Some(first), Some(last)) = (came.first(), came.last()) else {
        return f64::NAN;
    };
    let bits = (came.len() - 1) as f64 * (length + HEADERS + overhead) as f64 * 8.0;
    bits / (last.at - first.at).as_secs_f64()
}

/// Within 1 % of what was asked.
fn row(what: &str, asked: f64, measured: f64) -> Row {
    Row::between(what, asked, measured, [asked * 0.99, asked * 1.01])
}

fn measured(bench: &Bench, rate: f64, seconds: f64) -> Result<Vec<Row>, Refusal> {
    let outcome = offer(bench, rate, FULL, seconds, "")?;
    Ok(vec![row(
        "full frames, bit/s",
        rate,
        rate_of(&outcome.came, FULL, 0),
    )])
}

pub(super) fn slow(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let small = offer(bench, 1e6, 100, 1.2, "")?;
    let mut rows = measured(bench, 1e6, 2.0)?;
    rows.push(row("small frames, bit/s", 1e6, rate_of(&small.came, 100, 0)));
    Ok(rows)
}

pub(super) fn medium(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    measured(bench, 1e7, 1.5)
}

pub(super) fn fast(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    measured(bench, 1e8, 2.0)
}

pub(super) fn fastest(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    measured(bench, 1e9, 2.0)
}

/// A packet that meets no other takes its own time at the rate, then the delay.
pub(super) fn transmission_time(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let link = bench.link("rate: 1mbit, delay: 20ms")?;
    let (sender, receiver) = link.pair()?;
    let stream = Stream {
        count: 60,
        length: 1000 - HEADERS,
        gap: Duration::from_millis(15),
    };
    let delays = send(sender, &receiver, stream)?.sorted_delays();
    drop(receiver);
    link.close()?;
    // 1000 bytes at 1 Mbit/s are 8 ms.
    Ok(vec![
        Row::between("shortest, ms", 28, quantile(&delays, 0.0), [28.0, f64::INFINITY]),
        Row::between("middle, ms", 28, quantile(&delays, 0.5), [28.0, 28.0 + LATENESS]),
    ])
}

/// After a pause, as many packets as the burst has bytes for pass at once, and the others at the rate.
pub(super) fn burst(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let link = bench.link("rate: 1mbit, burst: 10000B, queue: 100packets")?;
    let (sender, receiver) = link.pair()?;
    let stream = Stream {
        count: 25,
        length: 1000 - HEADERS,
        gap: Duration::ZERO,
    };
    let outcome = send(sender, &receiver, stream)?;
    drop(receiver);
    link.close()?;
    // Each packet behind the burst is 8 ms later than the one before. A sender that pauses lets bytes for more gather.
    let at_once = outcome.delays().iter().filter(|&&delay| delay < 4.0).count() as f64;
    let gathered = (outcome.sending_took() / 0.008).ceil();
    let mut gaps: Vec<f64> = (outcome.came.iter().skip(at_once as usize))
        .zip(outcome.came.iter().skip(at_once as usize + 1))
        .map(|(before, next)| (next.at - before.at).as_secs_f64() * 1e3)
        .collect();
    gaps.sort_by(f64::total_cmp);
    Ok(vec![
        Row::between("packets at once", 10, at_once, [10.0, 10.0 + gathered]),
        Row::between("packets in all", 25, outcome.came.len() as f64, [25.0, 25.0]),
        Row::between(
            "gap of the rest, middle, ms",
            8,
            quantile(&gaps, 0.5),
            [8.0 * 0.99, 8.0 * 1.01],
        ),
    ])
}

pub(super) fn overhead(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let outcome = offer(bench, 1e6, 100, 1.2, ", overhead: 24")?;
    Ok(vec![row(
        "with 24 bytes more each, bit/s",
        1e6,
        rate_of(&outcome.came, 100, 24),
    )])
}

/// Twice the rate loses half, but for what the queue holds at the end.
pub(super) fn overload(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let link = bench.link("rate: 4mbit, queue: 20packets")?;
    let (sender, receiver) = link.pair()?;
    let stream = Stream {
        count: 2000,
        length: 1000 - HEADERS,
        gap: Duration::from_millis(1),
    };
    let outcome = send(sender, &receiver, stream)?;
    drop(receiver);
    link.close()?;
    // A sender that is late offers less than twice the rate; what passes is still the rate's.
    let passing = outcome.sending_took() * 4e6 / 8000.0;
    let bounds = [passing * 0.97, passing * 1.01 + 22.0];
    Ok(vec![
        Row::between(
            "of 2000, passed",
            passing.round(),
            outcome.came.len() as f64,
            bounds,
        ),
        Row::between(
            "bit/s",
            4e6,
            rate_of(&outcome.came, 1000 - HEADERS, 0),
            [4e6 * 0.97, 4e6 * 1.01],
        ),
    ])
}
