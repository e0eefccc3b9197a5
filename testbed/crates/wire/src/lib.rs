//! The user-space link engine: delay, loss and rate between two interfaces.

mod engine;
mod error;
mod frame;
mod impairment;
mod path;
mod pool;
mod random;
mod segment;
mod shard;
mod socket;
mod statistics;

pub use engine::{Engine, LinkSpec, Scheduling};
pub use error::WireError;
pub use impairment::{Direction, Impairment, JitterDistribution, LONGEST_DELAY};
pub use socket::{Sockets, open_sockets};
pub use statistics::{Count, DirectionStatistics, Drops, EngineStatistics, Lateness, LinkStatistics};
