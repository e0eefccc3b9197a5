//! Finding the first mistake in a document and naming it with the sentence Go's `encoding/json` uses
//! (observed on the real platform, which passes that sentence on to the client).

/// Nesting the Go decoder accepts before it gives up.
const DEEPEST: usize = 10_000;

/// Checks the syntax of `document`.
///
/// # Errors
/// The sentence for the first mistake.
pub(super) fn check(document: &[u8]) -> Result<(), String> {
    let mut scanner = Scanner {
        document,
        at: 0,
        open: Vec::new(),
    };
    scanner.document()
}

#[derive(Clone, Copy, PartialEq)]
enum Container {
    Object,
    Array,
}

struct Scanner<'a> {
    document: &'a [u8],
    at: usize,
    open: Vec<Container>,
}

type Checked = Result<(), String>;

impl Scanner<'_> {
    fn document(&mut self) -> Checked {
        self.value()?;
        while let Some(&container) = self.open.last() {
            self.after_value(container)?;
        }
        match self.skip_space() {
            None => Ok(()),
            Some(byte) => Err(unexpected(byte, "after top-level value")),
        }
    }

    /// What may follow a complete value inside `container`: its end, or a comma and the next member.
    fn after_value(&mut self, container: Container) -> Checked {
        let (end, context) = match container {
            Container::Object => (b'}', "after object key:value pair"),
            Container::Array => (b']', "after array element"),
        };
        let byte = self.need()?;
        if byte == end {
            self.at += 1;
            self.open.pop();
            return Ok(());
        }
        if byte != b',' {
            return Err(unexpected(byte, context));
        }
        self.at += 1;
        if container == Container::Object {
            self.key()?;
        }
        self.value()
    }

    /// A key and its colon.
    fn key(&mut self) -> Checked {
        let byte = self.need()?;
        if byte != b'"' {
            return Err(unexpected(byte, "looking for beginning of object key string"));
        }
        self.string()?;
        let byte = self.need()?;
        if byte != b':' {
            return Err(unexpected(byte, "after object key"));
        }
        self.at += 1;
        Ok(())
    }

    /// A scalar, an empty container, or containers opened down to the first of these (a loop, not a recursion:
    /// nesting is the sender's choice). `document` walks the rest of what stays open.
    fn value(&mut self) -> Checked {
        loop {
            let (container, end) = match self.need()? {
                b'{' => (Container::Object, b'}'),
                b'[' => (Container::Array, b']'),
                b'"' => return self.string(),
                b't' => return self.literal("true"),
                b'f' => return self.literal("false"),
                b'n' => return self.literal("null"),
                b'-' | b'0'..=b'9' => return self.number(),
                byte => return Err(unexpected(byte, "looking for beginning of value")),
            };
            if self.open.len() >= DEEPEST {
                return Err("exceeded max depth".to_owned());
            }
            self.at += 1;
            if self.need()? == end {
                self.at += 1;
                return Ok(());
            }
            self.open.push(container);
            if container == Container::Object {
                self.key()?;
            }
        }
    }

    fn string(&mut self) -> Checked {
        self.at += 1;
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                byte if byte < 0x20 => return Err(unexpected(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Checked {
        match self.next()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    let byte = self.next()?;
                    if !byte.is_ascii_hexdigit() {
                        return Err(unexpected(byte, "in \\u hexadecimal character escape"));
                    }
                }
                Ok(())
            }
            byte => Err(unexpected(byte, "in string escape code")),
        }
    }

    fn literal(&mut self, word: &str) -> Checked {
        self.at += 1;
        for expected in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != expected {
                let context = format!("in literal {word} (expecting {})", quoted(expected));
                return Err(unexpected(byte, &context));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Checked {
        if self.document.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.document.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.document.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.document.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.document.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digits(&mut self, context: &str) -> Checked {
        let first = self.next()?;
        if !first.is_ascii_digit() {
            return Err(unexpected(first, context));
        }
        while self.document.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    fn skip_space(&mut self) -> Option<u8> {
        while matches!(self.document.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.document.get(self.at).copied()
    }

    /// The next byte that is not white space, left in place.
    fn need(&mut self) -> Result<u8, String> {
        self.skip_space().ok_or_else(ended)
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.document.get(self.at).copied().ok_or_else(ended)?;
        self.at += 1;
        Ok(byte)
    }
}

fn ended() -> String {
    "unexpected end of JSON input".to_owned()
}

fn unexpected(byte: u8, context: &str) -> String {
    format!("invalid character {} {context}", quoted(byte))
}

/// A byte as Go quotes it: taken for a Latin-1 character.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0..0x20 | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn accepts_what_is_right() {
        let documents = [
            "{}",
            " [ ] ",
            "[1,-0.5e+3,0,true,false,null]",
            r#"{"a":{"b":["\u00e9\n"]},"c":""}"#,
            "\"x\"",
        ];
        for document in documents {
            assert_eq!(check(document.as_bytes()), Ok(()), "{document}");
        }
    }

    #[test]
    fn names_the_mistake_as_go_does() {
        let cases = [
            (
                "{bad",
                "invalid character 'b' looking for beginning of object key string",
            ),
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("{\"a\"", "unexpected end of JSON input"),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{\"a\":1 \"b\"}",
                "invalid character '\"' after object key:value pair",
            ),
            (
                "{\"a\":1,}",
                "invalid character '}' looking for beginning of object key string",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("tru}", "invalid character '}' in literal true (expecting 'e')"),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            (
                "\"\\u00g0\"",
                "invalid character 'g' in \\u hexadecimal character escape",
            ),
            ("-x", "invalid character 'x' in numeric literal"),
            (
                "1.x",
                "invalid character 'x' after decimal point in numeric literal",
            ),
            ("1e+x", "invalid character 'x' in exponent of numeric literal"),
            ("01", "invalid character '1' after top-level value"),
            ("'", "invalid character '\\'' looking for beginning of value"),
        ];
        for (document, sentence) in cases {
            assert_eq!(check(document.as_bytes()), Err(sentence.to_owned()), "{document}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(1_000_000);
        assert_eq!(check(deep.as_bytes()), Err("exceeded max depth".to_owned()));
    }
}
