//! Network namespaces, veth pairs, bridges, addresses, routes and traffic control over netlink.
//!
//! A [`NetworkSpec`] describes a network as data, [`Network::create`] makes it, and the returned value owns it: nothing has a name in
//! the file system, so nothing survives the process.
//!
//! A link between two nodes is two veth pairs that meet in a *wire* namespace, as *midpoints*:
//!
//! ```text
//!   node A            wire namespace            node B
//!   eth0 ────────── a             b ────────── eth0
//!                     └── shape ──┘
//! ```
//!
//! [`Network::shape`] joins two midpoints in the kernel, with rate, delay and loss as far as the kernel has them
//! ([`probe_kernel`]); a program with packet sockets on both midpoints can do the same.
//!
//! No process is started, and every refusal carries the kernel's own sentence.

mod attribute;
mod block;
mod close;
mod construction;
mod counters;
mod decode;
mod egress;
mod error;
mod impairment;
mod layout;
mod message;
mod namespace;
mod netlink;
mod network;
mod offload;
mod probe;
mod queues;
mod shape;
mod spec;
mod sysctl;
mod tc;
mod withdraw;
mod worker;

pub use block::Block;
pub use counters::{Counters, DirectionCounters, PacketCount};
#[doc(hidden)]
pub use decode::decode;
pub use error::NetnsError;
pub use impairment::{KernelImpairment, KernelLoss, KernelQueue};
pub use network::Network;
pub use probe::{KernelFeatures, probe_kernel};
pub use shape::Midpoint;
pub use spec::{
    AddressSpec, BRIDGE, DirectRouteSpec, ForwardingSpec, NamespaceRole, NamespaceSpec, NearEnd,
    NeighbourSpec, NetworkSpec, NewVeth, RouteSpec, VethSpec,
};
pub use tc::statistics::QueueStatistics;
