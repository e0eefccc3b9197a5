//! The Prometheus text format 0.0.4, written as Go's client library writes it. A library is not used because
//! the ones at hand speak OpenMetrics, which would rename `gateway_function_invocation_started`.

use std::fmt::Write;

/// Metrics as text.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
    /// Head of a family that has no sample yet: a family without samples is not shown.
    head: String,
}

impl Exposition {
    /// Begins a family.
    pub(super) fn family(&mut self, name: &str, help: &str, kind: &str) {
        self.head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One line of the family.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(&std::mem::take(&mut self.head));
        self.text.push_str(name);
        for (index, (label, content)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            self.write(format_args!("{before}{label}=\"{}\"", escaped(content)));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.write(format_args!(" {}\n", number(value)));
    }

    pub(super) fn into_string(self) -> String {
        self.text
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(arguments);
    }
}

fn escaped(content: &str) -> String {
    content
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// The shortest text that reads back as `value`; from a million up and below 0.0001 with an exponent of two
/// digits at least. This is Go's format `g` with precision -1.
pub(super) fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value.is_nan() {
        return "NaN".to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    format!(
        "{mantissa}e{}{:02}",
        if exponent < 0 { '-' } else { '+' },
        exponent.abs()
    )
}

#[cfg(test)]
mod tests {
    use super::{Exposition, number};

    /// Values of the real gateway's exposition.
    #[test]
    fn numbers_look_as_observed() {
        let cases = [
            (0.0, "0"),
            (3.0, "3"),
            (0.06115706099999999, "0.06115706099999999"),
            (384473.0, "384473"),
            (7733248.0, "7.733248e+06"),
            (17502208.0, "1.7502208e+07"),
            (3.3469e-5, "3.3469e-05"),
            (0.000254243, "0.000254243"),
            (1.79540457157e9, "1.79540457157e+09"),
            (1.8446744073709552e19, "1.8446744073709552e+19"),
            (1e6, "1e+06"),
            (f64::INFINITY, "+Inf"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_family_without_samples_is_not_shown() {
        let mut text = Exposition::default();
        text.family("none", "nothing", "gauge");
        text.family("one", "something", "gauge");
        text.sample("one", &[], 1.0);
        assert_eq!(
            text.into_string(),
            "# HELP one something\n# TYPE one gauge\none 1\n"
        );
    }

    #[test]
    fn labels_are_escaped() {
        let mut text = Exposition::default();
        text.sample("m", &[("a", "x\"y\\z\n"), ("b", "")], 1.0);
        assert_eq!(text.into_string(), "m{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1\n");
    }
}
