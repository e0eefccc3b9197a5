//! Requests about interfaces, addresses, routes and neighbours, built from rtnetlink's messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, BridgeStpState, In6AddrGenMode, InfoData, InfoKind, InfoVeth, LinkAttribute,
    LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteMessage, RouteScope};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{
    AddressMessageBuilder, LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth,
    RouteMessageBuilder,
};

use crate::layout::Interface;
use crate::netlink::Request;
use crate::spec::{BRIDGE, NearEnd};

/// A change that must not find the thing there already.
const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;
/// A change that may find the thing there already.
const CHANGED: u16 = NLM_F_CREATE | NLM_F_REPLACE;

/// One end of a veth pair, placed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its index, and the MTU of both ends.
    pub(crate) interface: Interface,
    /// The namespace it is created in.
    pub(crate) namespace: RawFd,
}

/// A veth pair whose two ends appear at once in their own namespaces. One end only can be up at once, because the kernel cannot
/// raise a peer before the pair exists: of a port of the bridge with the given index the near end, as only that end can become a
/// port at once, and else the midpoint, as a node's end needs a setting first.
pub(crate) fn new_veth(
    near: &NearEnd,
    end: End<'_>,
    bridge: Option<u32>,
    midpoint: End<'_>,
    owner: &str,
) -> Request {
    let hardware = near.mac.to_vec();
    let main = match bridge {
        Some(index) => veth(end, peer(midpoint)).address(hardware).controller(index),
        None => veth(midpoint, peer(end).address(hardware)).arp(false),
    };
    let main = main.up();
    let operation = format!(
        "create interface `{}` with midpoint `{}`",
        end.name, midpoint.name
    );
    link_request(main.build(), NEW, operation).about(owner)
}

/// A veth pair that carries nothing; both ends stay down.
pub(crate) fn new_idle_veth(end: End<'_>, other: End<'_>) -> Request {
    let main = veth(end, peer(other));
    link_request(main.build(), NEW, format!("create interface `{}`", end.name))
}

/// The bridge of a switch, down: it is raised when all its ports are there, so that what nodes send while their addresses are set
/// does not reach every other node.
pub(crate) fn new_bridge(index: u32) -> Request {
    let message = LinkMessageBuilder::<LinkBridge>::new(BRIDGE)
        .index(index)
        .stp_state(BridgeStpState::Disabled)
        .forward_delay(0)
        .mcast_snooping(false)
        .build();
    link_request(message, NEW, format!("create bridge `{BRIDGE}`"))
}

/// Raises or lowers an interface.
pub(crate) fn set_up(index: u32, name: &str, up: bool) -> Request {
    let message = LinkMessageBuilder::<LinkUnspec>::new().index(index);
    let (message, verb) = if up {
        (message.up(), "raise")
    } else {
        (message.down(), "lower")
    };
    set_link(message.build(), format!("{verb} interface `{name}`"))
}

/// Lets an interface that is still down come up without a link-local address.
pub(crate) fn no_link_local(index: u32, name: &str) -> Request {
    let mut message = LinkMessageBuilder::<LinkUnspec>::new().index(index).build();
    let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    let family = AfSpecUnspec::Inet6(vec![mode]);
    message.attributes.push(LinkAttribute::AfSpecUnspec(vec![family]));
    set_link(message, format!("set up IPv6 on interface `{name}`"))
}

/// Asks for an interface; what is answered besides the acknowledgement is passed over.
pub(crate) fn get_link(index: u32, name: &str) -> Request {
    let message = LinkMessageBuilder::<LinkUnspec>::new().index(index).build();
    let operation = format!("look at interface `{name}`");
    Request::new(&RouteNetlinkMessage::GetLink(message), 0, operation)
}

/// Removes an interface, and with it the other end of its pair.
pub(crate) fn remove_link(index: u32, name: &str) -> Request {
    let message = LinkMessageBuilder::<LinkUnspec>::new().index(index).build();
    let operation = format!("remove interface `{name}`");
    Request::new(&RouteNetlinkMessage::DelLink(message), 0, operation)
}

/// Raises a midpoint, which answers no ARP.
pub(crate) fn raise_midpoint(index: u32, name: &str) -> Request {
    let message = LinkMessageBuilder::<LinkUnspec>::new()
        .index(index)
        .arp(false)
        .up();
    set_link(message.build(), format!("raise midpoint `{name}`"))
}

/// Adds an address that is usable at once: no duplicate address detection.
pub(crate) fn new_address(index: u32, name: &str, address: IpNet) -> Request {
    let mut message = address_message(index, address);
    message.header.flags |= AddressHeaderFlags::Nodad;
    let operation = format!("add address {address} to interface `{name}`");
    Request::new(&RouteNetlinkMessage::NewAddress(message), NEW, operation)
}

/// Removes an address.
pub(crate) fn remove_address(index: u32, name: &str, address: IpNet) -> Request {
    let message = address_message(index, address);
    let operation = format!("remove address {address} from interface `{name}`");
    Request::new(&RouteNetlinkMessage::DelAddress(message), 0, operation)
}

fn address_message(index: u32, address: IpNet) -> AddressMessage {
    match address {
        IpNet::V4(net) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
        IpNet::V6(net) => AddressMessageBuilder::<Ipv6Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
    }
}

/// Adds a static route; both addresses are of one family.
pub(crate) fn new_route(destination: IpNet, via: IpAddr) -> Request {
    let operation = format!("add route to {destination} via {via}");
    let message = route_message(destination, via);
    Request::new(&RouteNetlinkMessage::NewRoute(message), NEW, operation)
}

