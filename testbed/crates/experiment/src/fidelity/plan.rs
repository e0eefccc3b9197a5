//! What `verify` and its probe processes say to each other: one JSON document per line.

use serde::{Deserialize, Serialize};

/// To a probe process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Order {
    /// Opens an interface. Answered by [`Answer::Ready`].
    Open {
        /// Its name in the node.
        interface: String,
        /// Which end of the link it is, 0 or 1.
        end: u8,
    },
    /// Begins a measurement: what was received before is forgotten. Answered by [`Answer::Ready`].
    Begin {
        /// Its number.
        round: u32,
    },
    /// Sends short frames at equal distances. Answered by [`Answer::Sent`].
    Probes {
        /// How many.
        count: u32,
        /// Nanoseconds from one to the next.
        interval: u64,
        /// Bytes of each with Ethernet header.
        bytes: usize,
    },
    /// Sends long frames as fast as asked. Answered by [`Answer::Sent`].
    Bulk {
        /// Bit/s, Ethernet header included.
        rate: u64,
        /// Nanoseconds.
        duration: u64,
        /// Bytes of each with Ethernet header.
        bytes: usize,
    },
    /// Sends some frames of one size. Answered by [`Answer::Sent`].
    Long {
        /// Bytes of each with Ethernet header.
        bytes: usize,
    },
    /// Asks for what was received since the beginning of the measurement. Answered by [`Answer::Received`].
    Tell,
}

/// From a probe process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum Answer {
    /// The order was carried out.
    Ready,
    /// All was sent that could be.
    Sent {
        /// Frames that the kernel took.
        count: u32,
        /// Frames it refused.
        refused: u32,
    },
    /// What the other end's frames looked like here.
    Received {
        /// One way, nanoseconds, in the order of arrival; of probes.
        delays: Vec<i64>,
        /// Probes that came again.
        repeated: u32,
        /// When bulk frames came, nanoseconds after the first one, and the bytes that had come by then; thinned out.
        bulk: Vec<(u64, u64)>,
        /// Long frames.
        long: u32,
    },
    /// The order cannot be carried out.
    Failed {
        /// Why.
        reason: String,
    },
}
