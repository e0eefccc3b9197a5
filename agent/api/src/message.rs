//! Messages that agents publish: JSON with the field names of the original agent, written as Go writes them.

mod number;

use number::go_number;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use thiserror::Error;

/// `FuncLimits`: PeerId → function → requests per second the sender will take from that peer.
pub type FunctionLimits = BTreeMap<String, BTreeMap<String, f64>>;

/// `MsgType` of [`MsgNodeInfoRecalc`].
pub const TYPE_NODE_INFO_RECALC: &str = "nodeinfoRecalc";
/// `MsgType` of a free text.
pub const TYPE_TEXT: &str = "text";

/// A text that is not a message.
#[derive(Debug, Error)]
pub enum MessageError {
    /// Not JSON, or a field of another type.
    #[error("not a message: {0}")]
    Json(#[from] serde_json::Error),
}

/// Any message of the overlay's topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A node's offer to its peers.
    NodeInfoRecalc(MsgNodeInfoRecalc),
    /// Free text, for people.
    Text(String),
    /// A message of a strategy this version does not know; its type.
    Unknown(String),
}

/// What a node offers its peers under the recalc strategy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct MsgNodeInfoRecalc {
    /// Address at which the sender's proxy takes forwarded requests.
    #[serde(rename = "HAProxyHost", deserialize_with = "null_as_default")]
    pub haproxy_host: String,
    /// Its port.
    #[serde(rename = "HAProxyPort", deserialize_with = "null_as_default")]
    pub haproxy_port: u32,
    /// How much of each function each peer may send, in requests per second.
    #[serde(rename = "FuncLimits", deserialize_with = "limits_with_nulls")]
    pub func_limits: FunctionLimits,
}

impl MsgNodeInfoRecalc {
    /// The message as compact JSON, fields in the original's order, keys sorted, numbers as Go prints them
    /// (`10`, not `10.0`). A limit that is not finite, which JSON cannot say, is written as 0.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::with_capacity(128 + self.func_limits.len() * 96);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{{\"MsgType\":{kind},\"HAProxyHost\":{host},\"HAProxyPort\":{port},\"FuncLimits\":",
            kind = quoted(TYPE_NODE_INFO_RECALC),
            host = quoted(&self.haproxy_host),
            port = self.haproxy_port,
        );
        write_object(&mut text, &self.func_limits, |text, limits| {
            write_object(text, limits, |text, limit| text.push_str(&go_number(*limit)));
        });
        text.push('}');
        text
    }
}

impl Message {
    /// Reads a message. Unknown fields are ignored and missing ones are empty, as in Go.
    ///
    /// # Errors
    /// When the text is not a JSON object or a field has another type.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MessageError> {
        #[derive(Deserialize)]
        struct Envelope {
            #[serde(rename = "MsgType", default)]
            kind: String,
            #[serde(rename = "Text", default)]
            text: String,
        }
        let envelope: Envelope = serde_json::from_slice(bytes)?;
        Ok(match envelope.kind.as_str() {
            TYPE_NODE_INFO_RECALC => Self::NodeInfoRecalc(serde_json::from_slice(bytes)?),
            TYPE_TEXT => Self::Text(envelope.text),
            _ => Self::Unknown(envelope.kind),
        })
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON object in key order.
fn write_object<T>(text: &mut String, map: &BTreeMap<String, T>, write_value: impl Fn(&mut String, &T)) {
    text.push('{');
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&quoted(key));
        text.push(':');
        write_value(text, value);
    }
    text.push('}');
}

/// Go writes an empty map that was never made as `null`.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

fn limits_with_nulls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FunctionLimits, D::Error> {
    type Nullable = BTreeMap<String, Option<BTreeMap<String, f64>>>;
    let map = Option::<Nullable>::deserialize(deserializer)?.unwrap_or_default();
    Ok(map
        .into_iter()
        .map(|(peer, limits)| (peer, limits.unwrap_or_default()))
        .collect())
}

#[cfg(test)]
mod tests;
