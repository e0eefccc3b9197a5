//! Durations as Go writes them.

use std::time::Duration;

/// Units and their length in nanoseconds.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Reads a Go duration: numbers with units, largest first by habit (`1h30m`, `1.5s`, `500ms`), or a plain `0`.
///
/// Nothing when the text is no such duration, is negative, or longer than a century.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim().strip_prefix('+').unwrap_or(text.trim());
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanoseconds = 0.0;
    loop {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let length = rest
            .find(|letter: char| letter.is_ascii_digit() || letter == '.')
            .unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == &rest[..length])?;
        nanoseconds += number * unit;
        rest = &rest[length..];
        if rest.is_empty() {
            break;
        }
    }
    let century = 100.0 * 366.0 * 24.0 * 3600e9;
    (nanoseconds <= century).then(|| Duration::from_nanos(nanoseconds.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_go_reads_them() {
        for (text, milliseconds) in [
            ("5s", 5000),
            ("1m", 60_000),
            ("1m30s", 90_000),
            ("1.5s", 1500),
            ("500ms", 500),
            ("1h", 3_600_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        assert_eq!(parse_duration("250µs"), Some(Duration::from_micros(250)));
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            "5x",
            "1e3s",
            ".s",
            "1..5s",
            "9999999999h",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text: String) {
            let _ = parse_duration(&text);
        }

        #[test]
        fn whole_milliseconds_are_exact(milliseconds in 0u64..10_000_000_000) {
            prop_assert_eq!(parse_duration(&format!("{milliseconds}ms")), Some(Duration::from_millis(milliseconds)));
        }
    }
}
