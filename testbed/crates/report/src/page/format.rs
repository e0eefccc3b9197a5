use crate::measure::Estimate;
use crate::run::Expectation;

/// A whole number with its thousands set apart by commas.
pub(crate) fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = if value < 0 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count as [`grouped`].
pub(super) fn count(value: u64) -> String {
    grouped(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A rate with one decimal, two below 0.1 so that rare things do not look like none.
pub(crate) fn rate_text(value: f64) -> String {
    match value.abs() {
        0.0 => "0.0".to_owned(),
        small if small < 0.095 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    }
}

/// Milliseconds with three digits and the unit: `0.42 ms`, `14.3 ms`, `340 ms`, `8.05 s`.
pub(crate) fn milliseconds(value: f64) -> String {
    let (value, unit) = if value >= 999.5 {
        (value / 1000.0, "s")
    } else {
        (value, "ms")
    };
    let digits = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// A difference with its sign, a real minus and one decimal; what rounds to zero has no sign.
pub(super) fn signed(value: f64) -> String {
    match format!("{value:+.1}").as_str() {
        "+0.0" | "-0.0" => "0.0".to_owned(),
        text => text.replace('-', "−"),
    }
}

/// A share of one as percent. Nearly all and nearly none never look like all and none.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        100.0 => "100 %".to_owned(),
        0.0 => "0 %".to_owned(),
        value if value > 99.9 => format!("{:.3} %", value.min(99.999)),
        value if value < 0.1 => format!("{:.3} %", value.max(0.001)),
        value => format!("{value:.1} %"),
    }
}

/// A mean with the half width of its interval: `16.1 ± 0.4`. A unit that both have is said once.
pub(crate) fn estimate_text(estimate: &Estimate, show: impl Fn(f64) -> String) -> String {
    let Some(half) = estimate.half_width else {
        return show(estimate.mean);
    };
    let (mean, half) = (show(estimate.mean), show(half));
    let unit = |text: &str| text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    match (unit(&mean), unit(&half)) {
        (Some(a), Some(b)) if mean.get(a..) == half.get(b..) => {
            format!("{} ± {half}", mean.get(..a).unwrap_or(&mean))
        }
        _ => format!("{mean} ± {half}"),
    }
}

/// A measured value of an expectation with its unit.
pub(crate) fn measured_text(expectation: &Expectation, value: f64) -> String {
    let metric = expectation.metric.as_str();
    match expectation.unit.as_deref() {
        Some("ms") => milliseconds(value),
        Some("s") => milliseconds(value * 1000.0),
        Some("%") => format!("{value:.1} %"),
        Some(unit) if !unit.is_empty() => format!("{} {unit}", rate_text(value)),
        _ if metric.starts_with("latency") => milliseconds(value),
        _ if metric == "success_rate" => format!("{value:.1} %"),
        _ => format!("{}/s", rate_text(value)),
    }
}

/// The measured value, or why there is none.
pub(crate) fn measured_or_reason(expectation: &Expectation) -> String {
    match (expectation.measured, &expectation.reason) {
        (Some(value), _) => measured_text(expectation, value),
        (None, Some(reason)) => reason.clone(),
        (None, None) => "nothing measured".to_owned(),
    }
}

/// Bytes in the largest fitting binary unit.
pub(super) fn bytes(value: u64) -> String {
    let mut amount = value as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or("B");
    for larger in units {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = larger;
    }
    let digits = usize::from(amount.fract() > 0.05 && amount < 100.0);
    format!("{amount:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(-1000), "-1,000");
        assert_eq!(grouped(999), "999");
        assert_eq!(milliseconds(14.28), "14.3 ms");
        assert_eq!(milliseconds(0.42), "0.42 ms");
        assert_eq!(milliseconds(340.4), "340 ms");
        assert_eq!(milliseconds(8049.0), "8.05 s");
        assert_eq!(rate_text(0.02), "0.02");
        assert_eq!(
            (signed(-0.04), signed(-1.25), signed(0.5)),
            ("0.0".into(), "−1.2".into(), "+0.5".into())
        );
        assert_eq!(bytes(25_769_803_776), "24 GiB");
    }

    #[test]
    fn a_unit_is_said_once_beside_an_interval() {
        let estimate = |mean, half_width| Estimate {
            mean,
            half_width,
            count: 3,
        };
        assert_eq!(
            estimate_text(&estimate(28.2, Some(1.5)), milliseconds),
            "28.2 ± 1.50 ms"
        );
        assert_eq!(
            estimate_text(&estimate(2000.0, Some(90.0)), milliseconds),
            "2.00 s ± 90.0 ms"
        );
        assert_eq!(estimate_text(&estimate(16.0, Some(0.4)), rate_text), "16.0 ± 0.4");
        assert_eq!(estimate_text(&estimate(16.0, None), rate_text), "16.0");
    }

    #[test]
    fn nearly_all_never_looks_like_all() {
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.999_999_9), "99.999 %");
        assert_eq!(percent(0.000_001), "0.001 %");
        assert_eq!(percent(0.805), "80.5 %");
    }

    #[test]
    fn a_measured_value_has_the_unit_of_its_metric() {
        let expectation = |metric: &str, unit: Option<&str>| Expectation {
            metric: metric.to_owned(),
            unit: unit.map(str::to_owned),
            ..Expectation::default()
        };
        assert_eq!(measured_text(&expectation("success_rate", None), 99.5), "99.5 %");
        assert_eq!(measured_text(&expectation("served_by", None), 16.0), "16.0/s");
        assert_eq!(measured_text(&expectation("latency", None), 31.0), "31.0 ms");
        assert_eq!(
            measured_text(&expectation("latency", Some("s")), 0.031),
            "31.0 ms"
        );
    }
}
