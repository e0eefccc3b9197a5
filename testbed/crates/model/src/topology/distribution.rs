//! How jitter is distributed around the delay.

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A table's value for one whole jitter, as netem counts (NETEM_DIST_SCALE in linux/pkt_sched.h).
const SCALE: f64 = 8192.0;
/// Values of the tables that iproute2 ships.
const VALUES: usize = 4096;
/// The most a table may have (NETEM_DIST_MAX in linux/pkt_sched.h).
const MOST_VALUES: usize = 16384;

/// How jitter is distributed around the delay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JitterDistribution {
    /// Every delay from `delay - jitter` to `delay + jitter` is as likely.
    #[default]
    Uniform,
    /// A bell curve with the standard deviation `jitter`, cut off at four of them and at a delay of 0.
    Normal,
    /// A Pareto distribution of shape 3, moved to a mean near 0: from -2/3 of `jitter` up to four times it.
    Pareto,
    /// A quarter normal and three quarters Pareto, quantile by quantile.
    Paretonormal,
    /// From a file.
    Table(DelayTable),
}

impl JitterDistribution {
    /// The table it is drawn from, each value as likely as the others; none for [`JitterDistribution::Uniform`].
    #[must_use]
    pub fn table(&self) -> Option<DelayTable> {
        static NORMAL: LazyLock<DelayTable> = LazyLock::new(|| DelayTable::from_quantiles(normal));
        static PARETO: LazyLock<DelayTable> = LazyLock::new(|| DelayTable::from_quantiles(pareto));
        static PARETONORMAL: LazyLock<DelayTable> =
            LazyLock::new(|| DelayTable::from_quantiles(paretonormal));
        match self {
            Self::Uniform => None,
            Self::Normal => Some(NORMAL.clone()),
            Self::Pareto => Some(PARETO.clone()),
            Self::Paretonormal => Some(PARETONORMAL.clone()),
            Self::Table(table) => Some(table.clone()),
        }
    }
}

/// As in a topology file.
impl fmt::Display for JitterDistribution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Uniform => "uniform",
            Self::Normal => "normal",
            Self::Pareto => "pareto",
            Self::Paretonormal => "paretonormal",
            Self::Table(_) => "table",
        })
    }
}

/// Deviations from the delay, each as likely as the others; 8192 is one `jitter`. The form is that of iproute2's
/// `.dist` files and of netem.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DelayTable(Arc<[i16]>);

impl DelayTable {
    /// Reads a `.dist` file: numbers from -32768 to 32767 between blanks, `#` begins a comment line.
    ///
    /// # Errors
    /// What is wrong with it, in words for a person.
    pub fn parse(text: &str) -> Result<DelayTable, String> {
        let mut values = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with('#') {
                continue;
            }
            for word in line.split_whitespace() {
                let value = word.parse().map_err(|_| {
                    format!(
                        "line {}: `{word}` is not a whole number from -32768 to 32767",
                        number + 1
                    )
                })?;
                values.push(value);
            }
        }
        DelayTable::new(values)
    }

    /// A table of these values.
    ///
    /// # Errors
    /// If there are none, or more than 16384.
    pub fn new(values: Vec<i16>) -> Result<DelayTable, String> {
        match values.len() {
            0 => Err("the table has no values".to_owned()),
            count if count > MOST_VALUES => Err(format!(
                "the table has {count} values; {MOST_VALUES} are possible"
            )),
            _ => Ok(DelayTable(values.into())),
        }
    }

    /// The values; never empty.
    #[must_use]
    pub fn values(&self) -> &Arc<[i16]> {
        &self.0
    }

    /// The value at each step of the cumulative probability, from 0 on.
    fn from_quantiles(value: impl Fn(usize) -> f64) -> DelayTable {
        let whole = |step: usize| value(step).clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16;
        DelayTable((0..VALUES).map(whole).collect())
    }
}

