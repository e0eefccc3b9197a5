//! Exact decimal fractions.

use super::UnitError;

/// `digits / 10^places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u128,
    places: u32,
}

impl Decimal {
    /// Splits `12.5ms` into the number and the unit behind it (blanks between them are allowed).
    pub(super) fn split<'a>(text: &'a str, example: &'static str) -> Result<(Decimal, &'a str), UnitError> {
        let text = text.trim();
        let end = text
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let refused = || UnitError::NoNumber {
            text: text.to_owned(),
            example,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.contains('.') || number.ends_with('.') {
            return Err(refused());
        }
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}").parse().map_err(|_| refused())?;
        let places = u32::try_from(fraction.len()).map_err(|_| refused())?;
        Ok((Decimal { digits, places }, unit.trim()))
    }

    pub(super) fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// This times `factor`, if that is a whole number that fits.
    pub(super) fn times(self, factor: u64) -> Option<u64> {
        let divisor = 10_u128.checked_pow(self.places)?;
        let product = self.digits.checked_mul(u128::from(factor))?;
        if !product.is_multiple_of(divisor) {
            return None;
        }
        u64::try_from(product / divisor).ok()
    }

    /// The shortest text of `value / unit`, if it ends within `places` decimal places.
    pub(super) fn text(value: u64, unit: u64) -> Option<String> {
        let (whole, mut rest) = (value / unit, value % unit);
        if rest == 0 {
            return Some(whole.to_string());
        }
        let mut fraction = String::new();
        while rest != 0 {
            if fraction.len() >= 18 {
                return None;
            }
            let wide = u128::from(rest) * 10;
            fraction.push(char::from(b'0' + u8::try_from(wide / u128::from(unit)).ok()?));
            rest = u64::try_from(wide % u128::from(unit)).ok()?;
        }
        Some(format!("{whole}.{fraction}"))
    }
}
