//! Writing: `<`, `>`, `&` and the two Unicode line separators leave as escapes, as Go's encoder does by default.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// The document of `value`, without white space.
///
/// # Errors
/// Only when `value` refuses to be serialised, which the types of this crate never do.
pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut document = Vec::with_capacity(256);
    value.serialize(&mut Serializer::with_formatter(&mut document, GoFormatter))?;
    Ok(document)
}

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut plain_from = 0;
        for (at, character) in fragment.char_indices() {
            if matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') {
                writer.write_all(&fragment.as_bytes()[plain_from..at])?;
                write!(writer, "\\u{:04x}", u32::from(character))?;
                plain_from = at + character.len_utf8();
            }
        }
        writer.write_all(&fragment.as_bytes()[plain_from..])
    }
}

#[cfg(test)]
mod tests {
    use super::to_bytes;

    #[test]
    fn escapes_what_go_escapes() {
        let document = to_bytes(&"a<b>&\u{2028}\"\u{e9}").unwrap();
        assert_eq!(
            String::from_utf8(document).unwrap(),
            "\"a\\u003cb\\u003e\\u0026\\u2028\\\"\u{e9}\""
        );
    }
}
