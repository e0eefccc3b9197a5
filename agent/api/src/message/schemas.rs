//! The fields of each message, in the original's order.

use super::{
    TYPE_NODE_INFO_NMS, TYPE_NODE_INFO_RECALC, TYPE_NODE_INFO_STATIC, TYPE_NODE_MARGIN_INFO_NMS, TYPE_TEXT,
    to_json,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// `FuncLimits`: PeerId → function → requests per second the sender will take from that peer.
pub type FunctionLimits = BTreeMap<String, BTreeMap<String, f64>>;

/// Free text, for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MsgText {
    /// What is said.
    #[serde(rename = "Text", deserialize_with = "null_as_default")]
    pub text: String,
}

/// What a node offers its peers under the recalc strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// What a node is and has, under the node margin strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MsgNodeInfoNms {
    /// Address at which the sender's proxy takes forwarded requests.
    #[serde(rename = "HAProxyHost", deserialize_with = "null_as_default")]
    pub haproxy_host: String,
    /// Its port.
    #[serde(rename = "HAProxyPort", deserialize_with = "null_as_default")]
    pub haproxy_port: u32,
    /// 0 heavy, 1 mid, 2 light; which of the forecaster's models fits the sender.
    #[serde(rename = "NodeType", deserialize_with = "null_as_default")]
    pub node_type: i64,
    /// The most the sender may use, by the name of the metric: `cpu_usage_node` in per cent of a core, `ram_usage_node`
    /// in bytes, `power_usage_node` in microwatts.
    #[serde(rename = "MaxValues", deserialize_with = "numbers_with_nulls")]
    pub max_values: BTreeMap<String, f64>,
    /// Names of its functions.
    #[serde(rename = "Functions", deserialize_with = "null_as_default")]
    pub functions: Vec<String>,
}

/// How much room a node has, under the node margin strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MsgNodeMarginInfoNms {
    /// Per cent of the sender's resources that each of its peers may fill; 0 when it is overloaded.
    #[serde(rename = "Margin", deserialize_with = "null_as_default")]
    pub margin: f64,
    /// The sender's own load; zeros when the margin is 0.
    #[serde(rename = "Load", deserialize_with = "null_as_default")]
    pub load: GroupLoad,
}

/// Requests per second by group of functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupLoad {
    /// Of functions that use much.
    #[serde(rename = "RateHighUsage", deserialize_with = "null_as_default")]
    pub high: f64,
    /// Of functions that use little.
    #[serde(rename = "RateLowUsage", deserialize_with = "null_as_default")]
    pub low: f64,
    /// Of those between.
    #[serde(rename = "RateMediumUsage", deserialize_with = "null_as_default")]
    pub medium: f64,
}

/// What a node has, under the static strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MsgNodeInfoStatic {
    /// Address at which the sender's proxy takes forwarded requests.
    #[serde(rename = "HAProxyHost", deserialize_with = "null_as_default")]
    pub haproxy_host: String,
    /// Its port.
    #[serde(rename = "HAProxyPort", deserialize_with = "null_as_default")]
    pub haproxy_port: u32,
    /// Names of its functions.
    #[serde(rename = "Functions", deserialize_with = "null_as_default")]
    pub functions: Vec<String>,
}

impl MsgText {
    /// The message as compact JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(TYPE_TEXT, self)
    }
}

impl MsgNodeInfoRecalc {
    /// The message as compact JSON, fields in the original's order, keys sorted, numbers as Go prints them
    /// (`10`, not `10.0`). A limit that is not finite, which JSON cannot say, is written as 0.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(TYPE_NODE_INFO_RECALC, self)
    }
}

impl MsgNodeInfoNms {
    /// The message as compact JSON; numbers as in [`MsgNodeInfoRecalc::to_json`].
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(TYPE_NODE_INFO_NMS, self)
    }
}

impl MsgNodeMarginInfoNms {
    /// The message as compact JSON; numbers as in [`MsgNodeInfoRecalc::to_json`].
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(TYPE_NODE_MARGIN_INFO_NMS, self)
    }
}

impl MsgNodeInfoStatic {
    /// The message as compact JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(TYPE_NODE_INFO_STATIC, self)
    }
}

/// Go reads `null` as "nothing said", and writes a list or a map that was never made so.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

pub(super) fn numbers_with_nulls<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, f64>, D::Error> {
    let map: BTreeMap<String, Option<f64>> = null_as_default(deserializer)?;
    Ok(map
        .into_iter()
        .map(|(name, number)| (name, number.unwrap_or_default()))
        .collect())
}

fn limits_with_nulls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FunctionLimits, D::Error> {
    #[derive(Default)]
    struct Limits(BTreeMap<String, f64>);
    impl<'de> Deserialize<'de> for Limits {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            numbers_with_nulls(deserializer).map(Self)
        }
    }
    let map: BTreeMap<String, Limits> = null_as_default(deserializer)?;
    Ok(map
        .into_iter()
        .map(|(peer, Limits(limits))| (peer, limits))
        .collect())
}
