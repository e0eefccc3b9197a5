//! HAProxy: its configuration as a typed model, and the steering of a running one.
//!
//! Each function has a backend, so that a function that comes or goes needs a reload. Nothing else does: capacities,
//! known peers and limits are map files, peers' servers are added and weighed, all through the Runtime API (a peer that
//! moves to another address still takes a reload). Files always hold the state in force, so that an HAProxy which starts again by itself,
//! or is reloaded by somebody else, comes back with it.

pub(crate) mod control;
mod counters;
mod error;
pub(crate) mod files;
mod maps;
mod model;
mod render;
mod servers;
mod socket;
mod steering;

pub use counters::UserCounters;
pub(crate) use counters::table_row;
pub use error::ProxyError;
pub use model::{Desired, Mode, NodeSettings};
pub use render::{MapPaths, render};
pub use socket::CommandSocket;
pub use steering::{Change, Proxy, ProxyPaths, Reload};

/// Reads a text as each of the answers of HAProxy that the agent reads, for fuzzers and tests: it may be refused, but
/// never panics.
pub fn decode(text: &str) {
    counters::parse_table(text);
    counters::parse_stage(text);
    counters::parse_servers(text);
    control::parse_master(text);
    steering::parse_generation(text);
}
