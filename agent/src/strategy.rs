//! Load balancing strategies: pure code. Time, connected peers and measurements come in, limits and weights go out;
//! nothing here reads a clock or does I/O, so that the live agent and a simulation can share it.
//!
//! Two families: strategies that *overflow* (recalc and its latency-aware variant) serve what the node is made for and
//! hand the rest to peers within limits they were given; strategies that *split* give every server of a function,
//! the local platform among them, a weight.

mod directory;
mod forecast;
mod interface;
mod join;
mod learning;
mod margin;
mod nearest;
mod percent;
mod portions;
mod rate;
mod recalc;
mod schedule;
mod sharing;
mod split;
mod table;

pub use forecast::{BuiltInForecaster, Groups, GroupsError, Load, NodeType, Question, Usage};
pub use interface::{Answers, Need, OwnWeights, Peer, Reception, Routing, Strategy, TableView, View, Word};
pub use learning::{Action, ActionError, FunctionSample, Learning, LearningSettings, Observed, ServerSample};
pub use margin::{Margin, MarginSettings};
pub use rate::RateMeter;
pub use recalc::{Compatibility, Recalc, Spread, Step1Inputs, Step1Outputs};
pub use schedule::{Schedule, Tick};
pub use split::{Rule, Split};
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
