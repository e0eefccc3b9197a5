/// A mean over repetitions with the half width of its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Arithmetic mean.
    pub mean: f64,
    /// Half width of the interval; none with fewer than two values.
    pub half_width: Option<f64>,
    /// Number of values.
    pub count: usize,
}

/// Two-sided 97.5 % quantiles of Student's t distribution for 1 to 30 degrees of freedom (any statistical table).
const STUDENT_T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

impl Estimate {
    /// Estimates the mean of independent values; none without values.
    pub fn of(values: &[f64]) -> Option<Estimate> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let half_width = (count > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let deviation = (squares / (count - 1) as f64).sqrt();
            student_t(count - 1) * deviation / (count as f64).sqrt()
        });
        Some(Estimate {
            mean,
            half_width,
            count,
        })
    }
}

/// Beyond the table: the first three terms of the expansion around the normal quantile (Abramowitz and Stegun 26.7.5),
/// right to three decimals from 31 degrees of freedom on.
fn student_t(degrees: usize) -> f64 {
    const NORMAL: f64 = 1.959_964;
    match STUDENT_T.get(degrees.saturating_sub(1)) {
        Some(quantile) => *quantile,
        None => {
            let inverse = 1.0 / degrees as f64;
            let second = (NORMAL.powi(3) + NORMAL) / 4.0;
            let third = (5.0 * NORMAL.powi(5) + 16.0 * NORMAL.powi(3) + 3.0 * NORMAL) / 96.0;
            NORMAL + second * inverse + third * inverse * inverse
        }
    }
}

/// The `share` percentile (0 to 1) by nearest rank of latencies that are sorted, in milliseconds; none without values.
pub fn percentile_ms(sorted_microseconds: &[u32], share: f64) -> Option<f64> {
    let rank = (share * sorted_microseconds.len() as f64).ceil() as usize;
    let index = rank.clamp(1, sorted_microseconds.len().max(1)) - 1;
    sorted_microseconds
        .get(index)
        .map(|latency| f64::from(*latency) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_three_values_uses_two_degrees_of_freedom() {
        let estimate = Estimate::of(&[9.0, 10.0, 11.0]).unwrap();
        assert_eq!(estimate.mean, 10.0);
        let half = estimate.half_width.unwrap();
        assert!((half - 4.303 / 3f64.sqrt()).abs() < 1e-9, "{half}");
        assert_eq!(Estimate::of(&[4.0]).unwrap().half_width, None);
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn many_repetitions_approach_the_normal_distribution() {
        assert!((student_t(31) - 2.0395).abs() < 0.001);
        assert!((student_t(1000) - 1.9623).abs() < 0.001);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<u32> = (1..=100).map(|value| value * 1000).collect();
        assert_eq!(percentile_ms(&sorted, 0.5), Some(50.0));
        assert_eq!(percentile_ms(&sorted, 0.99), Some(99.0));
        assert_eq!(percentile_ms(&sorted, 1.0), Some(100.0));
        assert_eq!(percentile_ms(&[7000], 0.0), Some(7.0));
        assert_eq!(percentile_ms(&[], 0.5), None);
    }
}
