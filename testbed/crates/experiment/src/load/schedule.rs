use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::plan::{Arrivals, Stage};

const NANOSECONDS: f64 = 1e9;

/// The intended send times of one flow, as distances from the flow's start, in order.
///
/// The times depend on the arrivals alone, never on how the requests fare: that is what makes the load open-loop.
#[derive(Debug)]
pub struct Schedule {
    duration: Duration,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Rate {
        per_second: f64,
        counts: Counts,
    },
    Stages {
        stages: Vec<Stage>,
        current: usize,
        begins: Duration,
        sent_before: f64,
        counts: Counts,
    },
    Trace {
        times: std::vec::IntoIter<Duration>,
    },
}

/// How many requests the rate makes due before the next one: whole numbers, or the arrivals of a Poisson process of rate 1. Time is
/// then stretched by the asked rate, which makes it one of that rate, constant or not (time change of a Poisson process).
#[derive(Debug)]
enum Counts {
    Even(u64),
    Poisson { random: Box<ChaCha12Rng>, sum: f64 },
}

impl Counts {
    fn new(seed: Option<u64>) -> Counts {
        seed.map_or(Counts::Even(0), |seed| Counts::Poisson {
            random: Box::new(ChaCha12Rng::seed_from_u64(seed)),
            sum: 0.0,
        })
    }

    fn next(&mut self) -> f64 {
        match self {
            Counts::Even(next) => {
                let count = *next as f64;
                *next += 1;
                count
            }
            Counts::Poisson { random, sum } => {
                // Inverse transform sampling; 1 - u is in (0, 1], so the logarithm is finite.
                let uniform: f64 = random.random();
                *sum -= (1.0 - uniform).ln();
                *sum
            }
        }
    }
}

impl Schedule {
    /// The send times of `arrivals` that lie before `duration`. Rates that are not above zero give none.
    pub fn new(arrivals: &Arrivals, duration: Duration) -> Schedule {
        let rate = |per_second: f64, seed: Option<u64>| Source::Rate {
            per_second,
            counts: Counts::new(seed),
        };
        let source = match arrivals {
            Arrivals::Constant { per_second } => rate(*per_second, None),
            Arrivals::Poisson { per_second, seed } => rate(*per_second, Some(*seed)),
            Arrivals::Stages { stages, seed } => Source::Stages {
                stages: stages.clone(),
                current: 0,
                begins: Duration::ZERO,
                sent_before: 0.0,
                counts: Counts::new(*seed),
            },
            Arrivals::Trace { times } => Source::Trace {
                times: times.clone().into_iter(),
            },
        };
        Schedule { duration, source }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let due = match &mut self.source {
            Source::Rate { per_second, counts } => {
                whole_nanoseconds(counts.next() * NANOSECONDS / *per_second)?
            }
            Source::Stages {
                stages,
                current,
                begins,
                sent_before,
                counts,
            } => {
                let count = counts.next();
                loop {
                    let stage = stages.get(*current)?;
                    if let Some(seconds) = seconds_into(stage, count - *sent_before) {
                        break *begins + whole_nanoseconds(seconds * NANOSECONDS)?;
                    }
                    *sent_before += area(stage);
                    *begins += stage.duration;
                    *current += 1;
                }
            }
            Source::Trace { times } => times.next()?,
        };
        (due < self.duration).then_some(due)
    }
}

fn whole_nanoseconds(nanoseconds: f64) -> Option<Duration> {
    // `as` saturates; what is not finite or beyond 500 years is no send time.
    (nanoseconds.is_finite() && nanoseconds >= 0.0 && nanoseconds < u64::MAX as f64)
        .then(|| Duration::from_nanos(nanoseconds.round() as u64))
}

/// Requests a whole stage sends.
fn area(stage: &Stage) -> f64 {
    (stage.from + stage.to) / 2.0 * stage.duration.as_secs_f64()
}

