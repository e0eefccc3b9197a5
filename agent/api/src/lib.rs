//! What the DFaaS agent and its surroundings share: environment variables, messages, header and metric names,
//! identities derived from a key, and the HAProxy configuration a node starts with.
//!
//! Nothing here does I/O or depends on a peer-to-peer library, so that a program which only *starts* agents
//! (or reads what they said) stays small.

mod base58;
pub mod environment;
pub mod haproxy;
pub mod headers;
pub mod identity;
pub mod message;
pub mod metrics;

pub use environment::{VARIABLES, Variable};
pub use haproxy::{InitialSettings, initial_haproxy_configuration};
pub use identity::{Identity, IdentityError};
pub use message::{
    Message, MessageError, MsgNodeInfoNms, MsgNodeInfoRecalc, MsgNodeInfoStatic, MsgNodeMarginInfoNms,
    MsgText,
};
