//! Checking what a peer says before believing it.

use crate::platform::{MAXIMUM_FUNCTIONS, is_function_name};
use crate::strategy::{FunctionName, PeerAddress};
use dfaas_agent_api::message::{FunctionLimits, GroupLoad, MsgNodeInfoNms, MsgNodeMarginInfoNms};
use dfaas_agent_api::{Message, MsgNodeInfoRecalc, MsgNodeInfoStatic};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use thiserror::Error;

/// More requests per second than a node can take. What is beyond is no offer but a way to draw all load.
const MAXIMUM_RATE: f64 = 1e6;
/// More metrics than a forecaster predicts.
const MAXIMUM_METRICS: usize = 16;
/// How much of a text is shown.
const SHOWN: usize = 100;

/// Why a message is dropped. The text without its details is the metric's label.
#[derive(Debug, Error)]
pub enum BadMessage {
    /// Not a message.
    #[error(transparent)]
    NotAMessage(#[from] dfaas_agent_api::MessageError),
    /// Of no strategy that is known here.
    #[error("message of the unknown type {0:?}")]
    UnknownType(String),
    /// The sender's proxy cannot be forwarded to.
    #[error("{host:?} port {port} is not an address to forward to")]
    BadAddress {
        /// As sent.
        host: String,
        /// As sent.
        port: u32,
    },
    /// A function name that would be unsafe in a configuration.
    #[error("{0:?} is not a function name")]
    BadFunctionName(String),
    /// Too much of it.
    #[error("it names {0} functions")]
    TooManyFunctions(usize),
    /// A number that nothing sound can be computed from.
    #[error("{field} {value} is out of range")]
    BadNumber {
        /// What the number stands for.
        field: String,
        /// As sent.
        value: f64,
    },
}

impl BadMessage {
    /// A label of few values for the metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAMessage(_) => "not a message",
            Self::UnknownType(_) => "unknown type",
            Self::BadAddress { .. } => "bad address",
            Self::BadFunctionName(_) => "bad function name",
            Self::TooManyFunctions(_) => "too many functions",
            Self::BadNumber { .. } => "bad number",
        }
    }
}

/// A message that may be believed: addresses can be forwarded to, names are safe, numbers are finite and not negative.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A peer's offer under the recalc strategy; only the part about this node is kept.
    Offer {
        /// The peer's proxy.
        address: PeerAddress,
        /// What it offers to this node, if it says so.
        offers: FunctionLimits,
    },
    /// What a peer is and has, under the node margin strategy.
    NodeInfo {
        /// The peer's proxy.
        address: PeerAddress,
        /// 0 heavy, 1 mid, 2 light.
        node_type: i64,
        /// The most it may use, by metric.
        max_values: BTreeMap<String, f64>,
        /// Its functions.
        functions: BTreeSet<FunctionName>,
    },
    /// How much room a peer has, under the node margin strategy.
    Margin {
        /// Per cent that each of its peers may fill.
        margin: f64,
        /// Its load.
        load: GroupLoad,
    },
    /// What a peer has, under the static strategy.
    Functions {
        /// The peer's proxy.
        address: PeerAddress,
        /// Its functions.
        functions: BTreeSet<FunctionName>,
    },
    /// Free text for people.
    Text(String),
}

/// Reads a message; also returns its `MsgType`.
///
/// # Errors
/// When it is not one, or says something that must not reach the proxy.
pub fn hear(data: &[u8], own_id: &str) -> Result<(Heard, &'static str), BadMessage> {
    use dfaas_agent_api::message::{
        TYPE_NODE_INFO_NMS, TYPE_NODE_INFO_RECALC, TYPE_NODE_INFO_STATIC, TYPE_NODE_MARGIN_INFO_NMS,
        TYPE_TEXT,
    };
    Ok(match Message::from_json_for(data, own_id)? {
        Message::NodeInfoRecalc(message) => (offer(message, own_id)?, TYPE_NODE_INFO_RECALC),
        Message::NodeInfoNms(message) => (node_info(message)?, TYPE_NODE_INFO_NMS),
        Message::NodeMarginInfoNms(message) => (margin(&message)?, TYPE_NODE_MARGIN_INFO_NMS),
        Message::NodeInfoStatic(message) => (functions_of(message)?, TYPE_NODE_INFO_STATIC),
        Message::Text(message) => (Heard::Text(message.text.chars().take(1000).collect()), TYPE_TEXT),
        Message::Unknown(kind) => return Err(BadMessage::UnknownType(shown(&kind))),
    })
}

