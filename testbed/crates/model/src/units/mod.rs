//! Quantities as they are written in files: a number and its unit.
//!
//! Each type parses what its `Display` prints and prints what it parsed, exactly: numbers are read as decimal
//! fractions in integer arithmetic, never through a float that would round `0.1ms`.

mod decimal;
mod percent;
mod queue;
mod rate;
mod request_rate;
mod size;
mod span;

pub use percent::Percent;
pub use queue::QueueLimit;
pub use rate::BitRate;
pub use request_rate::RequestRate;
pub use size::ByteSize;
pub use span::{TimeSpan, duration_text, optional_duration_text};

use thiserror::Error;

use crate::error::suggestion;

/// Why a quantity cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UnitError {
    /// No number at the start.
    #[error("`{text}` does not start with a number")]
    NoNumber {
        /// What was written.
        text: String,
        /// How it could look.
        example: &'static str,
    },
    /// A number alone.
    #[error("`{text}` has no unit")]
    NoUnit {
        /// What was written.
        text: String,
        /// How it could look.
        example: &'static str,
    },
    /// A unit that is not one of the known ones.
    #[error("unknown unit `{unit}` in `{text}`")]
    UnknownUnit {
        /// What was written.
        text: String,
        /// The unit in it.
        unit: String,
        /// The units there are.
        known: &'static [&'static str],
    },
    /// Too big, too small or too finely divided for the type.
    #[error("`{text}` is out of range: {range}")]
    OutOfRange {
        /// What was written.
        text: String,
        /// What is possible.
        range: &'static str,
    },
}

impl UnitError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            UnitError::NoNumber { example, .. } => Some(format!("write it like `{example}`")),
            UnitError::NoUnit { example, .. } => Some(format!("write a unit, like `{example}`")),
            UnitError::UnknownUnit { unit, known, .. } => suggestion(unit, known),
            UnitError::OutOfRange { .. } => None,
        }
    }
}

/// `FromStr`-backed serde and schema for a quantity written as text.
macro_rules! text_quantity {
    ($type:ident, $expecting:literal, $pattern:literal, $examples:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str($expecting)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(|error: $crate::units::UnitError| {
                            let message = error.to_string();
                            match error.help() {
                                Some(help) => {
                                    E::custom($crate::document::decode::message_with_help(&message, &help))
                                }
                                None => E::custom(message),
                            }
                        })
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": ["string", "number"],
                    "pattern": $pattern,
                    "examples": $examples,
                })
            }
        }
    };
}
use text_quantity;

#[cfg(test)]
mod tests;
