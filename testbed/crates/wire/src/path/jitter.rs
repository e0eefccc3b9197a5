//! Jitter: how far a packet's delay strays from the delay of the link.

use super::nanoseconds;
use crate::random::{Correlated, Stream};
use crate::{Impairment, JitterDistribution};

/// Draws the jitter of packets.
#[derive(Debug)]
pub(super) struct Jitter {
    jitter: u64,
    distribution: JitterDistribution,
    numbers: Correlated,
}

impl Jitter {
    pub(super) fn new(stream: Stream) -> Jitter {
        Jitter {
            jitter: 0,
            distribution: JitterDistribution::default(),
            numbers: Correlated::new(stream),
        }
    }

    pub(super) fn set(&mut self, impairment: &Impairment) {
        self.jitter = nanoseconds(impairment.jitter);
        self.distribution = impairment.jitter_distribution.clone();
        self.numbers.set(impairment.delay_correlation);
    }

    pub(super) fn is_on(&self) -> bool {
        self.jitter > 0
    }

    /// What is added to the delay of packet `index`, in nanoseconds.
    pub(super) fn of(&mut self, index: u64) -> i64 {
        if self.jitter == 0 {
            return 0;
        }
        let number = self.numbers.fraction(index);
        match &self.distribution {
            JitterDistribution::Uniform => ((number * 2.0 - 1.0) * self.jitter as f64).round() as i64,
            JitterDistribution::Table(values) => {
                let place = (number * values.len() as f64) as usize;
                scaled(values.get(place).copied().unwrap_or(0), self.jitter)
            }
        }
    }
}

/// The lowest that a distribution can make of a jitter, in nanoseconds.
pub(super) fn lowest(impairment: &Impairment) -> i64 {
    let jitter = nanoseconds(impairment.jitter);
    match &impairment.jitter_distribution {
        JitterDistribution::Uniform => scaled(-(JitterDistribution::SCALE as i16), jitter),
        JitterDistribution::Table(values) => scaled(values.iter().copied().min().unwrap_or(0), jitter),
    }
}

fn scaled(value: i16, jitter: u64) -> i64 {
    let product = i128::from(value) * i128::from(jitter);
    let scale = i128::from(JitterDistribution::SCALE);
    // Rounded to the nearest.
    i64::try_from((product + scale / 2).div_euclid(scale)).unwrap_or(i64::MAX)
}
