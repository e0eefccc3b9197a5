//! Numbers as Go's `encoding/json` prints a `float64`.

/// The shortest digits that read back as the same number; exponents only below 1e-6 and from 1e21 on
/// (as ECMAScript does, which is what Go follows). Not finite: `0`.
pub(super) fn go_number(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if (1e-6..1e21).contains(&size) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    // Rust writes 1e21, Go writes 1e+21; both write 1e-7.
    if size >= 1e21 {
        text.replacen('e', "e+", 1)
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::go_number;
    use proptest::prelude::*;

    #[test]
    fn as_go_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (10.0, "10"),
            (7.5, "7.5"),
            (1.0 / 3.0, "0.3333333333333333"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (1e20, "100000000000000000000"),
            (1.5e21, "1.5e+21"),
            (-2.5, "-2.5"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
        ] {
            assert_eq!(go_number(value), text);
        }
    }

    proptest! {
        #[test]
        fn reads_back_as_the_same_number(value in proptest::num::f64::NORMAL) {
            prop_assert_eq!(go_number(value).parse::<f64>().unwrap(), value);
        }
    }
}
