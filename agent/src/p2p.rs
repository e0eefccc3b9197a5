//! The overlay network: libp2p over TCP with Noise and Yamux, GossipSub for messages, Kademlia to find agents.
//!
//! A *peer agent* is a connected node that subscribed to the messages' topic. The original counts every open
//! connection instead, so a bootstrap or relay node that runs no agent received limits there; here it does not.

mod behaviour;
mod redial;
mod rendezvous;
mod service;
mod transport;

pub use service::{Incoming, Link, Overlay, OverlaySettings};

use libp2p::Multiaddr;
use thiserror::Error;

/// The overlay could not be started.
#[derive(Debug, Error)]
pub enum OverlayError {
    /// The private key is not accepted.
    #[error("the private key cannot be used: {0}")]
    Key(#[from] libp2p::identity::DecodingError),
    /// Noise could not be set up.
    #[error("cannot set up encryption: {0}")]
    Noise(#[from] libp2p::noise::Error),
    /// Host names cannot be resolved.
    #[error("cannot read the system's name server settings, which AGENT_BOOTSTRAP_NODES_LIST needs: {0}")]
    Names(std::io::Error),
    /// Messages could not be set up.
    #[error("cannot set up the messages' topic `{topic}`: {reason}")]
    Topic {
        /// The topic.
        topic: String,
        /// The library's words.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (AGENT_LISTEN): {reason}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// The library's words.
        reason: String,
    },
}
