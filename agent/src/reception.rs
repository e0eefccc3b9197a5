//! Checking what a peer says before believing it.

use crate::platform::is_function_name;
use crate::strategy::PeerAddress;
use dfaas_agent_api::message::FunctionLimits;
use dfaas_agent_api::{Message, MsgNodeInfoRecalc};
use std::collections::BTreeMap;
use std::net::IpAddr;
use thiserror::Error;

/// More functions than a node can have.
const MAXIMUM_FUNCTIONS: usize = 1024;

/// Why a message is dropped. The text without its details is the metric's label.
#[derive(Debug, Error)]
pub enum BadMessage {
    /// Not a message.
    #[error(transparent)]
    NotAMessage(#[from] dfaas_agent_api::MessageError),
    /// For another strategy.
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
        }
    }
}

/// A message that may be believed.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A peer's offer; only the part about this node is kept.
    Offer {
        /// The peer's proxy.
        address: PeerAddress,
        /// What it offers to this node, if it says so.
        offers: FunctionLimits,
    },
    /// Free text for people.
    Text(String),
}

/// Reads a message.
///
/// # Errors
/// When it is not one, or says something that must not reach the proxy.
pub fn hear(data: &[u8], own_id: &str) -> Result<Heard, BadMessage> {
    match Message::from_json(data)? {
        Message::NodeInfoRecalc(message) => offer(message, own_id),
        Message::Text(text) => Ok(Heard::Text(text.chars().take(1000).collect())),
        Message::Unknown(kind) => Err(BadMessage::UnknownType(kind.chars().take(100).collect())),
    }
}

fn offer(mut message: MsgNodeInfoRecalc, own_id: &str) -> Result<Heard, BadMessage> {
    let address = address(&message)?;
    let mut offers = BTreeMap::new();
    if let Some(own) = message.func_limits.remove(own_id) {
        if own.len() > MAXIMUM_FUNCTIONS {
            return Err(BadMessage::TooManyFunctions(own.len()));
        }
        if let Some(name) = own.keys().find(|name| !is_function_name(name)) {
            return Err(BadMessage::BadFunctionName(name.chars().take(100).collect()));
        }
        offers.insert(own_id.to_owned(), own);
    }
    Ok(Heard::Offer { address, offers })
}

/// An address in the configuration must be a number: a name would be looked up at every load.
fn address(message: &MsgNodeInfoRecalc) -> Result<PeerAddress, BadMessage> {
    let bad = || BadMessage::BadAddress {
        host: message.haproxy_host.chars().take(100).collect(),
        port: message.haproxy_port,
    };
    let host: IpAddr = message.haproxy_host.parse().map_err(|_| bad())?;
    let port = u16::try_from(message.haproxy_port).map_err(|_| bad())?;
    if host.is_unspecified() || host.is_multicast() || port == 0 {
        return Err(bad());
    }
    Ok(PeerAddress { host, port })
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
        let Ok(Heard::Offer { address, offers }) = hear(&message("10.0.0.2", 80, "figlet"), "me") else {
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
        assert_eq!(
            hear(br#"{"MsgType":"nodeinfoNMS"}"#, "me").unwrap_err().reason(),
            "unknown type"
        );
        assert_eq!(hear(b"{", "me").unwrap_err().reason(), "not a message");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = hear(&bytes, "me");
        }
    }
}
