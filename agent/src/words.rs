//! What a strategy says, as messages of the overlay and back.

use crate::reception::Heard;
use crate::strategy::{FunctionName, Load, PeerAddress, Usage, Word};
use dfaas_agent_api::MsgNodeInfoRecalc;
use dfaas_agent_api::message::{GroupLoad, MsgNodeInfoNms, MsgNodeInfoStatic, MsgNodeMarginInfoNms};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The original's names of what a node uses.
const CPU: &str = "cpu_usage_node";
const RAM: &str = "ram_usage_node";
const POWER: &str = "power_usage_node";

/// The message, from a node whose proxy is at this address.
pub(crate) fn to_json(word: Word, host: IpAddr, port: u16) -> String {
    let (haproxy_host, haproxy_port) = (host.to_string(), u32::from(port));
    let list = |functions: BTreeSet<FunctionName>| functions.into_iter().collect();
    match word {
        Word::Offers(offers) => MsgNodeInfoRecalc {
            haproxy_host,
            haproxy_port,
            func_limits: offers,
        }
        .to_json(),
        Word::Node {
            node_type,
            maxima,
            functions,
        } => MsgNodeInfoNms {
            haproxy_host,
            haproxy_port,
            node_type,
            max_values: BTreeMap::from([
                (CPU.to_owned(), maxima.cpu),
                (RAM.to_owned(), maxima.ram),
                (POWER.to_owned(), maxima.power),
            ]),
            functions: list(functions),
        }
        .to_json(),
        Word::Margin { margin, load } => MsgNodeMarginInfoNms {
            margin,
            load: GroupLoad {
                high: load.high,
                low: load.low,
                medium: load.medium,
            },
        }
        .to_json(),
        Word::Functions(functions) => MsgNodeInfoStatic {
            haproxy_host,
            haproxy_port,
            functions: list(functions),
        }
        .to_json(),
    }
}

/// What a strategy can make of a message, and where the sender's proxy is; nothing of a text, which is for people.
pub(crate) fn from_message(heard: Heard) -> Option<(Option<PeerAddress>, Word)> {
    Some(match heard {
        Heard::Text(_) => return None,
        Heard::Offer { address, offers } => (Some(address), Word::Offers(offers)),
        Heard::NodeInfo {
            address,
            node_type,
            max_values,
            functions,
        } => {
            let maximum = |name| max_values.get(name).copied().unwrap_or(0.0);
            let maxima = Usage {
                cpu: maximum(CPU),
                ram: maximum(RAM),
                power: maximum(POWER),
            };
            let word = Word::Node {
                node_type,
                maxima,
                functions,
            };
            (Some(address), word)
        }
        Heard::Margin { margin, load } => {
            let GroupLoad { high, low, medium } = load;
            let load = Load { high, low, medium };
            (None, Word::Margin { margin, load })
        }
        Heard::Functions { address, functions } => (Some(address), Word::Functions(functions)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reception::hear;
    use std::net::Ipv4Addr;

    /// Every word arrives as it was said.
    #[test]
    fn there_and_back() {
        let functions: BTreeSet<FunctionName> = ["figlet", "shasum"].map(str::to_owned).into();
        let maxima = Usage {
            cpu: 120.0,
            ram: 5.5e9,
            power: 2.1e6,
        };
        let load = Load {
            high: 1.5,
            low: 20.0,
            medium: 3.0,
        };
        let words = [
            Word::Offers([("me".to_owned(), BTreeMap::from([("figlet".to_owned(), 5.0)]))].into()),
            Word::Node {
                node_type: 2,
                maxima,
                functions: functions.clone(),
            },
            Word::Margin { margin: 12.5, load },
            Word::Functions(functions),
        ];
        for word in words {
            let text = to_json(word.clone(), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 30_080);
            let (heard, _) = hear(text.as_bytes(), "me").unwrap();
            let (address, back) = from_message(heard).unwrap();
            assert_eq!(back, word);
            assert_eq!(address.is_none(), matches!(word, Word::Margin { .. }));
            if let Some(address) = address {
                assert_eq!(
                    (address.host.to_string().as_str(), address.port),
                    ("10.0.0.2", 30_080)
                );
            }
        }
    }
}
