//! What can go wrong when the engine is started or steered.

use std::io;

use crate::Direction;

/// An error of the link engine. Each message names the link, interface or socket option it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The kernel refused a packet socket (usually: no CAP_NET_RAW in the namespace).
    #[error("cannot open a packet socket")]
    OpenSocket(#[source] io::Error),
    /// The kernel refused an option without which the engine cannot work.
    #[error("cannot set {option} on a packet socket")]
    Configure {
        /// What was being set.
        option: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// An engine thread could not be started.
    #[error("cannot start engine thread {shard}")]
    Thread {
        /// Which thread, counted from zero.
        shard: usize,
        /// The system's answer.
        source: io::Error,
    },
    /// No link has this name.
    #[error("the engine has no link `{link}`")]
    UnknownLink {
        /// The name asked for.
        link: String,
    },
    /// Two links have the same name.
    #[error("link `{link}` exists twice")]
    DuplicateLink {
        /// The name.
        link: String,
    },
    /// An interface may be the midpoint of one link only, and of one of its ends only.
    #[error("link `{link}`: interface {interface} is in use by another link or by both ends")]
    SharedInterface {
        /// The link that was refused.
        link: String,
        /// The interface index.
        interface: u32,
    },
    /// An impairment that no link can have.
    #[error("link `{link}` {direction}: {reason}")]
    InvalidImpairment {
        /// The link.
        link: String,
        /// Which of its directions.
        direction: Direction,
        /// What is wrong with which value.
        reason: String,
    },
    /// The engine thread is gone, so nothing can be asked of it.
    #[error("engine thread {shard} has ended")]
    Stopped {
        /// Which thread, counted from zero.
        shard: usize,
    },
}
