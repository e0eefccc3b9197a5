//! The description of a network, as plain data.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ipnet::IpNet;

/// Name of the bridge in every switch namespace.
pub const BRIDGE: &str = "br0";

/// Everything [`Network::create`](crate::Network::create) makes. Namespaces are referred to by their position in `namespaces`.
#[derive(Debug, Clone, Default)]
pub struct NetworkSpec {
    /// The namespaces; names are unique.
    pub namespaces: Vec<NamespaceSpec>,
    /// The veth pairs. A link between two nodes is two of them, whose midpoints meet in a wire namespace.
    pub links: Vec<VethSpec>,
    /// Addresses, added without duplicate address detection.
    pub addresses: Vec<AddressSpec>,
    /// Routes to what is on an interface's own link though none of its addresses says so.
    pub direct_routes: Vec<DirectRouteSpec>,
    /// Static routes; the gateway must be reachable through an address above.
    pub routes: Vec<RouteSpec>,
    /// Permanent neighbour entries (ARP and neighbour discovery).
    pub neighbours: Vec<NeighbourSpec>,
    /// Static entries of the forwarding databases of switches.
    pub forwarding: Vec<ForwardingSpec>,
    /// Namespaces that somebody else made and keeps, such as a container's, by their position in `namespaces`: they get the
    /// settings of their role and everything above, instead of new ones.
    pub adopted: Vec<(usize, Arc<OwnedFd>)>,
}

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceSpec {
    /// Its name in this network; the kernel never sees it.
    pub name: String,
    /// What it is for, which decides its settings.
    pub role: NamespaceRole,
}

/// What a namespace is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceRole {
    /// A host: loopback up, IPv6 with static addresses only.
    Node {
        /// Whether it forwards packets between its interfaces.
        forward: bool,
    },
    /// A switch: one bridge, [`BRIDGE`], without spanning tree, raised after everything else. No IPv6.
    Switch,
    /// Where midpoints meet. No IPv6, no ARP.
    Wire,
}

/// A veth pair from a node or switch to a midpoint in a wire namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VethSpec {
    /// The end that the node or switch sees.
    pub near: NearEnd,
    /// The namespace of the other end.
    pub wire: usize,
    /// The interface name of the other end.
    pub midpoint: String,
}

/// The end of a veth pair in a node or switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearEnd {
    /// Its namespace.
    pub namespace: usize,
    /// Its name, at most 15 bytes.
    pub interface: String,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Largest packet in bytes, without the Ethernet header; both ends get it.
    pub mtu: u32,
    /// Whether it becomes a port of its switch's bridge.
    pub bridge_port: bool,
    /// Whether frames of up to 64 KiB may cross whole. Without it every frame has at most `mtu` bytes, as an effect on single
    /// packets (loss, low rate, reorder) needs. Checksum offload stays on in both cases; segmentation of tunnels is always off
    /// (of a switch's own traffic at its bridge), because a packet socket cannot pass such frames on.
    pub segmentation_offload: bool,
}

/// A veth pair for a network that runs already; namespaces are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVeth<'a> {
    /// The namespace of the near end.
    pub namespace: &'a str,
    /// The near end; its `namespace` is not looked at.
    pub near: NearEnd,
    /// The namespace of the other end.
    pub wire: &'a str,
    /// The interface name of the other end.
    pub midpoint: &'a str,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressSpec {
    /// The namespace.
    pub namespace: usize,
    /// The interface, `lo` included.
    pub interface: String,
    /// Address and prefix length.
    pub address: IpNet,
}

/// A route through an interface without a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectRouteSpec {
    /// The namespace.
    pub namespace: usize,
    /// The interface.
    pub interface: String,
    /// Where to; the host part is ignored.
    pub destination: IpNet,
}

/// A static route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// The namespace.
    pub namespace: usize,
    /// Where to; the host part is ignored.
    pub destination: IpNet,
    /// The gateway.
    pub via: IpAddr,
}

/// A permanent neighbour entry, so that no resolution takes place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourSpec {
    /// The namespace.
    pub namespace: usize,
    /// The interface through which the neighbour is reached.
    pub interface: String,
    /// The neighbour's address.
    pub address: IpAddr,
    /// The neighbour's hardware address.
    pub mac: [u8; 6],
}

/// A static entry of a bridge's forwarding database, so that frames for this address go out of one port only, and it is not
/// forgotten when the interface is silent. A frame from the address that comes in elsewhere moves the entry there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardingSpec {
    /// The switch.
    pub namespace: usize,
    /// Its port.
    pub interface: String,
    /// The hardware address behind the port.
    pub mac: [u8; 6],
    /// The switch answers ARP requests for this address, which then go no further.
    pub answers_for: Option<Ipv4Addr>,
}
