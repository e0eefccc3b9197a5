//! The `agent:` section: two keys of its own, and any setting of the agent.

use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::file::TextMap;
use crate::document::spanned::Spanned;

/// Settings of an agent: `KEY: value` becomes the environment variable `AGENT_KEY` (in upper case), for example
/// `strategy`, `recalc_period` or `limitin_enforce`.
#[derive(Clone, Debug, Default, JsonSchema)]
pub(crate) struct AgentFile {
    /// Another agent's program, an absolute path; the built-in agent when absent.
    pub(crate) binary: Option<Spanned<String>>,
    /// Environment variables by their full names.
    pub(crate) env: Option<TextMap>,
    /// Settings by the agent's names for them.
    #[schemars(flatten)]
    pub(crate) settings: IndexMap<Spanned<String>, Spanned<AgentValue>>,
}

impl<'de> Deserialize<'de> for AgentFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AgentVisitor;
        impl<'de> Visitor<'de> for AgentVisitor {
            type Value = AgentFile;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a mapping of agent settings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<AgentFile, A::Error> {
                let mut file = AgentFile::default();
                while let Some(key) = access.next_key::<Spanned<String>>()? {
                    match key.value.as_str() {
                        "binary" => file.binary = access.next_value()?,
                        "env" => file.env = access.next_value()?,
                        _ => {
                            file.settings.insert(key, access.next_value()?);
                        }
                    }
                }
                Ok(file)
            }
        }
        deserializer.deserialize_map(AgentVisitor)
    }
}

/// The value of a setting as the text of its environment variable; lists are joined with commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentValue(pub(crate) String);

impl<'de> Deserialize<'de> for AgentValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = AgentValue;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("one value or a list of values")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<AgentValue, E> {
                Ok(AgentValue(value.to_string()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<AgentValue, E> {
                Ok(AgentValue(value.to_string()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<AgentValue, E> {
                Ok(AgentValue(value.to_string()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<AgentValue, E> {
                Ok(AgentValue(value.to_string()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<AgentValue, E> {
                Ok(AgentValue(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<AgentValue, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = access.next_element::<String>()? {
                    items.push(item);
                }
                Ok(AgentValue(items.join(",")))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl JsonSchema for AgentValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AgentValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "array"], "items": { "type": ["string", "number"] } })
    }
}
