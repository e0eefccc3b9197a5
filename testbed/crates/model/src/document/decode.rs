//! Types from a [`Tree`], through serde, with the position of whatever does not fit.
//!
//! serde's own data model has no positions. Two things carry them: every error is stamped with the innermost
//! value (or key) that was being read, and [`Spanned`] receives its value together with its place.

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::spanned::{self, SpannedAccess};
use super::tree::{Key, Map, Scalar, Span, Tree, Value};
use crate::error::{Fault, Problem, suggestion};

/// Separates a message from its help inside one custom serde error (a serde error can only be built from text).
const HELP: char = '\u{1f}';

/// Decodes `tree` as a `T`.
pub(crate) fn decode<T: DeserializeOwned>(tree: &Tree) -> Result<T, Problem> {
    T::deserialize(Decoder(tree)).map_err(|error| error.problem(tree.span))
}

/// Text for [`de::Error::custom`] that keeps its help apart.
pub(crate) fn message_with_help(message: &str, help: &str) -> String {
    format!("{message}{HELP}{help}")
}

/// A serde error that knows its place.
#[derive(Debug)]
pub(crate) struct DecodeError {
    fault: Box<Fault>,
    label: &'static str,
    help: Option<String>,
    span: Option<Span>,
    /// A key is absent: the caret belongs under the key of the mapping that lacks it, not under its first line.
    absent: bool,
}

impl DecodeError {
    fn new(fault: Fault, label: &'static str, help: Option<String>) -> DecodeError {
        DecodeError {
            fault: Box::new(fault),
            label,
            help,
            span: None,
            absent: false,
        }
    }

    fn at(mut self, span: Span) -> DecodeError {
        self.span.get_or_insert(span);
        self
    }

    fn problem(self, fallback: Span) -> Problem {
        let problem = Problem::new(*self.fault, self.span.unwrap_or(fallback)).label(self.label);
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.fault.fmt(formatter)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        let (message, help) = match text.split_once(HELP) {
            Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
            None => (text, None),
        };
        DecodeError::new(Fault::Value { message }, "", help)
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Str(text) => format!("the text `{text}`"),
            de::Unexpected::Unit => "nothing".to_owned(),
            de::Unexpected::Map => "a mapping".to_owned(),
            de::Unexpected::Seq => "a list".to_owned(),
            other => format!("{other}").replace("string", "the text"),
        };
        let expected = match expected.to_string().as_str() {
            "u8" => "a whole number from 0 to 255".to_owned(),
            "u16" => "a whole number from 0 to 65535".to_owned(),
            "u32" | "u64" => "a whole number, 0 or more".to_owned(),
            "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
            "f32" | "f64" => "a number".to_owned(),
            "a boolean" | "bool" => "`true` or `false`".to_owned(),
            "a string" => "a single value".to_owned(),
            other => other.to_owned(),
        };
        DecodeError::new(
            Fault::WrongType { found, expected },
            "not what is expected here",
            None,
        )
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let help = suggestion(field, expected);
        DecodeError::new(
            Fault::UnknownKey {
                key: field.to_owned(),
            },
            "no such key here",
            help,
        )
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let help = suggestion(variant, expected);
        DecodeError::new(
            Fault::UnknownChoice {
                value: variant.to_owned(),
            },
            "not one of the choices",
            help,
        )
    }

    fn missing_field(field: &'static str) -> Self {
        let mut error = DecodeError::new(
            Fault::MissingKey {
                key: field.to_owned(),
            },
            "has no such key",
            None,
        );
        error.absent = true;
        error
    }
}

/// Reads a [`Tree`].
#[derive(Clone, Copy)]
pub(super) struct Decoder<'a>(pub(super) &'a Tree);

impl<'a> Decoder<'a> {
    fn mismatch(self, expected: &dyn de::Expected) -> DecodeError {
        let found = match &self.0.value {
            Value::Null => de::Unexpected::Unit,
            Value::Scalar(scalar) => de::Unexpected::Str(&scalar.text),
            Value::List(_) => de::Unexpected::Seq,
            Value::Map(_) => de::Unexpected::Map,
        };
        de::Error::invalid_type(found, expected)
    }