/// When, in seconds after the stage's begin, `count` requests are due; absent when the stage ends before that.
///
/// The number due after x seconds is `from·x + slope·x²/2`; this is its inverse in the form that does not cancel.
fn seconds_into(stage: &Stage, count: f64) -> Option<f64> {
    let length = stage.duration.as_secs_f64();
    // The last instant belongs to the next stage.
    if count >= area(stage) || length <= 0.0 {
        return None;
    }
    let count = count.max(0.0);
    let slope = (stage.to - stage.from) / length;
    let root = (stage.from * stage.from + 2.0 * slope * count).max(0.0).sqrt();
    let seconds = if count == 0.0 {
        0.0
    } else {
        2.0 * count / (stage.from + root)
    };
    Some(seconds.min(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(arrivals: Arrivals, seconds: u64) -> Vec<Duration> {
        Schedule::new(&arrivals, Duration::from_secs(seconds)).collect()
    }

    #[test]
    fn constant_rate_is_exact_in_every_window() {
        for (rate, seconds) in [
            (50.0, 40),
            (30.0, 40),
            (3.0, 7),
            (5000.0, 2),
            (0.5, 10),
            (0.1, 100),
        ] {
            let times = due(Arrivals::Constant { per_second: rate }, seconds);
            assert_eq!(times.len() as f64, (rate * seconds as f64).round(), "rate {rate}");
            let first_half = times
                .iter()
                .filter(|time| time.as_secs_f64() < seconds as f64 / 2.0)
                .count();
            assert_eq!(
                first_half as f64,
                (rate * seconds as f64 / 2.0).ceil(),
                "rate {rate}"
            );
            assert_eq!(times[0], Duration::ZERO);
        }
    }

    #[test]
    fn poisson_depends_on_the_seed_alone() {
        let arrivals = |seed| Arrivals::Poisson {
            per_second: 200.0,
            seed,
        };
        assert_eq!(due(arrivals(7), 50), due(arrivals(7), 50));
        assert_ne!(due(arrivals(7), 50), due(arrivals(8), 50));
    }

    #[test]
    fn poisson_has_the_mean_and_the_spread_of_an_exponential() {
        let times = due(
            Arrivals::Poisson {
                per_second: 200.0,
                seed: 1,
            },
            100,
        );
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        // 20,000 gaps: the mean's standard error is 0.7 %, so 3 % is more than four of them.
        assert!((mean * 200.0 - 1.0).abs() < 0.03, "mean gap {mean}");
        assert!(
            (deviation / mean - 1.0).abs() < 0.05,
            "deviation {deviation}, mean {mean}"
        );
    }

    #[test]
    fn stages_ramp_linearly_and_join_without_a_gap() {
        let stage = |from, to, seconds| Stage {
            from,
            to,
            duration: Duration::from_secs(seconds),
        };
        let times = due(
            Arrivals::Stages {
                stages: vec![stage(0.0, 100.0, 10), stage(100.0, 100.0, 5), stage(0.0, 0.0, 5)],
                seed: None,
            },
            20,
        );
        let count = |from: f64, to: f64| {
            times
                .iter()
                .filter(|time| (from..to).contains(&time.as_secs_f64()))
                .count()
        };
        assert_eq!(times.len(), 1000);
        assert_eq!(count(0.0, 10.0), 500);
        assert_eq!(count(0.0, 5.0), 125);
        assert_eq!(count(10.0, 15.0), 500);
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn independent_requests_follow_a_rate_that_changes() {
        let stage = |from, to, seconds| Stage {
            from,
            to,
            duration: Duration::from_secs(seconds),
        };
        let arrivals = |seed| Arrivals::Stages {
            stages: vec![stage(0.0, 200.0, 100), stage(0.0, 0.0, 0), stage(50.0, 50.0, 100)],
            seed: Some(seed),
        };
        let times = due(arrivals(3), 300);
        let count = |from: f64, to: f64| {
            let within = times
                .iter()
                .filter(|time| (from..to).contains(&time.as_secs_f64()));
            within.count() as f64
        };
        // The count is Poisson distributed, so one count in 16,000 is further off than four times its root.
        for (from, to, expected) in [
            (0.0, 50.0, 2_500.0),
            (50.0, 100.0, 7_500.0),
            (100.0, 200.0, 5_000.0),
        ] {
            let off = count(from, to) - expected;
            assert!(off.abs() < 4.0 * f64::sqrt(expected), "{from} to {to} s: {off}");
        }
        assert!(times.iter().all(|time| *time < Duration::from_secs(200)));
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(times, due(arrivals(3), 300));
        assert_ne!(times, due(arrivals(4), 300));
    }

    #[test]
    fn recorded_times_are_kept() {
        let times: Vec<Duration> = [0, 3, 3, 950, 2_000].map(Duration::from_millis).into();
        let arrivals = Arrivals::Trace { times: times.clone() };
        assert_eq!(due(arrivals.clone(), 3), times);
        assert_eq!(due(arrivals, 2), times[..4], "the end is not part of it");
    }

    #[test]
    fn what_lies_beyond_the_duration_is_cut_and_a_zero_rate_sends_nothing() {
        let stages = vec![Stage {
            from: 10.0,
            to: 10.0,
            duration: Duration::from_secs(10),
        }];
        assert_eq!(due(Arrivals::Stages { stages, seed: None }, 3).len(), 30);
        assert_eq!(due(Arrivals::Constant { per_second: 0.0 }, 3).len(), 0);
        assert_eq!(
            due(
                Arrivals::Poisson {
                    per_second: 0.0,
                    seed: 1
                },
                3
            )
            .len(),
            0
        );
    }
}
