//! The configuration's text.

use super::ProxyError;
use super::model::{Desired, Mode, NodeSettings};
use crate::strategy::{OwnWeights, PeerAddress};
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
    /// Function → milliseconds it may take.
    pub timeouts: String,
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
            timeouts: path("dfaas-timeouts.map"),
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
    let (split, names_origin, stages) = match node.mode {
        Mode::Overflow => (false, false, false),
        Mode::Split { names_origin, stages } => (true, names_origin, stages),
    };
    let text = Configuration {
        split,
        names_origin,
        stages,
        rejector: rejector_address(&node.own_id),
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
            .map(|name| {
                let OwnWeights { local, reject } = desired.own_weights(name);
                Function {
                    name,
                    backend: backend_name(node.mode, name),
                    local,
                    reject,
                    here: desired.functions.contains_key(name),
                    servers: servers(name),
                }
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
    format!("{PEER_SERVER}{peer}")
}

/// Name of a function's backend: the original's, in either mode.
pub(super) fn backend_name(mode: Mode, function: &str) -> String {
    match mode {
        Mode::Overflow => format!("be_others_func_{function}"),
        Mode::Split { .. } => format!("{FUNCTION_BACKEND}{function}"),
    }
}

/// What the backends of functions begin with where requests are split, and the servers of peers in any.
pub(super) const FUNCTION_BACKEND: &str = "function_";
pub(super) const PEER_SERVER: &str = "node_";

/// Names of the servers of a function's backend that are not peers: the original's.
pub(super) const LOCAL_SERVER: &str = "openfaas-local";
pub(super) const REJECTOR: &str = "rejector";

/// Where the rejector listens: an abstract socket, which leaves no file behind and is this process's own.
fn rejector_address(own_id: &str) -> String {
    format!("abns@dfaas-rejector-{own_id}")
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
    split: bool,
    names_origin: bool,
    stages: bool,
    rejector: String,
    tables: &'static str,
    servers: Vec<Server>,
    functions: Vec<Function<'a>>,
}

struct Function<'a> {
    name: &'a str,
    backend: String,
    local: u32,
    reject: u32,
    /// Whether it is deployed here.
    here: bool,
    servers: Vec<Server>,
}

struct Server {
    name: String,
    address: String,
    weight: u32,
}

#[cfg(test)]
mod tests;
