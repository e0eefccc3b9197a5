//! Published ports, uplinks and volumes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::topology::{PortMapping, Uplink, Volume};
use super::nodes::CheckedNodes;
use crate::document::spanned::Spanned;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};

/// Reads `8081:80`, `ADDRESS:8081:80` or `[ADDRESS]:8081:80`.
pub(super) fn port(text: &Spanned<String>) -> Result<PortMapping, Problem> {
    parse_port(&text.value).ok_or_else(|| {
        Problem::new(
            Fault::BadPort {
                text: text.value.clone(),
            },
            text.span,
        )
        .help("write it like `8081:80` (port of this machine, port of the node) or `0.0.0.0:8081:80`")
    })
}

fn parse_port(text: &str) -> Option<PortMapping> {
    let (host, node) = text.rsplit_once(':')?;
    let (address, host) = match host.rsplit_once(':') {
        Some((address, port)) => {
            let bare = address
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .unwrap_or(address);
            (bare.parse().ok()?, port)
        }
        None => (IpAddr::V4(Ipv4Addr::LOCALHOST), host),
    };
    let (host_port, node_port) = (host.parse().ok()?, node.parse().ok()?);
    if host_port == 0 || node_port == 0 {
        return None;
    }
    Some(PortMapping {
        host_address: address,
        host_port,
        node_port,
    })
}

/// Reports ports of the machine that are published twice.
pub(super) fn check(nodes: &CheckedNodes, problems: &mut Problems) {
    let mut taken: HashMap<u16, Vec<(IpAddr, Span)>> = HashMap::new();
    for checked in nodes.values() {
        for (mapping, span) in checked.node.ports.iter().zip(&checked.port_spans) {
            let address = mapping.host_address;
            let others = taken.entry(mapping.host_port).or_default();
            // A wildcard takes the port on every address.
            let clash = others
                .iter()
                .find(|(other, _)| *other == address || other.is_unspecified() || address.is_unspecified());
            if let Some((_, first)) = clash {
                let port = std::net::SocketAddr::new(address, mapping.host_port).to_string();
                problems.add(
                    Problem::new(Fault::PortClash { port }, *span)
                        .label("again here")
                        .also(*first, "first here"),
                );
            }
            others.push((address, *span));
        }
    }
}

/// Reads the uplinks of a node: `5432`, `15432:5432`, `15432:ADDRESS:5432` or `15432:[ADDRESS]:5432`.
pub(super) fn uplinks(texts: &[Spanned<String>], problems: &mut Problems) -> Vec<Uplink> {
    let mut uplinks: Vec<(Uplink, Span)> = Vec::new();
    for text in texts {
        let Some(uplink) = parse_uplink(&text.value) else {
            let fault = Fault::BadUplink {
                text: text.value.clone(),
            };
            problems.add(Problem::new(fault, text.span).help(
                "write it like `5432` (a port of this machine), `15432:5432` (another port in the node) or `15432:192.0.2.7:5432`",
            ));
            continue;
        };
        if let Some((_, first)) = uplinks
            .iter()
            .find(|(other, _)| other.node_port == uplink.node_port)
        {
            let fault = Fault::UplinkClash {
                port: uplink.node_port,
            };
            problems.add(
                Problem::new(fault, text.span)
                    .label("again here")
                    .also(*first, "first here"),
            );
        }
        uplinks.push((uplink, text.span));
    }
    uplinks.into_iter().map(|(uplink, _)| uplink).collect()
}

fn parse_uplink(text: &str) -> Option<Uplink> {
    let (node_port, host) = match text.split_once(':') {
        None => (text, SocketAddr::from((Ipv4Addr::LOCALHOST, text.parse().ok()?))),
        Some((node_port, host)) => {
            let host = match host.parse() {
                Ok(address) => address,
                Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, host.parse().ok()?)),
            };
            (node_port, host)
        }
    };
    let node_port = node_port.parse().ok()?;
    (node_port != 0 && host.port() != 0).then_some(Uplink { node_port, host })
}

/// Reads `SOURCE:TARGET`, `SOURCE:TARGET:ro` or `SOURCE:TARGET:rw`.
pub(super) fn volume(text: &Spanned<String>) -> Result<Volume, Problem> {
    let parts: Vec<&str> = text.value.split(':').collect();
    let read_only = match parts.get(2) {
        None | Some(&"rw") => Some(false),
        Some(&"ro") => Some(true),
        _ => None,
    };
    match (parts.as_slice(), read_only) {
        ([source, target, ..], Some(read_only))
            if parts.len() <= 3 && !source.is_empty() && target.starts_with('/') =>
        {
            Ok(Volume {
                source: (*source).to_owned(),
                target: (*target).to_owned(),
                read_only,
            })
        }
        _ => Err(Problem::new(
            Fault::BadVolume {
                text: text.value.clone(),
            },
            text.span,
        )
        .help("write it like `./data:/data` or `/srv/data:/data:ro`; the target is absolute")),
    }
}
