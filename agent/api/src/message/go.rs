//! JSON as Go's `encoding/json` writes it.

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use std::io::{Result, Write};

/// U+2028 and U+2029 begin with this byte, as other letters do.
const FIRST_OF_SEPARATORS: u8 = 0xe2;

/// The value as compact JSON.
pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    let mut bytes = Vec::with_capacity(256);
    // Messages have text keys only and a Vec takes everything, so this cannot fail.
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, Go));
    debug_assert!(written.is_ok(), "{written:?}");
    String::from_utf8(bytes).unwrap_or_default()
}

/// Where the first letter is that Go escapes and serde_json does not.
fn special(text: &str) -> Option<usize> {
    let plain = |byte: u8| !matches!(byte, b'<' | b'>' | b'&' | FIRST_OF_SEPARATORS);
    // Most names are ASCII: bytes are looked at before letters.
    if text.bytes().all(plain) {
        return None;
    }
    text.find(['<', '>', '&', '\u{2028}', '\u{2029}'])
}

/// Where Go differs from serde_json: numbers, and letters that would mean something inside HTML or JavaScript.
struct Go;

impl Formatter for Go {
    /// The shortest digits that read back as the same number; exponents only below 1e-6 and from 1e21 on
    /// (as ECMAScript does, which is what Go follows). Not finite: `0`.
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> Result<()> {
        let size = value.abs();
        if !value.is_finite() {
            writer.write_all(b"0")
        } else if size >= 1e-3 && size.fract() != 0.0 {
            // Both take the even one of two equally near numbers, which Rust's own formatting does not.
            CompactFormatter.write_f64(writer, value)
        } else if size == 0.0 || (1e-6..1e21).contains(&size) {
            write!(writer, "{value}")
        } else if size >= 1e21 {
            // Rust writes 1e21, Go writes 1e+21; both write 1e-7.
            writer.write_all(format!("{value:e}").replacen('e', "e+", 1).as_bytes())
        } else {
            write!(writer, "{value:e}")
        }
    }

    /// Called for numbers that are not finite; messages have no other null.
    fn write_null<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        writer.write_all(b"0")
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> Result<()> {
        let mut rest = fragment;
        while let Some(position) = special(rest) {
            let (plain, escaped) = rest.split_at(position);
            writer.write_all(plain.as_bytes())?;
            let mut letters = escaped.chars();
            if let Some(letter) = letters.next() {
                write!(writer, "\\u{:04x}", u32::from(letter))?;
            }
            rest = letters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::to_json;
    use proptest::prelude::*;

    // Observed of Go 1.26's json.Marshal.
    #[test]
    fn texts_as_go_writes_them() {
        for (text, json) in [
            ("plain \u{e9} \u{1f600}", "\"plain \u{e9} \u{1f600}\""),
            (
                "<a href=\"x\">&</a>",
                r#""\u003ca href=\"x\"\u003e\u0026\u003c/a\u003e""#,
            ),
            ("\u{2028}\u{2029}", r#""\u2028\u2029""#),
            ("\u{8}\u{c}\n\r\t\\/", r#""\b\f\n\r\t\\/""#),
            ("\u{0}\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
        ] {
            assert_eq!(to_json(&text), json);
        }
    }

    #[expect(
        clippy::excessive_precision,
        reason = "written whole, they show that they lie half-way"
    )]
    #[test]
    fn as_go_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (10.0, "10"),
            (7.5, "7.5"),
            (1.0 / 3.0, "0.3333333333333333"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (1e20, "100000000000000000000"),
            (1.5e21, "1.5e+21"),
            (-2.5, "-2.5"),
            (563_063_181_900_215.25, "563063181900215.2"),
            (563_063_181_900_215.75, "563063181900215.8"),
            (1_125_899_906_842_623.25, "1125899906842623.2"),
            (1_125_899_906_842_623.75, "1125899906842623.8"),
            (2_500_000_000_000_000.5, "2500000000000000.5"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
        ] {
            assert_eq!(to_json(&value), text);
        }
    }

    proptest! {
        #[test]
        fn reads_back_as_the_same_number(value in proptest::num::f64::NORMAL) {
            prop_assert_eq!(to_json(&value).parse::<f64>().unwrap(), value);
        }

        /// Where Go has no exponent, nor have we, whoever writes the number; and no more digits than it takes.
        #[test]
        fn plain_digits(digits in 1_u64..1_000_000_000_000_000_000, exponent in -24_i32..3) {
            let value = digits as f64 * 10_f64.powi(exponent);
            prop_assume!((1e-6..1e21).contains(&value));
            let text = to_json(&value);
            prop_assert_eq!(text.parse::<f64>().unwrap(), value);
            prop_assert_eq!(text.len(), format!("{value}").len());
            prop_assert!(text.bytes().all(|letter| letter.is_ascii_digit() || letter == b'.'), "{}", text);
        }
    }
}
