//! Estimates and how sure they are.

/// An estimate with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Estimate {
    fn around(value: f64, half_width: f64) -> Estimate {
        Estimate {
            value,
            low: value - half_width,
            high: value + half_width,
        }
    }

    /// Half the width of the interval.
    pub(super) fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// Quantiles of the normal distribution for two-sided 95 % and 99 %.
const Z95: f64 = 1.959_964;
const Z99: f64 = 2.575_829;

/// Mean with its 95 % interval (normal approximation; samples are hundreds). None without samples.
pub(super) fn mean(samples: &[f64]) -> Option<Estimate> {
    let count = samples.len() as f64;
    if samples.is_empty() {
        return None;
    }
    let mean = samples.iter().sum::<f64>() / count;
    Some(Estimate::around(mean, Z95 * deviation(samples) / count.sqrt()))
}

/// Standard deviation of the sample.
pub(super) fn deviation(samples: &[f64]) -> f64 {
    if samples.len() < 2 {
        return 0.0;
    }
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
    (squares / (samples.len() - 1) as f64).sqrt()
}

/// Standard deviation with its 95 % interval, from the fourth moment (so that it holds for any distribution).
pub(super) fn deviation_estimate(samples: &[f64]) -> Option<Estimate> {
    let count = samples.len() as f64;
    let deviation = deviation(samples);
    if samples.len() < 8 || deviation == 0.0 {
        return None;
    }
    let mean = samples.iter().sum::<f64>() / count;
    let fourth = samples.iter().map(|sample| (sample - mean).powi(4)).sum::<f64>() / count;
    let variance_error = ((fourth - deviation.powi(4)).max(0.0) / count).sqrt();
    Some(Estimate::around(
        deviation,
        Z95 * variance_error / (2.0 * deviation),
    ))
}

/// Share of `hits` in `count` with Wilson's 99 % score interval (Wilson 1927): it holds for small shares too.
pub(super) fn share(hits: u32, count: u32) -> Option<Estimate> {
    if count == 0 {
        return None;
    }
    let (hits, count) = (f64::from(hits), f64::from(count));
    let value = hits / count;
    let square = Z99 * Z99;
    let centre = (value + square / (2.0 * count)) / (1.0 + square / count);
    let half = Z99 / (1.0 + square / count)
        * (value * (1.0 - value) / count + square / (4.0 * count * count)).sqrt();
    // At the ends the two terms are equal, but not to the last bit.
    Some(Estimate {
        value,
        low: if hits == 0.0 {
            0.0
        } else {
            (centre - half).max(0.0)
        },
        high: if hits == count {
            1.0
        } else {
            (centre + half).min(1.0)
        },
    })
}

/// Nearest rank: the smallest sample that a share `quantile` of all does not exceed.
pub(super) fn quantile(samples: &[f64], quantile: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Bit/s of a transfer from points (nanoseconds, bytes so far), with a 95 % interval from ten slices. The first quarter
/// is left out: a queue that fills and a burst that is allowed after a pause are no rate.
pub(super) fn throughput(points: &[(u64, u64)]) -> Option<Estimate> {
    const SLICES: u64 = 10;
    let (end, _) = *points.last()?;
    let begin = end / 4;
    let steady: Vec<(u64, u64)> = points
        .iter()
        .copied()
        .filter(|(time, _)| *time >= begin)
        .collect();
    let (first, last) = (*steady.first()?, *steady.last()?);
    if steady.len() < 8 || last.0 <= first.0 {
        return None;
    }
    let rate = |from: (u64, u64), to: (u64, u64)| (to.1 - from.1) as f64 * 8e9 / (to.0 - from.0) as f64;
    let mut slices = Vec::new();
    let mut from = first;
    for slice in 1..=SLICES {
        let until = first.0 + (last.0 - first.0) * slice / SLICES;
        let to = steady.iter().rev().find(|(time, _)| *time <= until).copied()?;
        if to.0 > from.0 {
            slices.push(rate(from, to));
            from = to;
        }
    }
    // Student's t for nine degrees of freedom; fewer slices are rare and make the interval a little too narrow.
    let half = 2.262 * deviation(&slices) / (slices.len() as f64).sqrt();
    Some(Estimate::around(rate(first, last), half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_has_an_interval() {
        let estimate = mean(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((estimate.value - 2.5).abs() < 1e-12);
        // s = 1.29099, s / √4 = 0.645497
        assert!((estimate.half_width() - 1.959_964 * 0.645_497).abs() < 1e-5);
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn wilson_knows_that_none_of_many_is_not_never() {
        let none = share(0, 1000).unwrap();
        assert_eq!((none.value, none.low), (0.0, 0.0));
        // z² / (n + z²) = 6.634897 / 1006.634897
        assert!((none.high - 0.006_591).abs() < 1e-5, "{none:?}");
        let half = share(500, 1000).unwrap();
        assert!(half.low < 0.46 && half.high > 0.54);
    }

    #[test]
    fn quantiles_are_samples() {
        let samples: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&samples, 0.99), Some(99.0));
        assert_eq!(quantile(&samples, 0.5), Some(50.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_burst_at_the_beginning_is_no_throughput() {
        // 1000 bytes each millisecond, after 100 000 bytes at once.
        let points: Vec<(u64, u64)> = (0..1000)
            .map(|step| (step * 1_000_000, 100_000 + step * 1000))
            .collect();
        let estimate = throughput(&points).unwrap();
        assert!((estimate.value - 8e6).abs() < 1.0, "{estimate:?}");
        assert!(estimate.half_width() < 1.0);
        assert_eq!(throughput(&points[..4]), None);
    }

    #[test]
    fn a_uniform_spread_has_its_deviation() {
        let samples: Vec<f64> = (0..1000)
            .map(|step| f64::from(step) / 999.0 * 2.0 - 1.0)
            .collect();
        let estimate = deviation_estimate(&samples).unwrap();
        assert!(
            estimate.low < 1.0 / 3.0_f64.sqrt() && estimate.high > 1.0 / 3.0_f64.sqrt(),
            "{estimate:?}"
        );
    }
}
