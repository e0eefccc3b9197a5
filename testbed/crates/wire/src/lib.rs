//! The user-space link engine: delay, loss, rate and more between two interfaces.
//!
//! Every link of a lab is two veth pairs that meet in the *wire namespace*: `node A ── [a | b] ── node B`. The
//! engine reads what comes out of one midpoint, decides each packet's fate and writes it into the other one.
//!
//! ```no_run
//! use std::time::Duration;
//! use dfaas_wire::{Direction, Engine, Impairment, LinkSpec, Loss, open_sockets};
//!
//! # fn main() -> Result<(), dfaas_wire::WireError> {
//! // On a thread that has entered the wire namespace:
//! let sockets = open_sockets(1)?;
//! // Anywhere:
//! let link = LinkSpec {
//!     name: "a--b".to_owned(),
//!     interfaces: [2, 3],
//!     forward: Impairment { loss: Loss::Independent(0.01), ..Impairment::delayed(Duration::from_millis(5)) },
//!     backward: Impairment::delayed(Duration::from_millis(5)),
//!     replays: [None, None],
//! };
//! let engine = Engine::start(sockets, 42, vec![link])?;
//! engine.set("a--b", Direction::Forward, Impairment { rate: Some(10_000_000), ..Impairment::default() })?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it is built
//!
//! | module | what | knows |
//! |---|---|---|
//! | `path` | one direction of a link: fates, queue, rate, delay | packets and logical time |
//! | `edit` | damages and marks packets | bytes |
//! | `segment` | takes segmentation-offload frames apart | bytes |
//! | `shard` | all paths of a thread and the agenda of what is due | paths |
//! | `socket` | batches of frames from and to the kernel | system calls |
//! | `engine` | the threads and their handle | all of these |
//! | `tap`, `pcapng` | copies of what passes a midpoint, and the file format for them | sockets, bytes |
//!
//! `path`, `segment` and `shard` know no socket and no clock, and are tested without.
//!
//! # Few sockets for all links
//!
//! A socket per midpoint is the obvious way, and costs nothing while it runs: in a plain relay over one link
//! it moved as much as one socket for both midpoints (4.7 to 6.7 Gbit/s against 5.6 to 7.7, on a busy machine).
//! But to close a packet socket takes a grace period of the kernel, 12 ms here:
//!
//! | links | socket per midpoint: open, close | four sockets for all: open, close |
//! |---|---|---|
//! | 200 | 5 ms, 4.8 s (as long after `kill -9`) | 0.2 ms, 25 ms |
//! | 1000 | 45 ms, 24.4 s | 0.2 ms, 26 ms |
//!
//! So each engine thread has four sockets bound to *all* interfaces of the namespace, and closes them at the
//! same time. A classic BPF filter lets in only what comes from the midpoints of its links. A fanout group
//! spreads interfaces over the sockets by their index, hence a direction of a link always belongs to one
//! thread. Such a socket does not mind when an interface goes down or vanishes, and takes new ones without any
//! change. Four and not one, because they are read in turn: a flood that overruns a socket cannot hurt the
//! links on the others. The kernel's count of frames it had to drop is in [`EngineStatistics::socket_drops`].
//!
//! Frames are sent through the interface's ordinary path (no PACKET_QDISC_BYPASS, which gained nothing
//! measurable), so that a capture on a midpoint sees them on both sides of the impairment.
//!
//! # Time
//!
//! A packet's time starts with the kernel's stamp of when it came, not with when the engine got to read it,
//! and all times after that are computed. So the engine may leave arrivals unread until just before one of
//! them could be due (at most 1 ms, and only while it has packets waiting): it wakes for departures only,
//! which halves its cost with many links (200 links of 50 packets per second: 21 to 25 % of a core instead of
//! 43 to 50 %). Nothing is ever sent early. Idle, it does not wake at all.
//!
//! Threads run under SCHED_FIFO where that is allowed and rest a twelfth of each 2 ms when there is no end of
//! work, so that the machine stays usable and the kernel's limits for real-time threads, which take 50 ms at
//! once, are not reached; see [`Engine::scheduling`].
//!
//! # Randomness
//!
//! Each decision is a draw from a ChaCha stream keyed by seed, link name, direction and purpose, at the
//! packet's index in its direction. The same packets meet the same fate, whatever their timing.

mod checksum;
mod edit;
mod engine;
mod error;
mod ethernet;
mod frame;
mod impairment;
mod path;
pub mod pcapng;
mod pool;
mod random;
mod replay;
mod segment;
mod shard;
mod socket;
mod statistics;
mod tap;

pub use engine::{Engine, LinkSpec, Scheduling, real_time_allowed};
pub use error::WireError;
pub use impairment::{
    Direction, GilbertElliott, Impairment, JitterDistribution, LONGEST_DELAY, Loss, QueueDiscipline,
    QueueLimit,
};
pub use replay::{Playback, Replay, ReplayStep};
pub use socket::{Sockets, open_sockets};
pub use statistics::{Count, DirectionStatistics, Drops, EngineStatistics, Lateness, LinkStatistics};
pub use tap::{Tap, TapPlace, TapReader, Tapped};
