//! Tests that make network namespaces. They need root (or a user namespace: `unshare -Urm cargo test …`) and touch nothing outside
//! the namespaces they make.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod close;
mod create;
mod enter;
mod failure;
mod netem;
mod offload;
mod shape;
mod support;
