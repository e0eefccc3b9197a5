//! Fixed addresses: read, and checked against the segments they are on.

use std::collections::HashMap;

use ipnet::IpNet;

use super::super::topology::Topology;
use super::nodes::CheckedNodes;
use crate::document::spanned::Spanned;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::plan::MacText;
use crate::plan::addresses::{self, AddressFault};

/// Reads `10.0.0.1/24`.
pub(super) fn address(text: &Spanned<String>) -> Result<IpNet, Problem> {
    let refused = |help: &str| {
        Problem::new(
            Fault::BadAddress {
                text: text.value.clone(),
            },
            text.span,
        )
        .label("here")
        .help(help.to_owned())
    };
    let Ok(network) = text.value.parse::<IpNet>() else {
        return Err(refused("write it like `10.1.0.1/24` or `fd00:1::1/64`"));
    };
    let address = network.addr();
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        return Err(refused("it must be the address of one interface"));
    }
    let is_network =
        network.prefix_len() < network.max_prefix_len().saturating_sub(1) && address == network.network();
    let is_broadcast = address.is_ipv4() && network.prefix_len() < 31 && address == network.broadcast();
    if is_network || is_broadcast {
        return Err(refused(
            "it is the first or last address of its network, which no interface can have",
        ));
    }
    Ok(network)
}

/// Reads `02:00:00:00:00:01`.
pub(super) fn mac(text: &Spanned<String>) -> Result<[u8; 6], Problem> {
    let parts: Vec<&str> = text.value.split(':').collect();
    let bytes: Option<Vec<u8>> = parts
        .iter()
        .map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() == 2))
        .collect();
    match bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()) {
        Some(mac) if mac[0] & 1 == 0 && mac != [0; 6] => Ok(mac),
        _ => Err(Problem::new(
            Fault::BadMac {
                text: text.value.clone(),
            },
            text.span,
        )
        .label("here")
        .help("write it like `02:00:00:00:00:01`; the first byte must be even")),
    }
}

/// Checks that the addresses of the whole topology fit together.
pub(super) fn check(topology: &Topology, nodes: &CheckedNodes, problems: &mut Problems) {
    check_macs(nodes, problems);
    if let Err(faults) = addresses::assign(topology) {
        for AddressFault { fault, at, also } in faults {
            let place = |(node, interface, v4): &(String, String, bool)| {
                address_span(nodes, node, interface, *v4)
                    .or_else(|| nodes.get(node).map(|checked| checked.span))
            };
            let problem = match place(&at) {
                Some(span) => Problem::new(fault, span).label("this one"),
                None => Problem::without_place(fault),
            };
            problems.add(match also.as_ref().and_then(place) {
                Some(span) => problem.also(span, "and this one"),
                None => problem,
            });
        }
    }
}

fn address_span(nodes: &CheckedNodes, node: &str, interface: &str, v4: bool) -> Option<Span> {
    let checked = nodes.get(node)?;
    let settings = checked.node.interfaces.get(interface)?;
    let place = settings
        .addresses
        .iter()
        .position(|address| address.addr().is_ipv4() == v4)?;
    checked
        .interface_spans
        .get(interface)?
        .addresses
        .get(place)
        .copied()
}

fn check_macs(nodes: &CheckedNodes, problems: &mut Problems) {
    let mut first: HashMap<[u8; 6], Span> = HashMap::new();
    for checked in nodes.values() {
        for (interface, spans) in &checked.interface_spans {
            let mac = checked
                .node
                .interfaces
                .get(interface)
                .and_then(|settings| settings.mac);
            if let (Some(mac), Some(span)) = (mac, spans.mac)
                && let Some(before) = first.insert(mac, span)
            {
                let fault = Fault::MacClash {
                    mac: MacText(mac).to_string(),
                };
                problems.add(
                    Problem::new(fault, span)
                        .label("again here")
                        .also(before, "first here"),
                );
            }
        }
    }
}