    fn text(self, expected: &dyn de::Expected) -> Result<&'a str, DecodeError> {
        self.0.as_text().ok_or_else(|| self.mismatch(expected))
    }

    fn number<N: std::str::FromStr>(self, expected: &dyn de::Expected) -> Result<N, DecodeError> {
        match &self.0.value {
            Value::Scalar(Scalar { text, plain: true }) => text.parse().map_err(|_| self.mismatch(expected)),
            _ => Err(self.mismatch(expected)),
        }
    }

    fn map<V: Visitor<'a>>(self, map: &'a Map, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_map(MapAccess {
            entries: map.entries.iter(),
            value: None,
        })
    }

    /// Stamps an error with this value's place, unless something inside already has one.
    fn stamp<T>(self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|error| {
            if error.absent {
                error
            } else {
                error.at(self.0.span)
            }
        })
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            self.stamp(self.number::<$type>(&visitor).and_then(|number| visitor.$visit(number)))
        }
    )*};
}

impl<'a> de::Deserializer<'a> for Decoder<'a> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let result = match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar(scalar) => visit_scalar(scalar, visitor),
            Value::List(items) => visitor.visit_seq(ListAccess(items.iter())),
            Value::Map(map) => self.map(map, visitor),
        };
        self.stamp(result)
    }

    numbers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64, deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64, deserialize_bool visit_bool bool,
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.stamp(self.text(&visitor).and_then(|text| visitor.visit_str(text)))
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.stamp(match &self.0.value {
            Value::List(items) => visitor.visit_seq(ListAccess(items.iter())),
            _ => Err(self.mismatch(&visitor)),
        })
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.stamp(match &self.0.value {
            Value::Map(map) => self.map(map, visitor),
            _ => Err(self.mismatch(&visitor)),
        })
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.stamp(match &self.0.value {
            Value::Map(map) => self.map(map, visitor),
            _ => Err(self.mismatch(&"a mapping of keys to values")),
        })
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let choice: Result<StrDeserializer<'a, DecodeError>, _> = self
            .text(&"one of a few words")
            .map(IntoDeserializer::into_deserializer);
        self.stamp(choice.and_then(|choice| visitor.visit_enum(choice)))
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == spanned::MARKER {
            visitor.visit_seq(SpannedAccess::new(self.0.span, self))
        } else {
            self.stamp(visitor.visit_newtype_struct(self))
        }
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        i128 u128 bytes byte_buf unit unit_struct tuple_struct ignored_any
    }
}

/// A scalar as what it looks like: plain ones may be numbers or booleans.
fn visit_scalar<'a, V: Visitor<'a>>(scalar: &'a Scalar, visitor: V) -> Result<V::Value, DecodeError> {
    let text = scalar.text.as_str();
    if !scalar.plain {
        return visitor.visit_str(text);
    }
    if let Ok(truth) = text.parse() {
        return visitor.visit_bool(truth);
    }
    if let Ok(number) = text.parse() {
        return visitor.visit_u64(number);
    }
    if let Ok(number) = text.parse() {
        return visitor.visit_i64(number);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => visitor.visit_f64(number),
        _ => visitor.visit_str(text),
    }
}

struct ListAccess<'a>(std::slice::Iter<'a, Tree>);

impl<'a> de::SeqAccess<'a> for ListAccess<'a> {
    type Error = DecodeError;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        let Some(item) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(Decoder(item))
            .map(Some)
            .map_err(|error| error.at(item.span))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct MapAccess<'a> {
    entries: std::slice::Iter<'a, (Key, Tree)>,
    value: Option<(&'a Key, &'a Tree)>,
}

impl<'a> de::MapAccess<'a> for MapAccess<'a> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some((key, value));
        seed.deserialize(KeyDecoder(key))
            .map(Some)
            .map_err(|error| error.at(key.span))
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, DecodeError> {
        let Some((key, value)) = self.value.take() else {
            return Err(de::Error::custom("a value was read before its key"));
        };
        seed.deserialize(Decoder(value)).map_err(|error| {
            let place = if error.absent { key.span } else { value.span };
            error.at(place)
        })
    }
}

/// Reads a mapping's key.
#[derive(Clone, Copy)]
pub(super) struct KeyDecoder<'a>(&'a Key);

impl<'a> de::Deserializer<'a> for KeyDecoder<'a> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_str(&self.0.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == spanned::MARKER {
            visitor.visit_seq(SpannedAccess::new(self.0.span, self))
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