fn offer(mut message: MsgNodeInfoRecalc, own_id: &str) -> Result<Heard, BadMessage> {
    let address = address(&message.haproxy_host, message.haproxy_port)?;
    let mut offers = BTreeMap::new();
    if let Some(own) = message.func_limits.remove(own_id) {
        check_functions(own.len(), own.keys())?;
        for (function, limit) in &own {
            check_number(|| format!("the limit of {function}"), *limit, MAXIMUM_RATE)?;
        }
        offers.insert(own_id.to_owned(), own);
    }
    Ok(Heard::Offer { address, offers })
}

fn node_info(message: MsgNodeInfoNms) -> Result<Heard, BadMessage> {
    check_functions(message.functions.len(), &message.functions)?;
    check_number(
        || "the number of metrics".to_owned(),
        message.max_values.len() as f64,
        MAXIMUM_METRICS as f64,
    )?;
    for (metric, value) in &message.max_values {
        check_number(|| shown(metric), *value, f64::MAX)?;
    }
    Ok(Heard::NodeInfo {
        address: address(&message.haproxy_host, message.haproxy_port)?,
        node_type: message.node_type,
        max_values: message.max_values,
        functions: message.functions.into_iter().collect(),
    })
}

fn margin(message: &MsgNodeMarginInfoNms) -> Result<Heard, BadMessage> {
    let MsgNodeMarginInfoNms { margin, load } = *message;
    check_number(|| "the margin".to_owned(), margin, 100.0)?;
    for (field, rate) in [
        ("RateHighUsage", load.high),
        ("RateLowUsage", load.low),
        ("RateMediumUsage", load.medium),
    ] {
        check_number(|| field.to_owned(), rate, MAXIMUM_RATE)?;
    }
    Ok(Heard::Margin { margin, load })
}

fn functions_of(message: MsgNodeInfoStatic) -> Result<Heard, BadMessage> {
    check_functions(message.functions.len(), &message.functions)?;
    Ok(Heard::Functions {
        address: address(&message.haproxy_host, message.haproxy_port)?,
        functions: message.functions.into_iter().collect(),
    })
}

fn check_functions<'a>(count: usize, names: impl IntoIterator<Item = &'a String>) -> Result<(), BadMessage> {
    if count > MAXIMUM_FUNCTIONS {
        return Err(BadMessage::TooManyFunctions(count));
    }
    match names.into_iter().find(|name| !is_function_name(name)) {
        Some(name) => Err(BadMessage::BadFunctionName(shown(name))),
        None => Ok(()),
    }
}

fn check_number(field: impl Fn() -> String, value: f64, most: f64) -> Result<(), BadMessage> {
    if (0.0..=most).contains(&value) {
        return Ok(());
    }
    Err(BadMessage::BadNumber {
        field: field(),
        value,
    })
}

