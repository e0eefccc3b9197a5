//! Shares: `0.5%`.

use std::fmt;
use std::str::FromStr;

use super::decimal::Decimal;
use super::{UnitError, text_quantity};

/// A share between 0 % and 100 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    /// As a fraction, 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        self.0 / 100.0
    }

    /// As a number of hundredths, 0 to 100.
    #[must_use]
    pub fn hundredths(self) -> f64 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = Decimal::split(text, "0.5%")?;
        match unit {
            "%" => {}
            "" if number.is_zero() => return Ok(Percent(0.0)),
            "" => {
                return Err(UnitError::NoUnit {
                    text: text.to_owned(),
                    example: "0.5%",
                });
            }
            unit => {
                return Err(UnitError::UnknownUnit {
                    text: text.to_owned(),
                    unit: unit.to_owned(),
                    known: &["%"],
                });
            }
        }
        let out_of_range = || UnitError::OutOfRange {
            text: text.to_owned(),
            range: "from 0% to 100%",
        };
        let number: f64 = text
            .trim()
            .trim_end_matches('%')
            .trim()
            .parse()
            .map_err(|_| out_of_range())?;
        if number <= 100.0 {
            Ok(Percent(number))
        } else {
            Err(out_of_range())
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}%", self.0)
    }
}

text_quantity!(
    Percent,
    "a share, like `0.5%`",
    r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$|^0+(\.0+)?$",
    ["0.5%", "10%"]
);
