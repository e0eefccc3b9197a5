//! HAProxy: its configuration as a typed model, and the steering of a running one.
//!
//! The set of functions and of peer servers is written into the configuration, so that a change of it needs a reload.
//! Everything that changes every period does not: capacities, known peers and limits are map files, weights are set,
//! both through the Runtime API. Files always hold the state in force, so that an HAProxy which starts again by itself,
//! or is reloaded by somebody else, comes back with it.

mod control;
mod counters;
mod error;
mod files;
mod maps;
mod model;
mod render;
mod socket;
mod steering;

pub use counters::UserCounters;
pub use error::ProxyError;
pub use model::{Desired, NodeSettings};
pub use render::{MapPaths, render};
pub use socket::CommandSocket;
pub use steering::{Change, Proxy, ProxyPaths, Reload};
