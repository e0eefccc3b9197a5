//! The embedded OpenFaaS platform: a gateway, a provider and the watchdogs in one process.
//!
//! It answers the API of faasd 0.19.0 with gateway 0.27.5 (both MIT) so that `faas-cli`, Prometheus and a DFaaS agent
//! work with it unchanged. Its functions are programs of the distribution: an image reference selects a manifest
//! ([`Catalogue`]) that says which. Gateway and provider serve all that the originals serve; asynchronous calls wait in
//! a queue of this process ([`Options::queue`]) where the original needs NATS.
//!
//! # Where it differs from the real one, on purpose
//! * A process ends with its call: it is killed, with its process group, on `exec_timeout` (the original kills the
//!   direct child only), after the service timeout (the original lets it run), and what it leaves behind is killed too.
//! * Output is bounded, per process and for all together; beyond the bound the process is killed and the call answered
//!   500 with a sentence that says so. The original collects output until memory is gone.
//! * Bodies above 64 KiB are streamed, so the process starts before the last byte is here.
//! * A function without `fprocess` is answered `Can't reach service` at once; the original hangs until timeouts.
//! * A function has no address: its network is a loopback, unless its image asks for the node's. Its watchdog is part of
//!   this process, so there are no watchdog metrics in its network.
//! * The root file system of a function holds the distribution's programs, read-only, in place of an image's; it may
//!   write to its home and to directories for temporary files.
//! * Names of secrets cannot leave their directory in any request; a namespace that still has functions, and the default
//!   one, cannot be removed.
//! * `go_*` metrics are left out: this is no Go program.
//! * The port of the gateway's metrics also has `/metrics/cadvisor`: what functions use, under cAdvisor's names.
//! * `gateway_service_count` is exact at every scrape instead of up to five seconds old, and `invocationCount` counts
//!   from the start of the platform.

mod auth;
mod call;
mod catalogue;
mod duration;
mod error;
mod function;
pub mod guard;
mod identity;
mod json;
mod logs;
mod metrics;
mod namespaces;
#[cfg(test)]
mod parsers;
mod platform;
mod quantity;
mod queue;
mod reference;
mod registry;
mod reply;
mod route;
mod runtime;
mod scaling;
mod secrets;
mod server;
mod service;
mod state;
mod types;
pub mod untrusted;
mod watchdog;

pub use auth::Credentials;
pub use catalogue::{Catalogue, Image, Network, WatchdogMode};
pub use duration::parse_duration;
pub use error::FaasError;
pub use identity::Identity;
pub use platform::{Options, deployments_from_file};
pub use quantity::parse as parse_quantity;
pub use runtime::Apart;
pub use server::Server;
pub use types::{FunctionDeployment, FunctionStatus, NAMESPACE, ResourceLimits};
