//! Load balancing strategies: pure code. Time, connected peers and measurements come in, limits and weights go out;
//! nothing here reads a clock or does I/O, so that the live agent and a simulation can share it.

mod rate;
mod recalc;
mod schedule;
mod table;

pub use rate::RateMeter;
pub use recalc::{Compatibility, Recalc, Reception, Step1Inputs, Step1Outputs};
pub use schedule::{Schedule, Tick};
pub use table::{Entry, PeerAddress, Share, Table};

use std::collections::BTreeMap;

/// A node, by its PeerId as text.
pub type NodeId = String;
/// A function's name.
pub type FunctionName = String;
/// Requests per second each peer may send, by peer and function.
pub type LimitsIn = BTreeMap<NodeId, BTreeMap<FunctionName, u32>>;
/// HAProxy weights of the peers, by function and peer.
pub type Weights = BTreeMap<FunctionName, BTreeMap<NodeId, u32>>;
