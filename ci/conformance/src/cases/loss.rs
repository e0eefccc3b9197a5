//! Loss.

use std::time::Duration;

use dfaas_model::GilbertElliott;

use crate::bench::{Bench, Refusal};
use crate::statistics::{binomial, correlated_binomial, geometric_mean};
use crate::table::Row;
use crate::traffic::{Outcome, Stream, send};

/// Datagrams of each case.
const COUNT: u32 = 10_000;

fn stream(bench: &Bench, seed: u64, keys: &str) -> Result<Outcome, Refusal> {
    let link = bench.seeded_link(seed, keys)?;
    let (sender, receiver) = link.pair()?;
    let gap = Duration::from_micros(100);
    let outcome = send(
        sender,
        &receiver,
        Stream {
            count: COUNT,
            length: 60,
            gap,
        },
    )?;
    drop(receiver);
    link.close()?;
    Ok(outcome)
}

fn count_of(share: f64) -> f64 {
    (f64::from(COUNT) * share).round()
}

pub(super) fn independent(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let mut rows = Vec::new();
    for share in [0.001, 0.02, 0.3] {
        let outcome = stream(bench, 1, &format!("loss: {}%", share * 100.0))?;
        let bounds = binomial(f64::from(COUNT), share);
        rows.push(Row::between(
            "lost",
            count_of(share),
            outcome.lost() as f64,
            bounds,
        ));
        // A loss is followed by another with the same probability.
        let (bursts, lost) = (outcome.bursts().len() as f64, outcome.lost() as f64);
        let follow = lost - bursts;
        rows.push(Row::between(
            "losses after a loss",
            (lost * share).round(),
            follow,
            binomial(lost, share),
        ));
    }
    Ok(rows)
}

pub(super) fn correlated(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let (share, correlation) = (0.05, 0.4);
    let outcome = stream(bench, 1, "loss: 5%, loss_correlation: 40%")?;
    let (bursts, lost) = (outcome.bursts().len() as f64, outcome.lost() as f64);
    let follow = correlation + (1.0 - correlation) * share;
    let bounds = correlated_binomial(f64::from(COUNT), share, correlation);
    Ok(vec![
        Row::between("lost", count_of(share), lost, bounds),
        Row::between(
            "losses after a loss",
            (lost * follow).round(),
            lost - bursts,
            binomial(lost, follow),
        ),
    ])
}

pub(super) fn bursts(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let (share, length) = (0.05, 6.0);
    let outcome = stream(bench, 1, "loss: 5%, loss_burst: 6")?;
    let bursts = outcome.bursts();
    let (number, lost) = (bursts.len() as f64, outcome.lost() as f64);
    let channel = GilbertElliott::of_bursts(share, length);
    let bounds = correlated_binomial(f64::from(COUNT), share, 1.0 - channel.p - channel.r);
    Ok(vec![
        Row::between("lost", count_of(share), lost, bounds),
        Row::between(
            "mean burst, packets",
            length,
            lost / number,
            geometric_mean(number, length),
        ),
    ])
}

pub(super) fn gilbert_elliott(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let channel = GilbertElliott {
        p: 0.05,
        r: 0.2,
        bad: 0.7,
        good: 0.01,
    };
    let outcome = stream(bench, 1, "gilbert_elliott: { p: 5%, r: 20%, bad: 70%, good: 1% }")?;
    let share = channel.mean_loss();
    // States of neighbours are correlated by 1 - p - r, their losses by less.
    let bounds = correlated_binomial(f64::from(COUNT), share, 1.0 - channel.p - channel.r);
    Ok(vec![Row::between(
        "lost",
        count_of(share),
        outcome.lost() as f64,
        bounds,
    )])
}

pub(super) fn seed(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    if !bench.is_wire() {
        let reason = "decisions are the kernel's; only their frequencies can be asked for".to_owned();
        return Err(Refusal::Backend(reason));
    }
    let lossy = "loss: 20%";
    let first = stream(bench, 1, lossy)?.survived();
    let again = stream(bench, 1, lossy)?.survived();
    let later = stream(bench, 1, "loss: 20%, delay: 20ms, jitter: 2ms, duplicate: 10%")?.survived();
    let other = stream(bench, 2, lossy)?.survived();
    let differing = |other: &[bool]| first.iter().zip(other).filter(|(a, b)| a != b).count();
    Ok(vec![
        Row::between("other fates, same seed", 0, differing(&again) as f64, [0.0, 0.0]),
        Row::between(
            "other fates, more effects",
            0,
            differing(&later) as f64,
            [0.0, 0.0],
        ),
        Row::between(
            "other fates, other seed",
            count_of(0.32),
            differing(&other) as f64,
            binomial(f64::from(COUNT), 0.32),
        ),
    ])
}