/// Removes a static route.
pub(crate) fn remove_route(destination: IpNet, via: IpAddr) -> Request {
    let operation = format!("remove route to {destination} via {via}");
    let message = route_message(destination, via);
    Request::new(&RouteNetlinkMessage::DelRoute(message), 0, operation)
}

fn route_message(destination: IpNet, via: IpAddr) -> RouteMessage {
    match (destination.trunc(), via) {
        (IpNet::V4(net), IpAddr::V4(via)) => RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(net.addr(), net.prefix_len())
            .gateway(via)
            .build(),
        (IpNet::V6(net), IpAddr::V6(via)) => RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(net.addr(), net.prefix_len())
            .gateway(via)
            .build(),
        // Refused when the description was checked; the kernel refuses an empty message as well.
        _ => RouteMessageBuilder::<IpAddr>::new().build(),
    }
}

/// Adds a route through an interface without a gateway.
pub(crate) fn new_direct_route(index: u32, name: &str, destination: IpNet) -> Request {
    let operation = format!("add route to {destination} through interface `{name}`");
    let message = direct_route_message(index, destination);
    Request::new(&RouteNetlinkMessage::NewRoute(message), NEW, operation)
}

/// Removes such a route.
pub(crate) fn remove_direct_route(index: u32, name: &str, destination: IpNet) -> Request {
    let operation = format!("remove route to {destination} through interface `{name}`");
    let message = direct_route_message(index, destination);
    Request::new(&RouteNetlinkMessage::DelRoute(message), 0, operation)
}

fn direct_route_message(index: u32, destination: IpNet) -> RouteMessage {
    match destination.trunc() {
        IpNet::V4(net) => RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(net.addr(), net.prefix_len())
            .output_interface(index)
            .scope(RouteScope::Link)
            .build(),
        IpNet::V6(net) => RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(net.addr(), net.prefix_len())
            .output_interface(index)
            .build(),
    }
}

/// Adds a neighbour entry that never expires.
pub(crate) fn new_neighbour(index: u32, name: &str, address: IpAddr, mac: [u8; 6]) -> Request {
    let mut message = neighbour_message(index, address);
    message.header.state = NeighbourState::Permanent;
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    let operation = format!("add neighbour {address} on interface `{name}`");
    Request::new(&RouteNetlinkMessage::NewNeighbour(message), CHANGED, operation)
}

/// Removes a neighbour entry.
pub(crate) fn remove_neighbour(index: u32, name: &str, address: IpAddr) -> Request {
    let message = neighbour_message(index, address);
    let operation = format!("remove neighbour {address} from interface `{name}`");
    Request::new(&RouteNetlinkMessage::DelNeighbour(message), 0, operation)
}

fn neighbour_message(index: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    let (family, destination) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    message.header.family = family;
    message.header.ifindex = index;
    message.attributes = vec![NeighbourAttribute::Destination(destination)];
    message
}

/// Adds an entry to the forwarding database of the bridge that an interface is a port of: one that does not age.
pub(crate) fn new_forwarding(index: u32, name: &str, mac: [u8; 6]) -> Request {
    let mut message = forwarding_message(index, mac);
    message.header.state = NeighbourState::Noarp;
    let operation = format!("add a forwarding entry to port `{name}`");
    Request::new(&RouteNetlinkMessage::NewNeighbour(message), CHANGED, operation)
}

/// Removes such an entry, unless the bridge has learnt that the address is behind another port.
pub(crate) fn remove_forwarding(index: u32, name: &str, mac: [u8; 6]) -> Request {
    let operation = format!("remove a forwarding entry from port `{name}`");
    let message = forwarding_message(index, mac);
    Request::new(&RouteNetlinkMessage::DelNeighbour(message), 0, operation)
}

fn forwarding_message(index: u32, mac: [u8; 6]) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.flags = NeighbourFlags::Controller;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.to_vec())];
    message
}

/// Lets a port answer ARP requests that come in, for all addresses that its bridge has as neighbours, and keeps them from going
/// out of it.
pub(crate) fn answer_arp(index: u32, name: &str) -> Request {
    let message = LinkBridgePort::new(index).proxy_arp(true).build();
    // Of an interface that is there; a `set` request passes what is for the bridge over.
    link_request(message, 0, format!("let port `{name}` answer ARP"))
}

/// Name, number, size and namespace. One queue: more would only cost time at creation.
fn placed<T>(builder: LinkMessageBuilder<T>, end: End<'_>) -> LinkMessageBuilder<T> {
    builder
        .name(end.name)
        .index(end.interface.index)
        .mtu(end.interface.mtu)
        .setns_by_fd(end.namespace)
        .append_extra_attribute(LinkAttribute::NumTxQueues(1))
        .append_extra_attribute(LinkAttribute::NumRxQueues(1))
}

/// A pair, described at one of its ends; the other one comes along.
fn veth(end: End<'_>, peer: LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkVeth> {
    let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth);
    placed(pair, end).set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())))
}

fn peer(end: End<'_>) -> LinkMessageBuilder<LinkUnspec> {
    placed(LinkMessageBuilder::<LinkUnspec>::new(), end)
}

fn link_request(message: LinkMessage, flags: u16, operation: String) -> Request {
    Request::new(&RouteNetlinkMessage::NewLink(message), flags, operation)
}

fn set_link(message: LinkMessage, operation: String) -> Request {
    Request::new(&RouteNetlinkMessage::SetLink(message), 0, operation)
}
