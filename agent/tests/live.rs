//! The agent with a real HAProxy on loopback addresses, and a stand-in for the functions platform.
//!
//! Without HAProxy these tests say so and pass, unless `DFAAS_REQUIRE` names `haproxy`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests may panic and speak as tests do"
)]

#[path = "live/backend.rs"]
mod backend;
#[path = "live/client.rs"]
mod client;
#[path = "live/dataplane.rs"]
mod dataplane;
#[path = "live/faults.rs"]
mod faults;
#[path = "live/federation.rs"]
mod federation;
#[path = "live/haproxy.rs"]
mod haproxy;
#[path = "live/keepalive.rs"]
mod keepalive;
#[path = "live/learning.rs"]
mod learning;
#[path = "live/node.rs"]
mod node;
#[path = "live/overlay.rs"]
mod overlay;
#[path = "live/proxy.rs"]
mod proxy;
#[path = "live/split.rs"]
mod split;
#[path = "live/steady.rs"]
mod steady;
