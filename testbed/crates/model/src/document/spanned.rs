//! A decoded value together with its place.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::{SeqDeserializer, U32Deserializer};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::decode::DecodeError;
use super::tree::Span;

/// The newtype name by which [`Spanned`] asks the decoder for a place as well.
pub(super) const MARKER: &str = "$dfaas-model-spanned";

/// `value`, and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: std::hash::Hash> std::hash::Hash for Spanned<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(MARKER, SpannedVisitor(PhantomData))
    }
}

struct SpannedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value with its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Spanned<T>, A::Error> {
        let place: Option<[u32; 3]> = access.next_element()?;
        let value: Option<T> = access.next_element()?;
        match (place, value) {
            (Some([source, start, length]), Some(value)) => Ok(Spanned {
                value,
                span: Span {
                    source,
                    start,
                    length,
                },
            }),
            _ => Err(de::Error::custom("a value came without its place")),
        }
    }
}

/// Hands out the place, then the value.
pub(super) struct SpannedAccess<D> {
    place: Option<Span>,
    value: Option<D>,
}

impl<D> SpannedAccess<D> {
    pub(super) fn new(place: Span, value: D) -> Self {
        SpannedAccess {
            place: Some(place),
            value: Some(value),
        }
    }
}

impl<'de, D: Deserializer<'de, Error = DecodeError>> SeqAccess<'de> for SpannedAccess<D> {
    type Error = DecodeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        if let Some(place) = self.place.take() {
            let numbers = [place.source, place.start, place.length];
            let numbers: SeqDeserializer<_, DecodeError> =
                SeqDeserializer::new(numbers.into_iter().map(U32Deserializer::new));
            return seed.deserialize(numbers).map(Some);
        }
        self.value.take().map(|value| seed.deserialize(value)).transpose()
    }
}