/// An address in the configuration must be a number: a name would be looked up at every load.
fn address(host: &str, port: u32) -> Result<PeerAddress, BadMessage> {
    let bad = || BadMessage::BadAddress {
        host: shown(host),
        port,
    };
    let host: IpAddr = host.parse().map_err(|_| bad())?;
    let port = u16::try_from(port).map_err(|_| bad())?;
    if host.is_unspecified() || host.is_multicast() || port == 0 {
        return Err(bad());
    }
    Ok(PeerAddress { host, port })
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(host: &str, port: u32, function: &str) -> Vec<u8> {
        let offer = BTreeMap::from([(function.to_owned(), 5.0)]);
        let func_limits = BTreeMap::from([("me".to_owned(), offer.clone()), ("other".to_owned(), offer)]);
        MsgNodeInfoRecalc {
            haproxy_host: host.to_owned(),
            haproxy_port: port,
            func_limits,
        }
        .to_json()
        .into_bytes()
    }

    #[test]
    fn an_offer_is_reduced_to_what_concerns_this_node() {
        let Ok((Heard::Offer { address, offers }, "nodeinfoRecalc")) =
            hear(&message("10.0.0.2", 80, "figlet"), "me")
        else {
            panic!("a good message is refused")
        };
        assert_eq!(
            (address.host.to_string().as_str(), address.port),
            ("10.0.0.2", 80)
        );
        assert_eq!(offers.keys().collect::<Vec<_>>(), ["me"]);
    }

    #[test]
    fn what_could_spoil_a_configuration_is_refused() {
        for (host, port, function, reason) in [
            ("10.0.0.2\n  bind *:1", 80, "figlet", "bad address"),
            ("example.org", 80, "figlet", "bad address"),
            ("0.0.0.0", 80, "figlet", "bad address"),
            ("10.0.0.2", 0, "figlet", "bad address"),
            ("10.0.0.2", 65_536, "figlet", "bad address"),
            ("10.0.0.2", 80, "figlet\nserver x", "bad function name"),
            ("10.0.0.2", 80, "", "bad function name"),
        ] {
            let error = hear(&message(host, port, function), "me").unwrap_err();
            assert_eq!(error.reason(), reason, "{host:?} {port} {function:?}");
        }
    }

    /// One message per line, each with what must become of it.
    #[test]
    fn corpus() {
        let corpus = include_str!("reception/corpus.txt");
        let mut lines = 0;
        for line in corpus
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            let (expected, message) = line.split_once(": ").unwrap();
            let outcome = match hear(message.as_bytes(), "me") {
                Ok((_, kind)) => kind,
                Err(error) => error.reason(),
            };
            assert_eq!(outcome, expected, "{message}");
            lines += 1;
        }
        assert!(lines > 40, "only {lines} lines");
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let names: Vec<String> = (0..5000).map(|number| format!("f{number}")).collect();
        let of_all = MsgNodeInfoStatic {
            haproxy_host: "10.0.0.2".to_owned(),
            haproxy_port: 80,
            functions: names.clone(),
        };
        let own = names.iter().map(|name| (name.clone(), 1.0)).collect();
        let to_me = MsgNodeInfoRecalc {
            haproxy_host: "10.0.0.2".to_owned(),
            haproxy_port: 80,
            func_limits: BTreeMap::from([("me".to_owned(), own)]),
        };
        for message in [of_all.to_json(), to_me.to_json()] {
            assert_eq!(
                hear(message.as_bytes(), "me").unwrap_err().reason(),
                "too many functions"
            );
        }
        // What concerns others is not kept, however much it is.
        let others = names.iter().map(|name| (name.clone(), BTreeMap::new())).collect();
        let to_others = MsgNodeInfoRecalc {
            func_limits: others,
            ..to_me
        };
        let (heard, _) = hear(to_others.to_json().as_bytes(), "me").unwrap();
        assert!(matches!(heard, Heard::Offer { offers, .. } if offers.is_empty()));
    }

    /// A line of the corpus in which some pieces are cut out, doubled or replaced.
    fn spoilt_message() -> impl Strategy<Value = Vec<u8>> {
        let good: Vec<&str> = include_str!("reception/corpus.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(": "))
            .map(|(_, message)| message)
            .collect();
        let pieces = prop::sample::select(vec![
            "", "-1", "1e400", "NaN", "null", "{}", "[]", "\"", "\\u0000", "\\ud800", "me", "\n", ",", "}",
            "1e300", "\u{7f}",
        ]);
        let edits = prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, pieces), 0..4);
        (prop::sample::select(good), edits).prop_map(|(message, edits)| {
            let mut bytes = message.as_bytes().to_vec();
            for (at, length, piece) in edits {
                let at = at.index(bytes.len() + 1);
                let end = (at + length).min(bytes.len());
                bytes.splice(at..end, piece.bytes());
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = hear(&bytes, "me");
        }

        /// Whatever is done to a good message, what is believed of it keeps its promises.
        #[test]
        fn a_spoilt_message_is_refused_or_still_sound(
            spoilt in spoilt_message(),
        ) {
            match hear(&spoilt, "me") {
                Ok((Heard::Offer { address, offers }, _)) => {
                    prop_assert!(address.port > 0 && !address.host.is_unspecified());
                    for (function, limit) in offers.values().flatten() {
                        prop_assert!(is_function_name(function));
                        prop_assert!(limit.is_finite() && *limit >= 0.0, "{limit}");
                    }
                }
                Ok((Heard::NodeInfo { functions, .. } | Heard::Functions { functions, .. }, _)) => {
                    prop_assert!(functions.iter().all(|function| is_function_name(function)));
                }
                Ok((Heard::Margin { margin, load }, _)) => {
                    for number in [margin, load.high, load.low, load.medium] {
                        prop_assert!(number.is_finite() && number >= 0.0);
                    }
                }
                Ok((Heard::Text(_), _)) => {}
                Err(error) => prop_assert!(!error.reason().is_empty() && error.to_string().len() < 2000),
            }
        }
    }
}
