//! Reading of an offer only what concerns one node: an agent among fifty would throw away all the rest.

use super::MsgNodeInfoRecalc;
use super::schemas::{FunctionLimits, numbers_with_nulls};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// The offer with the limits of this node alone. What it says to others must be well formed all the same.
pub(super) struct OfferTo<'a>(pub(super) &'a str);

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Field {
    #[serde(rename = "HAProxyHost")]
    Host,
    #[serde(rename = "HAProxyPort")]
    Port,
    #[serde(rename = "FuncLimits")]
    Limits,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for OfferTo<'_> {
    type Value = MsgNodeInfoRecalc;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OfferTo<'_> {
    type Value = MsgNodeInfoRecalc;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an offer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let (mut host, mut port, mut limits) = (None, None, None);
        while let Some(field) = fields.next_key()? {
            match field {
                Field::Host => once(&mut host, "HAProxyHost", fields.next_value::<Option<_>>()?)?,
                Field::Port => once(&mut port, "HAProxyPort", fields.next_value::<Option<_>>()?)?,
                Field::Limits => {
                    let own = fields.next_value_seed(LimitsOf(self.0))?;
                    once(&mut limits, "FuncLimits", Some(own))?;
                }
                Field::Other => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(MsgNodeInfoRecalc {
            haproxy_host: host.flatten().unwrap_or_default(),
            haproxy_port: port.flatten().unwrap_or_default(),
            func_limits: limits.flatten().unwrap_or_default(),
        })
    }
}

/// A field may be there once.
fn once<T, E: Error>(field: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// `FuncLimits` with the entry of this node alone.
struct LimitsOf<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for LimitsOf<'_> {
    type Value = FunctionLimits;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for LimitsOf<'_> {
    type Value = FunctionLimits;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("limits by peer")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(FunctionLimits::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut peers: A) -> Result<Self::Value, A::Error> {
        let mut limits = FunctionLimits::new();
        while let Some(own) = peers.next_key_seed(Is(self.0))? {
            if own {
                let Own(own) = peers.next_value()?;
                limits.insert(self.0.to_owned(), own);
            } else {
                peers.next_value::<Option<Numbers>>()?;
            }
        }
        Ok(limits)
    }
}

/// Whether a text is this one.
struct Is<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        Ok(text == self.0)
    }
}

struct Own(BTreeMap<String, f64>);

impl<'de> Deserialize<'de> for Own {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        numbers_with_nulls(deserializer).map(Self)
    }
}

/// Numbers by name, looked at and not kept.
struct Numbers;

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Numbers {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("limits by function")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut numbers: A) -> Result<Self, A::Error> {
        while numbers.next_key_seed(Is(""))?.is_some() {
            numbers.next_value::<Option<f64>>()?;
        }
        Ok(self)
    }
}
