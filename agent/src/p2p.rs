//! The overlay network: libp2p over TCP with Noise or TLS and Yamux, GossipSub for messages, Kademlia and multicast DNS
//! to find agents.
//!
//! A *peer agent* is a connected node that subscribed to the messages' topic. The original counts every open
//! connection instead, so a bootstrap or relay node that runs no agent received limits there; here it does not.

mod authors;
mod behaviour;
mod lookups;
mod mdns;
mod ping;
mod redial;
mod rendezvous;
mod returned;
mod service;
mod swarm;

pub use service::{Incoming, Link, Overlay, OverlaySettings};

use libp2p::Multiaddr;
use thiserror::Error;

/// The overlay could not be started.
#[derive(Debug, Error)]
pub enum OverlayError {
    /// The private key is not accepted.
    #[error("the private key cannot be used: {0}")]
    Key(#[from] libp2p::identity::DecodingError),
    /// Noise or TLS could not be set up.
    #[error("cannot set up encryption: {0}")]
    Encryption(String),
    /// Host names cannot be resolved.
    #[error("cannot read the system's name server settings, which AGENT_BOOTSTRAP_NODES_LIST needs: {0}")]
    Names(std::io::Error),
    /// Multicast DNS could not be set up.
    #[error("cannot use multicast DNS for `{word}` (AGENT_MDNS_ENABLED, AGENT_RENDEZVOUS): {source}")]
    Mdns {
        /// The rendezvous word.
        word: String,
        /// The kernel's reason, or why the word is no name.
        source: std::io::Error,
    },
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
