//! The part of HAProxy's Data Plane API (version 3) that the original agent uses, in front of a HAProxy that was started
//! in master-worker mode: `dfaas-agent dataplane`.
//!
//! With it the original agent runs on a node where nothing but HAProxy is. Paths, parameters, status codes, headers and
//! JSON names are those of <https://github.com/haproxytech/dataplaneapi>. Three things differ for the better: a configuration
//! that HAProxy refuses is never left in the file, not even when only the reload finds out; nothing is ever restarted;
//! and a reload begins at once, or a second after the one before.

mod actions;
mod answer;
mod api;
mod configuration;
mod haproxy;
mod reloads;
mod servers;
mod tables;

pub use api::serve;
pub use haproxy::Haproxy;

/// Reads a text as each of the answers of HAProxy that are read here, for fuzzers and tests: it may be refused, but never
/// panics.
pub fn decode(text: &str) {
    tables::tables(text);
    tables::entries(text);
    servers::servers(text);
    // What cannot be understood is an answer too.
    let _ = actions::commands(text);
    let (version, body) = configuration::take_apart(text);
    assert!(body.len() <= text.len(), "version {version} made the text longer");
}
