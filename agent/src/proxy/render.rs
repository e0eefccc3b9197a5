//! The configuration's text.

use super::ProxyError;
use super::model::{Desired, NodeSettings};
use crate::strategy::PeerAddress;
use askama::Template;
use dfaas_agent_api::haproxy::bind_arguments;
use std::net::SocketAddr;
use std::path::Path;

/// Paths of the map files, as HAProxy reads and names them.
#[derive(Clone, Debug)]
pub struct MapPaths {
    /// Function → requests per second served here.
    pub capacity: String,
    /// PeerId → address, of every known node.
    pub peers: String,
    /// PeerId/function → requests per second taken.
    pub limits: String,
}

impl MapPaths {
    /// The map files in this directory.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
        Self {
            capacity: path("dfaas-capacity.map"),
            peers: path("dfaas-peers.map"),
            limits: path("dfaas-limits.map"),
        }
    }
}

/// The whole configuration.
///
/// # Errors
/// When the template engine fails.
pub fn render(
    node: &NodeSettings,
    maps: &MapPaths,
    desired: &Desired,
    generation: u32,
) -> Result<String, ProxyError> {
    let servers = |function: &str| {
        let server = |(peer, address): (&String, PeerAddress)| Server {
            name: server_name(peer),
            address: SocketAddr::new(address.host, address.port).to_string(),
            weight: desired.weight(function, peer),
        };
        desired.servers().map(server).collect::<Vec<_>>()
    };
    let functions = desired.forwardable().into_iter();
    let text = Configuration {
        node,
        maps,
        generation,
        binds: node.binds.iter().map(|address| bind_arguments(address)).collect(),
        metrics_bind: bind_arguments(&node.metrics_bind),
        server_check: server_check(desired.servers().count()),
        tables: if node.peers_bind.is_some() {
            " peers tables"
        } else {
            ""
        },
        servers: servers(""),
        functions: functions
            .map(|name| Function {
                name,
                servers: servers(name),
            })
            .collect(),
    }
    .render()?;
    // HAProxy refuses a last line without its end.
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}

/// How the servers of this many peers are checked. Three missed checks take one out, the first answer brings it back.
/// Every node checks every other, so the more there are the rarer: each node is asked five times a second at most.
pub(super) fn server_check(peers: usize) -> String {
    format!("check inter {}s fall 3 rise 1", (peers / 5).clamp(2, 10))
}

/// Name of a peer's server in every backend.
pub(super) fn server_name(peer: &str) -> String {
    format!("node_{peer}")
}

/// Name of the backend that forwards a function.
pub(super) fn backend_name(function: &str) -> String {
    format!("be_others_func_{function}")
}

#[derive(Template)]
#[template(path = "haproxy.cfg", escape = "none")]
struct Configuration<'a> {
    node: &'a NodeSettings,
    maps: &'a MapPaths,
    generation: u32,
    binds: Vec<String>,
    metrics_bind: String,
    server_check: String,
    tables: &'static str,
    servers: Vec<Server>,
    functions: Vec<Function<'a>>,
}

struct Function<'a> {
    name: &'a str,
    servers: Vec<Server>,
}

struct Server {
    name: String,
    address: String,
    weight: u32,
}

#[cfg(test)]
mod tests;
