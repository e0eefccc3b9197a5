//! Rates of requests: `50/s`.

use std::fmt;
use std::str::FromStr;

use super::decimal::Decimal;
use super::{UnitError, text_quantity};

/// Requests (or responses) per second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct RequestRate(pub f64);

impl FromStr for RequestRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (_, unit) = Decimal::split(text, "50/s")?;
        match unit.strip_prefix('/').map(str::trim) {
            Some("s") => {}
            None if unit.is_empty() => {
                return Err(UnitError::NoUnit {
                    text: text.to_owned(),
                    example: "50/s",
                });
            }
            _ => {
                return Err(UnitError::UnknownUnit {
                    text: text.to_owned(),
                    unit: unit.to_owned(),
                    known: &["/s"],
                });
            }
        }
        let out_of_range = || UnitError::OutOfRange {
            text: text.to_owned(),
            range: "up to 1000000000/s",
        };
        let number = text.split('/').next().unwrap_or_default();
        let number: f64 = number.trim().parse().map_err(|_| out_of_range())?;
        if number <= 1e9 {
            Ok(RequestRate(number))
        } else {
            Err(out_of_range())
        }
    }
}

impl fmt::Display for RequestRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/s", self.0)
    }
}

text_quantity!(
    RequestRate,
    "a rate of requests, like `50/s`",
    r"^\s*[0-9]+(\.[0-9]+)?\s*/\s*s\s*$",
    ["50/s", "0.5/s"]
);
