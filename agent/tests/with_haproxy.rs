//! The agent with a real HAProxy on loopback addresses, and a stand-in for the functions platform.
//!
//! Without HAProxy these tests say so and pass, unless `DFAAS_REQUIRE` names `haproxy`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests may panic and speak as tests do"
)]

#[path = "with_haproxy/backend.rs"]
mod backend;
#[path = "with_haproxy/client.rs"]
mod client;
#[path = "with_haproxy/dataplane.rs"]
mod dataplane;
#[path = "with_haproxy/faults.rs"]
mod faults;
#[path = "with_haproxy/federation.rs"]
mod federation;
#[path = "with_haproxy/haproxy.rs"]
mod haproxy;
#[path = "with_haproxy/keepalive.rs"]
mod keepalive;
#[path = "with_haproxy/learning.rs"]
mod learning;
#[path = "with_haproxy/node.rs"]
mod node;
#[path = "with_haproxy/overlay.rs"]
mod overlay;
#[path = "with_haproxy/proxy.rs"]
mod proxy;
#[path = "with_haproxy/split.rs"]
mod split;
#[path = "with_haproxy/steady.rs"]
mod steady;
