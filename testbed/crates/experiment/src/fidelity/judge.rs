//! From what was received to a verdict per parameter.

use super::asked::Asked;
use super::report::{ParameterReport, ParameterVerdict};
use super::statistics::{Estimate, deviation_estimate, mean, quantile, share, throughput};

/// A mean delay may be off by this, in seconds, or by [`SHARE`] of what was asked if that is more, beside the width of
/// its interval.
const DELAY: f64 = 0.1e-3;
/// One packet in a hundred may be late by this, in seconds.
const TAIL: f64 = 0.5e-3;
/// A rate may be off by this share; a delay too.
const SHARE: f64 = 0.01;
/// A jitter may be off by this share.
const JITTER_SHARE: f64 = 0.1;

/// What one end received, and what the other sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Received {
    /// Probes sent.
    pub(super) sent: u32,
    /// Bytes of each.
    pub(super) probe_bytes: usize,
    /// One-way delays of probes, nanoseconds.
    pub(super) delays: Vec<i64>,
    /// Points of the bulk transfer; none if there was none.
    pub(super) bulk: Option<Vec<(u64, u64)>>,
    /// Largest packet asked for, bytes.
    pub(super) mtu: u32,
    /// Whether packets of that size arrived.
    pub(super) long_arrived: bool,
    /// Whether longer ones were sent all the same.
    pub(super) longer_sent: bool,
}

/// All parameters of one direction.
pub(super) fn judge(asked: &Asked, received: &Received) -> Vec<ParameterReport> {
    // A probe occupies a slow link for a moment; that is no delay of the link's own.
    let transmission = asked
        .rate
        .map_or(0.0, |rate| received.probe_bytes as f64 * 8.0 / rate as f64);
    let delays: Vec<f64> = received
        .delays
        .iter()
        .map(|delay| *delay as f64 / 1e9 - transmission)
        .collect();
    let mut all = vec![delay(asked, &delays)];
    all.push(tail(asked, &delays));
    if !asked.jitter.is_zero() {
        all.push(jitter(asked, &delays));
    }
    all.push(loss(asked, received));
    if let Some(rate) = asked.rate {
        all.push(self::rate(rate, received.bulk.as_deref()));
    }
    all.push(mtu(received));
    all.extend(asked.others.iter().map(|key| ParameterReport {
        note: "this cannot be measured".to_owned(),
        ..parameter(key, "", None, None, ParameterVerdict::NotJudged)
    }));
    all
}

fn parameter(
    name: &str,
    unit: &str,
    asked: Option<f64>,
    measured: Option<Estimate>,
    verdict: ParameterVerdict,
) -> ParameterReport {
    ParameterReport {
        name: name.to_owned(),
        unit: unit.to_owned(),
        asked,
        measured: measured.map(|estimate| estimate.value),
        low: measured.map(|estimate| estimate.low),
        high: measured.map(|estimate| estimate.high),
        verdict,
        note: String::new(),
    }
}

fn good(is_good: bool) -> ParameterVerdict {
    if is_good {
        ParameterVerdict::Good
    } else {
        ParameterVerdict::Off
    }
}

fn in_milliseconds(estimate: Estimate) -> Estimate {
    Estimate {
        value: estimate.value * 1e3,
        low: estimate.low * 1e3,
        high: estimate.high * 1e3,
    }
}

fn nothing_arrived(name: &str, unit: &str, asked: Option<f64>, all_lost: bool) -> ParameterReport {
    let verdict = if all_lost {
        ParameterVerdict::NotJudged
    } else {
        ParameterVerdict::Off
    };
    ParameterReport {
        note: "too few packets arrived".to_owned(),
        ..parameter(name, unit, asked, None, verdict)
    }
}

