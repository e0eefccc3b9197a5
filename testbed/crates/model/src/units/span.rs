//! Lengths of time: `10ms`, `1.5s`, `2m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::decimal::Decimal;
use super::{UnitError, text_quantity};

/// A length of time, to the nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeSpan(pub Duration);

const NAMES: &[&str] = &["ns", "us", "ms", "s", "m", "h"];
const MINUTE: u64 = 60 * SECOND;
const SECOND: u64 = 1_000_000_000;
const RANGE: &str = "from 0s to 100000h, in steps of 1ns";
const LONGEST: u64 = 100_000 * 60 * MINUTE;

fn nanoseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" | "min" => MINUTE,
        "h" => 60 * MINUTE,
        _ => return None,
    })
}

impl TimeSpan {
    /// Whether `word` is a unit of time, and therefore no name for a parameter (`5m` would be ambiguous).
    #[must_use]
    pub fn is_unit(word: &str) -> bool {
        nanoseconds(word).is_some()
    }

    /// `factor` times `base`, as in `3T`; `factor` is a decimal number.
    pub(crate) fn multiple(factor: &str, base: Duration) -> Result<TimeSpan, UnitError> {
        let (number, rest) = Decimal::split(factor, "3T")?;
        let out_of_range = || UnitError::OutOfRange {
            text: factor.to_owned(),
            range: RANGE,
        };
        let base = u64::try_from(base.as_nanos()).map_err(|_| out_of_range())?;
        if !rest.is_empty() {
            return Err(UnitError::NoNumber {
                text: factor.to_owned(),
                example: "3T",
            });
        }
        TimeSpan::checked(number.times(base), out_of_range)
    }

    fn checked(nanoseconds: Option<u64>, error: impl Fn() -> UnitError) -> Result<TimeSpan, UnitError> {
        match nanoseconds {
            Some(nanoseconds) if nanoseconds <= LONGEST => Ok(TimeSpan(Duration::from_nanos(nanoseconds))),
            _ => Err(error()),
        }
    }
}

impl FromStr for TimeSpan {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = Decimal::split(text, "10ms")?;
        if unit.is_empty() {
            if number.is_zero() {
                return Ok(TimeSpan(Duration::ZERO));
            }
            return Err(UnitError::NoUnit {
                text: text.to_owned(),
                example: "10ms",
            });
        }
        let Some(factor) = nanoseconds(unit) else {
            return Err(UnitError::UnknownUnit {
                text: text.to_owned(),
                unit: unit.to_owned(),
                known: NAMES,
            });
        };
        let out_of_range = || UnitError::OutOfRange {
            text: text.to_owned(),
            range: RANGE,
        };
        TimeSpan::checked(number.times(factor), out_of_range)
    }
}

/// The largest unit that gives a number of at least 1; hours and minutes only when whole. Go's `time.ParseDuration`
/// reads it too.
impl fmt::Display for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        let (unit, name) = match nanoseconds {
            0 => return formatter.write_str("0s"),
            n if n.is_multiple_of(60 * MINUTE) => (60 * MINUTE, "h"),
            n if n.is_multiple_of(MINUTE) => (MINUTE, "m"),
            n if n >= SECOND => (SECOND, "s"),
            n if n >= 1_000_000 => (1_000_000, "ms"),
            n if n >= 1_000 => (1_000, "us"),
            _ => (1, "ns"),
        };
        // Powers of ten always end; minutes and hours are whole here.
        let number = Decimal::text(nanoseconds, unit).unwrap_or_default();
        write!(formatter, "{number}{name}")
    }
}

text_quantity!(
    TimeSpan,
    "a length of time, like `10ms`",
    r"^\s*[0-9]+(\.[0-9]+)?\s*(ns|us|µs|ms|s|m|min|h)\s*$|^0+(\.0+)?$",
    ["10ms", "1.5s", "2m"]
);

/// `#[serde(with = "duration_text")]`: a [`Duration`] as text, `"5ms"`.
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::TimeSpan;

    /// Writes `duration` as a [`TimeSpan`].
    ///
    /// # Errors
    /// As the serializer has them.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        TimeSpan(*duration).serialize(serializer)
    }

    /// Reads a [`TimeSpan`].
    ///
    /// # Errors
    /// If the text is not a length of time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        TimeSpan::deserialize(deserializer).map(|span| span.0)
    }
}

/// As [`duration_text`], for an `Option`.
pub mod optional_duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::TimeSpan;

    /// Writes `duration` as a [`TimeSpan`] or null.
    ///
    /// # Errors
    /// As the serializer has them.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(TimeSpan).serialize(serializer)
    }

    /// Reads a [`TimeSpan`] or null.
    ///
    /// # Errors
    /// If the text is not a length of time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<TimeSpan>::deserialize(deserializer)?.map(|span| span.0))
    }
}