impl Serialize for DelayTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl<'de> Deserialize<'de> for DelayTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DelayTable::new(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

// The three tables are computed as iproute2 computes the files it ships (netem/normal.c, pareto.c and
// paretonormal.c there), rounding included, so that both backends draw from the same numbers.

/// The normal table walks x up in steps of 0.00005 from -10 and keeps, for each of 16384 steps of the probability,
/// the last x that rounds to it.
fn normal(step: usize) -> f64 {
    const STEP: f64 = 0.000_05;
    const PROBABILITIES: f64 = 16384.0;
    let last = normal_quantile((4.0 * step as f64 + 0.5) / PROBABILITIES);
    let x = ((last + 10.0) / STEP).floor() * STEP - 10.0;
    (x * SCALE).round_ties_even()
}

/// Shape 3, whose mean of 1.5 is taken off.
fn pareto(step: usize) -> f64 {
    let survival = (65536 - 16 * step) as f64 / 65536.0;
    let deviation = survival.powf(-1.0 / 3.0) - 1.5;
    (deviation * 4.0 / 3.0 * SCALE)
        .min(f64::from(i16::MAX))
        .round_ties_even()
}

fn paretonormal(step: usize) -> f64 {
    ((normal(step) + 3.0 * pareto(step)) / 4.0).trunc()
}

/// The x below which a standard normal variable lies with probability `p`.
fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal_probability(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The probability that a standard normal variable is below `x`: the series of Marsaglia, "Evaluating the Normal
/// Distribution" (2004), whose terms all have the sign of `x`.
fn normal_probability(x: f64) -> f64 {
    let (mut sum, mut term, mut divisor) = (x, x, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        divisor += 2.0;
        term *= x * x / divisor;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A distribution, some of its table's values with their places, the sum of all, and the sum of each times its place.
    type Shipped = (JitterDistribution, &'static [(usize, i16)], i64, i64);

    /// From the files of Debian's iproute2 6.1.
    #[test]
    fn tables_are_those_that_iproute2_ships() {
        let shipped: [Shipped; 3] = [
            (
                JitterDistribution::Normal,
                &[
                    (0, -32_768),
                    (1, -28_307),
                    (2, -26_871),
                    (2047, -5),
                    (2048, 0),
                    (4094, 27_159),
                    (4095, 28_858),
                ],
                -26_163,
                38_718_192_955,
            ),
            (
                JitterDistribution::Pareto,
                &[
                    (0, -5_461),
                    (1, -5_460),
                    (2, -5_460),
                    (2047, -2_625),
                    (2048, -2_622),
                    (4094, 32_767),
                    (4095, 32_767),
                ],
                -1_123_786,
                22_904_699_865,
            ),
            (
                JitterDistribution::Paretonormal,
                &[
                    (0, -12_305),
                    (1, -11_171),
                    (2, -10_812),
                    (2047, -1_970),
                    (2048, -1_966),
                    (4094, 31_365),
                    (4095, 31_789),
                ],
                -848_968,
                26_857_509_890,
            ),
        ];
        for (distribution, some, sum, moment) in shipped {
            let table = distribution.table().unwrap();
            let values = table.values();
            assert_eq!(values.len(), 4096);
            for &(place, value) in some {
                assert_eq!(values[place], value, "{distribution}: value {place}");
            }
            let weighed = |weight: fn(usize) -> i64| -> i64 {
                values
                    .iter()
                    .enumerate()
                    .map(|(place, value)| weight(place) * i64::from(*value))
                    .sum()
            };
            assert_eq!(weighed(|_| 1), sum, "{distribution}");
            assert_eq!(weighed(|place| place as i64 + 1), moment, "{distribution}");
        }
    }

    #[test]
    fn a_table_file_has_numbers_and_comments() {
        let table = DelayTable::parse("# a table\n -32768 0\n\n32767\n").unwrap();
        assert_eq!(&**table.values(), [-32768, 0, 32767]);
        assert!(
            DelayTable::parse("# nothing\n")
                .unwrap_err()
                .contains("no values")
        );
        let wrong = DelayTable::parse("1 2\n3 40000").unwrap_err();
        assert_eq!(
            wrong,
            "line 2: `40000` is not a whole number from -32768 to 32767"
        );
        assert!(
            DelayTable::new(vec![0; 16385])
                .unwrap_err()
                .contains("16385 values")
        );
    }
}
