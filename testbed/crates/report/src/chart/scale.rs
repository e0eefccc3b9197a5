/// Maps values to coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    domain: (f64, f64),
    range: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    pub(super) fn linear(domain: (f64, f64), range: (f64, f64)) -> Scale {
        Scale {
            domain,
            range,
            logarithmic: false,
        }
    }

    /// Both ends of the domain must be positive.
    pub(super) fn logarithmic(domain: (f64, f64), range: (f64, f64)) -> Scale {
        Scale {
            domain,
            range,
            logarithmic: true,
        }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        let position = |value: f64| {
            if self.logarithmic {
                value.max(1e-9).ln()
            } else {
                value
            }
        };
        let (low, high) = (position(self.domain.0), position(self.domain.1));
        let share = if high > low {
            (position(value) - low) / (high - low)
        } else {
            0.0
        };
        self.range.0 + share.clamp(0.0, 1.0) * (self.range.1 - self.range.0)
    }

    pub(super) fn domain(&self) -> (f64, f64) {
        self.domain
    }

    pub(super) fn range(&self) -> (f64, f64) {
        self.range
    }
}

/// Ticks from 0 to at least `highest`, about `wanted` of them, at steps of 1, 2 or 5 times a power of ten.
pub(super) fn linear_ticks(highest: f64, wanted: usize) -> Vec<f64> {
    let highest = if highest.is_finite() && highest > 0.0 {
        highest
    } else {
        1.0
    };
    let rough = highest / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let count = (highest / step - 1e-6).ceil().max(1.0) as usize;
    (0..=count).map(|index| index as f64 * step).collect()
}

/// Ticks at 1, 2 and 5 times powers of ten (or powers of ten only when there are many) from below `lowest` to above
/// `highest`.
pub(super) fn logarithmic_ticks(lowest: f64, highest: f64) -> Vec<f64> {
    let lowest = lowest.max(1e-6);
    let highest = highest.max(lowest * 1.01);
    let first = lowest.log10().floor() as i32;
    let last = highest.log10().ceil() as i32;
    let factors: &[f64] = if last - first > 3 {
        &[1.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    let all: Vec<f64> = (first..=last)
        .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
        .collect();
    let start = all
        .iter()
        .rposition(|tick| *tick <= lowest * 1.000_001)
        .unwrap_or(0);
    let end = all
        .iter()
        .position(|tick| *tick >= highest * 0.999_999)
        .unwrap_or(all.len().saturating_sub(1));
    all.get(start..=end.max(start)).unwrap_or_default().to_vec()
}

/// Marks on a time axis and the unit they are written in.
pub(super) struct TimeTicks {
    /// Seconds and what to write there.
    pub(super) ticks: Vec<(f64, String)>,
    /// `s`, `min` or `h`.
    pub(super) unit: &'static str,
}

const TIME_STEPS: [f64; 19] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0,
    21_600.0, 43_200.0, 86_400.0, 172_800.0,
];

/// At most `most` marks between two times in seconds. Up to ten minutes are written in seconds, up to five hours in
/// minutes.
pub(super) fn time_ticks(start: f64, end: f64, most: usize) -> TimeTicks {
    let (unit, divisor) = match end - start {
        span if span <= 600.0 => ("s", 1.0),
        span if span <= 18_000.0 => ("min", 60.0),
        _ => ("h", 3600.0),
    };
    let marks = |step: f64| ((end / step).floor() - (start / step).ceil()) as i64 + 1;
    let step = TIME_STEPS
        .into_iter()
        .filter(|step| *step >= divisor)
        .find(|step| marks(*step) <= most.max(2) as i64)
        .unwrap_or((end - start).max(1.0));
    let first = (start / step).ceil() as i64;
    let ticks = (0..marks(step).max(0))
        .map(|index| {
            let seconds = (first + index) as f64 * step;
            (seconds, plain(seconds / divisor))
        })
        .collect();
    TimeTicks { ticks, unit }
}

/// A tick's number without needless zeros, thousands set apart.
pub(super) fn plain(value: f64) -> String {
    let rounded = (value * 1e4).round() / 1e4;
    if rounded.abs() >= 10_000.0 {
        return crate::page::grouped(rounded.round() as i64);
    }
    rounded.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_highest_value() {
        assert_eq!(linear_ticks(43.0, 5), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(linear_ticks(0.0, 5).last(), Some(&1.0));
        assert_eq!(linear_ticks(f64::NAN, 5).last(), Some(&1.0));
        assert_eq!(linear_ticks(7.0, 4), [0.0, 2.0, 4.0, 6.0, 8.0]);
        for highest in [0.003, 0.99, 1.0, 12.0, 50.0, 999.0, 123_456.0] {
            let ticks = linear_ticks(highest, 5);
            assert!(
                ticks.last().is_some_and(|last| *last >= highest * 0.999_999),
                "{highest}: {ticks:?}"
            );
            assert!((2..=7).contains(&ticks.len()), "{highest}: {ticks:?}");
        }
    }

    #[test]
    fn logarithmic_ticks_enclose_the_values() {
        assert_eq!(
            logarithmic_ticks(3.0, 140.0),
            [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]
        );
        assert_eq!(
            logarithmic_ticks(0.2, 90_000.0),
            [0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0]
        );
        let single = logarithmic_ticks(7.0, 7.0);
        assert!(single.len() >= 2 && single[0] <= 7.0, "{single:?}");
    }

    #[test]
    fn time_is_written_in_the_unit_that_fits() {
        let short = time_ticks(0.0, 40.0, 9);
        assert_eq!(short.unit, "s");
        assert_eq!(short.ticks.len(), 9);
        let minutes = time_ticks(0.0, 3600.0, 8);
        assert_eq!((minutes.unit, minutes.ticks[1].1.as_str()), ("min", "10"));
        assert_eq!(time_ticks(0.0, 1e6, 8).unit, "h");
        assert!(time_ticks(-3.0, 4.0, 9).ticks[0].0 >= -3.0);
    }

    #[test]
    fn a_logarithmic_scale_puts_equal_ratios_at_equal_distances() {
        let scale = Scale::logarithmic((1.0, 100.0), (0.0, 200.0));
        assert!((scale.at(10.0) - 100.0).abs() < 1e-9);
        assert_eq!(scale.at(0.0), 0.0);
        assert_eq!(Scale::linear((3.0, 3.0), (5.0, 9.0)).at(3.0), 5.0);
    }
}
