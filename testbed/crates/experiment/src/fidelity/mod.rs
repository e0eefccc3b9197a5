//! What links really do, against what was asked of them.
//!
//! Each link is measured alone, also one that ends at a switch: a probe process runs in the network namespace of each of
//! its two ends and they exchange raw Ethernet frames over that one interface pair. The frames go to a group address that
//! bridges never forward (IEEE 802.1Q, table 8-1), so nothing reaches another link. Both ends read the same clock, so
//! delays are measured one way; arrival is stamped by the kernel, so a receiver that wakes up late does not matter.

mod asked;
mod frame;
mod judge;
mod plan;
mod probe;
mod report;
mod socket;
mod statistics;
mod verify;

pub use asked::Asked;
pub use probe::probe_main;
pub use report::{DirectionReport, Fidelity, LinkReport, ParameterReport, ParameterVerdict};
pub use verify::{LinkUnderTest, NodeCommand, verify};
