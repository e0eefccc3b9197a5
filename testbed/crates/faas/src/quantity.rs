//! Memory quantities in the Kubernetes notation (`64Mi`, `128M`, `0.5Gi`, `1e6`), as the platform reads and
//! prints them.

/// The bytes of `text`, rounded up; `None` when it is not a quantity.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    // The conversion saturates, as the original does at the end of its range.
    amount(text).map(|bytes| bytes.ceil() as u64)
}

/// The number that `text` means; `None` when it is not a quantity.
pub(crate) fn amount(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let digits = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(digits);
    let amount: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "Ki" => 1024.0,
        "Mi" => 1024_f64.powi(2),
        "Gi" => 1024_f64.powi(3),
        "Ti" => 1024_f64.powi(4),
        "Pi" => 1024_f64.powi(5),
        "Ei" => 1024_f64.powi(6),
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        exponent => {
            let exponent = exponent.strip_prefix(['e', 'E'])?;
            10_f64.powi(exponent.parse::<i8>().ok()?.into())
        }
    };
    Some(amount * factor).filter(|amount| amount.is_finite())
}

/// Canonical text in binary units: the largest unit that divides `bytes` without a rest.
pub(crate) fn format_binary(bytes: u64) -> String {
    let mut amount = bytes;
    let mut unit = "";
    for larger in ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] {
        if amount == 0 || !amount.is_multiple_of(1024) {
            break;
        }
        amount /= 1024;
        unit = larger;
    }
    format!("{amount}{unit}")
}

#[cfg(test)]
mod tests {
    use super::{format_binary, parse};

    /// Pairs observed on faasd 0.19.0, and the texts it took for no limit.
    #[test]
    fn reformats_as_observed() {
        let pairs = [
            ("64Mi", "64Mi"),
            ("1Gi", "1Gi"),
            ("0.5Gi", "512Mi"),
            ("128M", "125000Ki"),
            ("20Mi", "20Mi"),
            ("1000", "1000"),
            ("1e3", "1000"),
        ];
        for (given, shown) in pairs {
            assert_eq!(parse(given).map(format_binary).as_deref(), Some(shown), "{given}");
        }
        for wrong in ["abc", "64MB", "", "Mi", "-5Mi", "1.2.3Ki"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
