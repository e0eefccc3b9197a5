//! Intervals that a correct link leaves in one of a hundred runs of the whole table.

/// How many standard deviations a comparison may be off. All of about 60 together are to be within their bounds in 99 %
/// of runs, so each must be in 99 %^(1/60), both sides (Šidák 1967); 3.76 is that quantile of the normal distribution.
pub(crate) const DEVIATIONS: f64 = 3.76;

/// Around the count of successes in `trials` independent trials (normal approximation, with its half step of
/// continuity).
pub(crate) fn binomial(trials: f64, probability: f64) -> [f64; 2] {
    let spread = DEVIATIONS * (trials * probability * (1.0 - probability)).sqrt() + 0.5;
    let mean = trials * probability;
    [(mean - spread).max(0.0), (mean + spread).min(trials)]
}

/// As [`binomial`], when neighbours have this correlation (and those further apart its powers).
pub(crate) fn correlated_binomial(trials: f64, probability: f64, correlation: f64) -> [f64; 2] {
    let inflation = ((1.0 + correlation) / (1.0 - correlation)).sqrt();
    let spread = DEVIATIONS * (trials * probability * (1.0 - probability)).sqrt() * inflation + 0.5;
    let mean = trials * probability;
    [(mean - spread).max(0.0), (mean + spread).min(trials)]
}

/// Around the mean of `count` geometric lengths with mean `length`, of which the shortest is 1.
pub(crate) fn geometric_mean(count: f64, length: f64) -> [f64; 2] {
    let spread = DEVIATIONS * (length * (length - 1.0) / count.max(1.0)).sqrt();
    [length - spread, length + spread]
}

/// The probabilities between which the one lies that belongs to the `quantile` of `count` values: their number below it
/// is binomial, whatever their distribution.
pub(crate) fn quantile_range(count: usize, quantile: f64) -> [f64; 2] {
    let spread = DEVIATIONS * (quantile * (1.0 - quantile) / count as f64).sqrt();
    [(quantile - spread).max(0.0), (quantile + spread).min(1.0)]
}

/// The value below which the given share of the sorted `values` lies.
pub(crate) fn quantile(values: &[f64], quantile: f64) -> f64 {
    let last = values.len().saturating_sub(1);
    let place = (quantile * last as f64).round() as usize;
    values.get(place.min(last)).copied().unwrap_or(f64::NAN)
}

/// Mean and standard deviation.
pub(crate) fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Comparisons of chance in the table, about.
    const COMPARISONS: f64 = 60.0;

    #[test]
    fn the_deviations_are_those_of_all_comparisons_together() {
        // Tail of the normal distribution beyond z, both sides, by its continued fraction.
        let z = DEVIATIONS;
        let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
        let tail = 2.0 * density / (z + 1.0 / (z + 2.0 / (z + 3.0 / (z + 4.0 / z))));
        let all = (1.0 - tail).powf(COMPARISONS);
        assert!((all - 0.99).abs() < 0.001, "{all}");
    }

    #[test]
    fn intervals_hold_their_middle_and_stay_in_range() {
        assert_eq!(binomial(100.0, 0.0), [0.0, 0.5]);
        let [low, high] = binomial(10_000.0, 0.5);
        assert!((low - 4811.5).abs() < 1.0 && (high - 5188.5).abs() < 1.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), 2.0);
        let [low, high] = quantile_range(100, 0.05);
        assert!(low == 0.0 && high < 0.14);
    }
}
