//! The only file that names the YAML crate: text in, [`Tree`] out.
//!
//! serde_yaml here is serde-saphyr under that name (the workspace's `Cargo.toml` says why). It is used for what
//! it does well, YAML itself; types are decoded from our own tree (`document::decode`), so that every error has
//! the exact position even after includes, overrides and defaults were merged.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Error, Location, Spanned};

use crate::document::tree::{Key, Map, Scalar, Span, Tree, Value};
use crate::error::{Fault, Problem};

/// No file needs more levels; the parser's own limit (64) is more than an unoptimized build's stack holds.
const DEEPEST: usize = 20;

/// Values, names and brackets that all aliases together may stand for. Without a limit of their own a file of a few lines
/// would take the parser as long as the longest one that is read at all.
const MOST_REPEATED: usize = 50_000;

/// Parses one YAML document. `source` is the number its spans will carry.
pub(crate) fn parse(text: &str, source: u32) -> Result<Tree, Problem> {
    let options = serde_yaml::options! {
        // Duplicates are reported by us, with both places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        budget: serde_yaml::budget! { max_depth: DEEPEST },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: MOST_REPEATED },
        with_snippet: false,
    };
    let whole = Span {
        source,
        start: 0,
        length: 0,
    };
    let parsed: Option<Spanned<Raw>> =
        serde_yaml::from_str_with_options(text, options).map_err(|error| problem(&error, text, source))?;
    match parsed {
        Some(raw) => Ok(Converter { text, source }.tree(raw)),
        None => Ok(Tree::empty_map(whole)),
    }
}

fn problem(error: &Error, text: &str, source: u32) -> Problem {
    let plain = error.without_snippet();
    let span = plain
        .location()
        .map(|location| Converter { text, source }.span(location));
    // The position is shown by the caret; the crate's own sentence repeats it at the end.
    let mut reason = plain.to_string().lines().next().unwrap_or_default().to_owned();
    if let Some(end) = reason.find(" at line ") {
        reason.truncate(end);
    }
    if let Some(limit) = reason.strip_prefix("budget breached: ") {
        reason = format!("too deep, too long or with too many aliases ({limit})");
    }
    if reason.starts_with("alias replay limit exceeded") {
        reason = format!("too many aliases: they stand for more than {MOST_REPEATED} values");
    }
    let problem = Problem::new(
        Fault::Yaml { reason },
        span.unwrap_or(Span {
            source,
            start: 0,
            length: 0,
        }),
    );
    problem.label("here")
}

/// A value as the YAML crate hands it over, each part with its location.
enum Raw {
    Null,
    /// Text; numbers and booleans are re-read from the source as written.
    Text(String),
    /// A number or boolean.
    Literal,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Literal)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Literal)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Literal)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Literal)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Literal)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Literal)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

struct Converter<'a> {
    text: &'a str,
    source: u32,
}

impl Converter<'_> {
    fn tree(&self, raw: Spanned<Raw>) -> Tree {
        let span = self.span(raw.defined);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Text(text) => Value::Scalar(Scalar {
                plain: self.is_plain(span),
                text,
            }),
            Raw::Literal => Value::Scalar(Scalar {
                text: self.slice(span).trim().to_owned(),
                plain: true,
            }),
            Raw::List(items) => Value::List(items.into_iter().map(|item| self.tree(item)).collect()),
            Raw::Map(entries) => Value::Map(Map {
                entries: entries
                    .into_iter()
                    .map(|(key, value)| {
                        let span = self.span(key.defined);
                        (
                            Key {
                                text: key.value,
                                span,
                            },
                            self.tree(value),
                        )
                    })
                    .collect(),
            }),
        };
        Tree { value, span }
    }

    /// The byte at a line and column (in characters), both from 1; errors carry no more than that.
    fn offset(&self, line: u64, column: u64) -> usize {
        let before: usize = self
            .text
            .split_inclusive('\n')
            .take(to_usize(line.saturating_sub(1)))
            .map(str::len)
            .sum();
        let rest = self.text.get(before..).unwrap_or("");
        let within = rest.char_indices().nth(to_usize(column.saturating_sub(1)));
        before + within.map_or(rest.len(), |(offset, _)| offset)
    }

    fn slice(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.text.get(start..start + span.length as usize).unwrap_or("")
    }

    fn is_plain(&self, span: Span) -> bool {
        !self.slice(span).starts_with(['"', '\'', '|', '>'])
    }

    fn span(&self, location: Location) -> Span {
        let span = location.span();
        let length = self.text.len();
        let offset = span.byte_offset().map(to_usize);
        let start = offset
            .unwrap_or_else(|| self.offset(location.line(), location.column()))
            .min(length);
        let end = start
            .saturating_add(span.byte_len().map_or(0, to_usize))
            .min(length);
        // A block mapping's span runs to the next token: point at its first line only.
        let end = self
            .text
            .get(start..end)
            .and_then(|text| text.find('\n'))
            .map_or(end, |line| start + line);
        Span {
            source: self.source,
            start: to_u32(start),
            length: to_u32(end - start),
        }
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
