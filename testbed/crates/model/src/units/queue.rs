//! Lengths of queues: `100` packets, `64KiB` or `20ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::decimal::Decimal;
use super::{ByteSize, TimeSpan, UnitError, text_quantity};

/// How much may wait in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueLimit {
    /// This many packets.
    Packets(u64),
    /// This many bytes.
    Bytes(u64),
    /// As much as the rate sends in this time.
    Time(Duration),
}

const NAMES: &[&str] = &["packets", "B", "KiB", "MiB", "kB", "MB", "us", "ms", "s"];

impl FromStr for QueueLimit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = Decimal::split(text, "100packets")?;
        let out_of_range = || UnitError::OutOfRange {
            text: text.to_owned(),
            range: "more than nothing",
        };
        if number.is_zero() {
            return Err(out_of_range());
        }
        if matches!(unit, "" | "packets") {
            return number.times(1).map(QueueLimit::Packets).ok_or_else(out_of_range);
        }
        if TimeSpan::is_unit(unit) {
            return text.parse::<TimeSpan>().map(|time| QueueLimit::Time(time.0));
        }
        text.parse::<ByteSize>()
            .map(|size| QueueLimit::Bytes(size.0))
            .map_err(|error| match error {
                UnitError::UnknownUnit { text, unit, .. } => UnitError::UnknownUnit {
                    text,
                    unit,
                    known: NAMES,
                },
                other => other,
            })
    }
}

impl fmt::Display for QueueLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueLimit::Packets(packets) => write!(formatter, "{packets}packets"),
            QueueLimit::Bytes(bytes) => ByteSize(*bytes).fmt(formatter),
            QueueLimit::Time(time) => TimeSpan(*time).fmt(formatter),
        }
    }
}

text_quantity!(
    QueueLimit,
    "a number of packets, a size or a time",
    r"^\s*[0-9]+(\.[0-9]+)?\s*(packets|B|[KMGT]iB|[kMGT]B|ns|us|µs|ms|s|m|min|h)?\s*$",
    ["100packets", "64KiB", "20ms"]
);
