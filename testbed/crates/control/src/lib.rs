//! The control API of a running lab: the types that cross it and a client.
//!
//! The supervisor of every lab serves HTTP with JSON bodies on a Unix socket, so `curl --unix-socket` works too.
//! Paths are listed in [`paths`]; every command line verb and the scenario runner are clients of it.

mod client;
mod types;

pub use client::{Client, ControlError, Reply};
pub use types::{
    ErrorBody, FunctionInfo, LabDetail, LabState, LinkChange, LinkEndInfo, LinkInfo, NodeInfo, NodeState,
    PortInfo, ServiceInfo,
};

/// The paths of the API, below the Unix socket.
pub mod paths {
    /// `GET`: the whole lab ([`crate::LabDetail`]). `DELETE`: take the lab down; answers before it is gone.
    pub const LAB: &str = "/v1/lab";
    /// `POST /v1/nodes/NODE/init`: makes sure that the node has an init process; answers with what is needed to enter it.
    pub const NODES: &str = "/v1/nodes";
    /// `PATCH /v1/links/LINK`: applies a [`crate::LinkChange`] and answers with the link ([`crate::LinkInfo`]).
    pub const LINKS: &str = "/v1/links";
}
