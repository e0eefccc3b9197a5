//! Sizes: `512MiB`.

use std::fmt;
use std::str::FromStr;

use super::decimal::Decimal;
use super::{UnitError, text_quantity};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
const NAMES: &[&str] = &["B", "KiB", "MiB", "GiB", "TiB", "kB", "MB", "GB", "TB"];

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = Decimal::split(text, "512MiB")?;
        if unit.is_empty() {
            return Err(UnitError::NoUnit {
                text: text.to_owned(),
                example: "512MiB",
            });
        }
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(UnitError::UnknownUnit {
                text: text.to_owned(),
                unit: unit.to_owned(),
                known: NAMES,
            });
        };
        number
            .times(*factor)
            .map(ByteSize)
            .ok_or_else(|| UnitError::OutOfRange {
                text: text.to_owned(),
                range: "a whole number of bytes",
            })
    }
}

/// The largest unit of which it is a whole number, binary ones first.
impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, unit): &&(&str, u64)| self.0 >= *unit && self.0.is_multiple_of(*unit);
        let (name, unit) = UNITS.iter().find(whole).copied().unwrap_or(("B", 1));
        write!(formatter, "{}{name}", self.0 / unit)
    }
}

text_quantity!(
    ByteSize,
    "a size, like `512MiB`",
    r"^\s*[0-9]+(\.[0-9]+)?\s*(B|[KMGT]iB|[kMGT]B)\s*$",
    ["512MiB", "64kB"]
);
