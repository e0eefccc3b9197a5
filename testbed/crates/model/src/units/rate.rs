//! Bit rates: `100mbit`.

use std::fmt;
use std::str::FromStr;

use super::decimal::Decimal;
use super::{UnitError, text_quantity};

/// A bit rate in bit/s, counted as tc counts: layer 2, and 1 kbit = 1000 bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BitRate(pub u64);

const UNITS: &[(&str, u64)] = &[
    ("tbit", 1_000_000_000_000),
    ("gbit", 1_000_000_000),
    ("mbit", 1_000_000),
    ("kbit", 1_000),
    ("bit", 1),
];
const NAMES: &[&str] = &["bit", "kbit", "mbit", "gbit", "tbit"];

impl FromStr for BitRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = Decimal::split(text, "100mbit")?;
        if unit.is_empty() {
            return Err(UnitError::NoUnit {
                text: text.to_owned(),
                example: "100mbit",
            });
        }
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(UnitError::UnknownUnit {
                text: text.to_owned(),
                unit: unit.to_owned(),
                known: NAMES,
            });
        };
        match number.times(*factor) {
            Some(rate) if rate > 0 => Ok(BitRate(rate)),
            _ => Err(UnitError::OutOfRange {
                text: text.to_owned(),
                range: "a whole number of bit/s, at least 1",
            }),
        }
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = UNITS
            .iter()
            .find(|(_, unit)| self.0 >= *unit)
            .copied()
            .unwrap_or(("bit", 1));
        write!(
            formatter,
            "{}{name}",
            Decimal::text(self.0, unit).unwrap_or_default()
        )
    }
}

text_quantity!(
    BitRate,
    "a bit rate, like `100mbit`",
    r"^\s*[0-9]+(\.[0-9]+)?\s*[kmgt]?bit\s*$",
    ["100mbit", "1gbit"]
);