fn delay(asked: &Asked, delays: &[f64]) -> ParameterReport {
    let wanted = asked.delay.as_secs_f64();
    let Some(estimate) = mean(delays) else {
        return nothing_arrived("delay", "ms", Some(wanted * 1e3), asked.loss > 0.99);
    };
    let tolerance = DELAY.max(wanted * SHARE) + estimate.half_width();
    let verdict = match asked.deviation() {
        Some(_) => good((estimate.value - wanted).abs() <= tolerance),
        None => ParameterVerdict::NotJudged,
    };
    parameter(
        "delay",
        "ms",
        Some(wanted * 1e3),
        Some(in_milliseconds(estimate)),
        verdict,
    )
}

fn tail(asked: &Asked, delays: &[f64]) -> ParameterReport {
    let wanted = asked.delay_p99();
    let unit = "ms";
    let Some(measured) = quantile(delays, 0.99) else {
        return nothing_arrived(
            "delay-p99",
            unit,
            wanted.map(|wanted| wanted * 1e3),
            asked.loss > 0.99,
        );
    };
    let verdict = match wanted {
        Some(wanted) => good(measured <= wanted + TAIL + asked.jitter.as_secs_f64() * JITTER_SHARE),
        None => ParameterVerdict::NotJudged,
    };
    ParameterReport {
        measured: Some(measured * 1e3),
        ..parameter(
            "delay-p99",
            unit,
            wanted.map(|wanted| wanted * 1e3),
            None,
            verdict,
        )
    }
}

fn jitter(asked: &Asked, delays: &[f64]) -> ParameterReport {
    let wanted = asked.deviation();
    let Some(estimate) = deviation_estimate(delays) else {
        return nothing_arrived(
            "jitter",
            "ms",
            wanted.map(|wanted| wanted * 1e3),
            asked.loss > 0.99,
        );
    };
    let verdict = match wanted {
        Some(wanted) => {
            let tolerance = DELAY.max(wanted * JITTER_SHARE) + estimate.half_width();
            good((estimate.value - wanted).abs() <= tolerance)
        }
        None => ParameterVerdict::NotJudged,
    };
    ParameterReport {
        note: "standard deviation".to_owned(),
        ..parameter(
            "jitter",
            "ms",
            wanted.map(|wanted| wanted * 1e3),
            Some(in_milliseconds(estimate)),
            verdict,
        )
    }
}

fn loss(asked: &Asked, received: &Received) -> ParameterReport {
    let arrived = u32::try_from(received.delays.len()).unwrap_or(u32::MAX);
    let lost = received.sent.saturating_sub(arrived);
    let Some(estimate) = share(lost, received.sent) else {
        return nothing_arrived("loss", "%", Some(asked.loss * 100.0), false);
    };
    let verdict = good((estimate.low..=estimate.high).contains(&asked.loss));
    let percent = Estimate {
        value: estimate.value * 100.0,
        low: estimate.low * 100.0,
        high: estimate.high * 100.0,
    };
    parameter("loss", "%", Some(asked.loss * 100.0), Some(percent), verdict)
}

fn rate(wanted: u64, bulk: Option<&[(u64, u64)]>) -> ParameterReport {
    let asked = wanted as f64 / 1e6;
    let Some(points) = bulk else {
        return ParameterReport {
            note: "too fast to be filled by a probe".to_owned(),
            ..parameter("rate", "Mbit/s", Some(asked), None, ParameterVerdict::NotJudged)
        };
    };
    let Some(estimate) = throughput(points) else {
        return nothing_arrived("rate", "Mbit/s", Some(asked), false);
    };
    let scaled = Estimate {
        value: estimate.value / 1e6,
        low: estimate.low / 1e6,
        high: estimate.high / 1e6,
    };
    let is_good = (scaled.value - asked).abs() <= asked * SHARE + scaled.half_width();
    parameter("rate", "Mbit/s", Some(asked), Some(scaled), good(is_good))
}

