//! The control API of a running lab: the types that cross it and a client.
//!
//! The supervisor of every lab serves HTTP with JSON bodies on a Unix socket, so `curl --unix-socket` works too.
//! Paths are listed in [`paths`]; every command line verb and the scenario runner are clients of it.

mod client;
mod event;
mod live;
mod stream;
mod types;

pub use client::{Client, ControlError, Reply};
pub use event::{Happening, LabEvent};
pub use stream::{EventStream, ReplyStream};
pub use types::{
    CaptureOptions, CapturePlace, ErrorBody, FunctionInfo, LabDetail, LabState, LinkChange, LinkEndInfo,
    LinkInfo, NodeInfo, NodeState, Partition, PortInfo, ServiceInfo,
};

/// The paths of the API, below the Unix socket.
pub mod paths {
    /// `GET`: the whole lab ([`crate::LabDetail`]), or with `?links=false` all but its links. `DELETE`: take the lab down; answers before it is gone.
    pub const LAB: &str = "/v1/lab";
    /// `POST /v1/nodes/NODE/init`: makes sure that the node has an init process; answers with what is needed to enter it.
    ///
    /// `POST /v1/nodes/NODE/stop`, `start`, `restart`, `kill`, `pause` and `resume` do that to the node and answer with it
    /// ([`crate::NodeInfo`]); `?ready=true` waits after a start until the node's functions answer.
    ///
    /// `POST /v1/nodes/NODE/move?to=NODE` moves a client's link there, after `gap=SECONDS` without a carrier, and answers
    /// with the link ([`crate::LinkInfo`]).
    ///
    /// `PATCH /v1/nodes/NODE/limits` takes an object of limits by the keys and units of a topology file
    /// (`{"cpus": 0.5, "memory": "256MiB", "pids": "none"}`) and answers with the node.
    pub const NODES: &str = "/v1/nodes";
    /// `GET /v1/links/LINK`: the link ([`crate::LinkInfo`]). `PATCH`: applies a [`crate::LinkChange`] and answers with
    /// the link.
    ///
    /// `GET /v1/links/LINK/capture`: what passes the link from now on, as a pcapng file without an end in sight; the query
    /// is [`crate::CaptureOptions`].
    pub const LINKS: &str = "/v1/links";
    /// `POST`: makes the lab what the body ([`dfaas_model::Topology`]) says and answers with what that changed
    /// ([`dfaas_model::Change`]); `?dry_run=true` only answers.
    pub const APPLY: &str = "/v1/apply";
    /// `GET`: what happens from now on, one [`crate::LabEvent`] per line of JSON, until the lab stops; `?after=N` begins
    /// with event N + 1 as far as it is kept.
    pub const EVENTS: &str = "/v1/events";
    /// `POST`: returns when the lab and all its running nodes are ready; `?seconds=N` gives up after that time with
    /// status 504.
    pub const READY: &str = "/v1/ready";
    /// `GET`: the partitions in force ([`crate::Partition`]). `POST`: makes one. `DELETE`: ends the one in the body, or
    /// all without a body. Each answers with those in force.
    pub const PARTITIONS: &str = "/v1/partitions";
    /// `POST`: traces and patterns that links replay begin anew, now.
    pub const REPLAYS: &str = "/v1/replays";
}
