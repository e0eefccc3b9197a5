use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::sample::{Sample, is_success};

const SIGNIFICANT_DIGITS: u8 = 3;
const NANOSECONDS_PER_MICROSECOND: u64 = 1_000;
const NANOSECONDS_PER_MILLISECOND: f64 = 1e6;

/// Counts and latencies of a set of requests.
///
/// Latencies cover every request that was sent, whatever became of it: a timeout counts with the time it waited, so
/// that dropping requests never looks like speed.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) successes: u64,
    pub(crate) forwarded: u64,
    pub(crate) not_sent: u64,
    pub(crate) by_code: BTreeMap<u16, u64>,
    pub(crate) served_by: BTreeMap<u16, u64>,
    /// In microseconds.
    latencies: Histogram<u64>,
    longest: u64,
    total: u128,
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Longest.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally {
            requests: 0,
            successes: 0,
            forwarded: 0,
            not_sent: 0,
            by_code: BTreeMap::new(),
            served_by: BTreeMap::new(),
            latencies: Histogram::new(SIGNIFICANT_DIGITS).expect("the number of digits is a valid constant"),
            longest: 0,
            total: 0,
        }
    }

    pub(crate) fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Tally {
        let mut tally = Tally::new();
        for sample in samples {
            tally.add(sample);
        }
        tally
    }

    pub(crate) fn add(&mut self, sample: &Sample) {
        self.requests += 1;
        *self.by_code.entry(sample.code).or_default() += 1;
        self.successes += u64::from(is_success(sample.code));
        self.forwarded += u64::from(sample.forwarded);
        if let Some(node) = sample.served_by() {
            *self.served_by.entry(node).or_default() += 1;
        }
        if sample.sent {
            let microseconds = sample.latency / NANOSECONDS_PER_MICROSECOND;
            // It grows as needed; only where memory addresses are too short for that is the value cut.
            if self.latencies.record(microseconds).is_err() {
                self.latencies.saturating_record(microseconds);
            }
            self.longest = self.longest.max(sample.latency);
            self.total += u128::from(sample.latency);
        } else {
            self.not_sent += 1;
        }
    }

    /// Successful responses in percent of the requests; absent without requests.
    pub(crate) fn success_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.successes as f64 * 100.0 / self.requests as f64)
    }

    /// The latency that the fraction `quantile` (0 to 1) of the requests stays within, in milliseconds.
    pub(crate) fn latency_at(&self, quantile: f64) -> Option<f64> {
        (!self.latencies.is_empty()).then(|| {
            // A bucket's upper edge may lie above the longest latency there was.
            let microseconds = self.latencies.value_at_quantile(quantile) as f64;
            (microseconds / 1e3).min(self.longest as f64 / NANOSECONDS_PER_MILLISECOND)
        })
    }

    /// Mean latency in milliseconds.
    pub(crate) fn latency_mean(&self) -> Option<f64> {
        (!self.latencies.is_empty())
            .then(|| self.total as f64 / self.latencies.len() as f64 / NANOSECONDS_PER_MILLISECOND)
    }

    /// Longest latency in milliseconds.
    pub(crate) fn latency_max(&self) -> Option<f64> {
        (!self.latencies.is_empty()).then(|| self.longest as f64 / NANOSECONDS_PER_MILLISECOND)
    }

    /// The usual figures; absent when no request was sent.
    pub(crate) fn latency_summary(&self) -> Option<LatencySummary> {
        Some(LatencySummary {
            p50: self.latency_at(0.50)?,
            p95: self.latency_at(0.95)?,
            p99: self.latency_at(0.99)?,
            max: self.latency_max()?,
            mean: self.latency_mean()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::test_sample;

    #[test]
    fn counts_by_status_and_node() {
        let samples = [
            Sample {
                code: 200,
                answered_by: Some(0),
                ..test_sample()
            },
            Sample {
                code: 200,
                answered_by: Some(1),
                forwarded: true,
                ..test_sample()
            },
            Sample {
                code: 302,
                answered_by: Some(1),
                forwarded: true,
                ..test_sample()
            },
            Sample {
                code: 400,
                ..test_sample()
            },
            Sample {
                code: 503,
                answered_by: Some(0),
                ..test_sample()
            },
            Sample {
                code: 0,
                sent: false,
                ..test_sample()
            },
        ];
        let tally = Tally::of(&samples);
        assert_eq!(
            (tally.requests, tally.successes, tally.forwarded, tally.not_sent),
            (6, 3, 2, 1)
        );
        assert_eq!(
            tally.by_code,
            BTreeMap::from([(0, 1), (200, 2), (302, 1), (400, 1), (503, 1)])
        );
        assert_eq!(tally.served_by, BTreeMap::from([(0, 1), (1, 2)]));
    }

    #[test]
    fn quantiles_are_right_to_three_digits() {
        let samples: Vec<Sample> = (1..=10_000)
            .map(|number| Sample {
                latency: number * 10_000,
                ..test_sample()
            }) // 0.01 ms to 100 ms
            .collect();
        let tally = Tally::of(&samples);
        for (quantile, expected) in [
            (0.5, 50.0),
            (0.95, 95.0),
            (0.99, 99.0),
            (0.999, 99.9),
            (1.0, 100.0),
        ] {
            let measured = tally.latency_at(quantile).unwrap();
            assert!(
                (measured / expected - 1.0).abs() < 0.001,
                "q{quantile}: {measured} for {expected}"
            );
        }
        assert_eq!(tally.latency_max(), Some(100.0));
        assert!((tally.latency_mean().unwrap() - 50.005).abs() < 1e-9);
    }

    #[test]
    fn a_request_that_was_not_sent_has_no_latency() {
        let unsent = Sample {
            code: 0,
            sent: false,
            latency: 5_000_000_000,
            ..test_sample()
        };
        assert_eq!(Tally::of(&[unsent]).latency_summary(), None);
        let both = Tally::of(&[
            unsent,
            Sample {
                latency: 2_000_000,
                ..test_sample()
            },
        ]);
        assert_eq!(both.latency_max(), Some(2.0));
    }
}