fn mtu(received: &Received) -> ParameterReport {
    let verdict = good(received.long_arrived && !received.longer_sent);
    let note = match (received.long_arrived, received.longer_sent) {
        (false, _) => "packets of this size do not arrive",
        (true, true) => "longer packets can be sent too",
        (true, false) => "",
    };
    ParameterReport {
        measured: (verdict == ParameterVerdict::Good).then(|| f64::from(received.mtu)),
        note: note.to_owned(),
        ..parameter("mtu", "bytes", Some(f64::from(received.mtu)), None, verdict)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn verdicts(asked: &Asked, received: &Received) -> Vec<(String, ParameterVerdict)> {
        judge(asked, received)
            .into_iter()
            .map(|one| (one.name, one.verdict))
            .collect()
    }

    fn of(name: &str, asked: &Asked, received: &Received) -> ParameterVerdict {
        verdicts(asked, received)
            .into_iter()
            .find(|(other, _)| other == name)
            .unwrap()
            .1
    }

    /// 1000 probes over a link of 5 ms and 10 Mbit/s: 36 bytes take 28.8 µs.
    fn honest() -> (Asked, Received) {
        let asked = Asked {
            delay: Duration::from_millis(5),
            rate: Some(10_000_000),
            ..Asked::default()
        };
        let received = Received {
            sent: 1000,
            probe_bytes: 36,
            delays: (0..1000).map(|step| 5_028_800 + (step % 7) * 10_000).collect(),
            bulk: Some((0..1000).map(|step| (step * 1_211_200, step * 1514)).collect()),
            mtu: 1500,
            long_arrived: true,
            longer_sent: false,
        };
        (asked, received)
    }

    #[test]
    fn an_honest_link_is_good() {
        let (asked, received) = honest();
        assert!(
            verdicts(&asked, &received)
                .iter()
                .all(|(_, verdict)| *verdict == ParameterVerdict::Good),
            "{:?}",
            judge(&asked, &received)
        );
    }

    #[test]
    fn each_lie_is_seen_in_its_own_parameter() {
        let (asked, received) = honest();
        let late = Received {
            delays: received.delays.iter().map(|delay| delay + 400_000).collect(),
            ..received.clone()
        };
        assert_eq!(of("delay", &asked, &late), ParameterVerdict::Off);
        let mut tail = received.clone();
        tail.delays
            .iter_mut()
            .step_by(50)
            .for_each(|delay| *delay += 700_000);
        assert_eq!(of("delay-p99", &asked, &tail), ParameterVerdict::Off);
        assert_eq!(of("delay", &asked, &tail), ParameterVerdict::Good);
        let lossy = Received {
            delays: received.delays[..980].to_vec(),
            ..received.clone()
        };
        assert_eq!(of("loss", &asked, &lossy), ParameterVerdict::Off);
        let slow = Received {
            bulk: Some((0..1000).map(|step| (step * 1_250_000, step * 1514)).collect()),
            ..received.clone()
        };
        assert_eq!(of("rate", &asked, &slow), ParameterVerdict::Off);
        let short = Received {
            long_arrived: false,
            ..received.clone()
        };
        assert_eq!(of("mtu", &asked, &short), ParameterVerdict::Off);
        let silent = Received {
            delays: Vec::new(),
            bulk: Some(Vec::new()),
            ..received
        };
        assert_eq!(of("delay", &asked, &silent), ParameterVerdict::Off);
    }

    #[test]
    fn jitter_is_judged_by_its_deviation() {
        let asked = Asked {
            delay: Duration::from_millis(10),
            jitter: Duration::from_millis(3),
            others: vec!["reorder".to_owned()],
            ..Asked::default()
        };
        let uniform = |width: f64| Received {
            sent: 1000,
            probe_bytes: 36,
            delays: (0..1000)
                .map(|step| 10_000_000 + ((f64::from(step) / 999.0 * 2.0 - 1.0) * width * 1e6) as i64)
                .collect(),
            mtu: 1500,
            long_arrived: true,
            ..Received::default()
        };
        assert_eq!(of("jitter", &asked, &uniform(3.0)), ParameterVerdict::Good);
        assert_eq!(of("jitter", &asked, &uniform(1.5)), ParameterVerdict::Off);
        assert_eq!(of("reorder", &asked, &uniform(3.0)), ParameterVerdict::NotJudged);
    }
}
