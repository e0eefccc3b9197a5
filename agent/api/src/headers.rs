//! Names of the HTTP headers that nodes and clients exchange. HTTP compares them without regard to case.

/// On a request: the PeerId of the node that forwarded it. Its presence makes the receiver serve the request itself
/// (one hop), its absence marks a user's request. On a response: the PeerId of the node that served it.
pub const NODE_ID: &str = "DFaaS-Node-ID";

/// On a response: the advertised address of the node whose functions served the request. Refusals made by a proxy
/// (403, 429, 503) do not carry it.
pub const SERVER: &str = "X-Server";

/// On a response that crossed a second node: the PeerId of the node that served it.
pub const FORWARDED_TO: &str = "DFaaS-Forwarded-To";
