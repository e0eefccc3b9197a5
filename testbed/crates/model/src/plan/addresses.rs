//! Addresses of interfaces, IPv4 and IPv6, and hardware addresses.
//!
//! ```text
//! segment 0   10.0.0.0/24   fd00:dfaa:5::/64     hosts .1 .2 .3 … in the order of the nodes in the file
//! segment 1   10.0.1.0/24   fd00:dfaa:5:1::/64   (a segment of 1000 hosts takes a /22, aligned)
//! end e of link l           02:df, then the number 2 l + e in four bytes
//! ```
//! What the file fixes wins; the rest of its segment then takes free addresses of the same network.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::error::Fault;
use crate::topology::Topology;
use crate::topology::segments::{Port, Segment, Segments};

const IPV4_POOL: u32 = u32::from_be_bytes([10, 0, 0, 0]);
const IPV4_POOL_END: u32 = u32::from_be_bytes([10, 255, 255, 255]);
const SMALLEST_PREFIX: u8 = 24;
const IPV6_POOL: u128 = 0xfd00_dfaa_0005_0000 << 64;

/// Whether the node of a port has moved there with addresses of another network.
pub(crate) fn is_guest(topology: &Topology, port: Port) -> bool {
    let end = topology
        .links
        .get(port.link)
        .map(|link| &link.endpoints[port.end]);
    end.and_then(|end| topology.nodes.get(&end.node)?.interfaces.get(&end.interface))
        .is_some_and(|settings| settings.is_guest)
}

/// An interface by node and name, and whether its IPv4 (or its IPv6) address is meant.
pub(crate) type Place = (String, String, bool);

/// What is wrong with the addresses, and at which interfaces.
#[derive(Clone, Debug)]
pub(crate) struct AddressFault {
    pub(crate) fault: Fault,
    pub(crate) at: Place,
    pub(crate) also: Option<Place>,
}

/// The addresses of all ports.
#[derive(Clone, Debug)]
pub(crate) struct Addressing {
    pub(crate) segments: Segments,
    /// Per segment, its IPv4 and IPv6 network.
    pub(super) networks: Vec<(IpNet, IpNet)>,
    /// Per link and end.
    addresses: HashMap<(usize, usize), (IpNet, IpNet)>,
}

impl Addressing {
    /// The IPv4 and IPv6 address of a port.
    pub(super) fn of(&self, port: Port) -> Option<(IpNet, IpNet)> {
        self.addresses.get(&(port.link, port.end)).copied()
    }
}

/// Gives every port its addresses.
pub(crate) fn assign(topology: &Topology) -> Result<Addressing, Vec<AddressFault>> {
    let segments = Segments::of(topology);
    let mut faults = Vec::new();
    let v4 = Family { topology, v4: true }.assign(&segments, &mut faults);
    let v6 = Family { topology, v4: false }.assign(&segments, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut addresses = HashMap::with_capacity(topology.links.len() * 2);
    let mut networks = Vec::with_capacity(segments.list.len());
    for (number, segment) in segments.list.iter().enumerate() {
        let (Some((network4, hosts4)), Some((network6, hosts6))) = (v4.get(number), v6.get(number)) else {
            continue;
        };
        networks.push((*network4, *network6));
        for (port, (four, six)) in segment.ports.iter().zip(hosts4.iter().zip(hosts6)) {
            addresses.insert((port.link, port.end), (*four, *six));
        }
    }
    Ok(Addressing {
        segments,
        networks,
        addresses,
    })
}

/// The hardware address of one end of a link, unless the file fixes it.
pub(crate) fn mac(topology: &Topology, link: usize, end: usize) -> [u8; 6] {
    let endpoint = topology.links.get(link).map(|link| &link.endpoints[end]);
    let settings = endpoint.and_then(|end| topology.nodes.get(&end.node)?.interfaces.get(&end.interface));
    if let Some(mac) = settings.and_then(|settings| settings.mac) {
        return mac;
    }
    let number = topology.links.get(link).map_or(link, |link| link.number);
    let number = u32::try_from(number * 2 + end).unwrap_or(u32::MAX);
    let [a, b, c, d] = number.to_be_bytes();
    [0x02, 0xdf, a, b, c, d]
}

/// One family's share of the work; numbers are host-order integers as wide as IPv6.
#[derive(Clone, Copy)]
struct Family<'a> {
    topology: &'a Topology,
    v4: bool,
}

impl Family<'_> {
    fn fixed(self, port: Port) -> Option<IpNet> {
        let end = &self.topology.links.get(port.link)?.endpoints[port.end];
        let settings = self
            .topology
            .nodes
            .get(&end.node)?
            .interfaces
            .get(&end.interface)?;
        settings
            .addresses
            .iter()
            .copied()
            .find(|address| address.addr().is_ipv4() == self.v4)
    }

    fn place(self, port: Port) -> Place {
        let end = self
            .topology
            .links
            .get(port.link)
            .map(|link| link.endpoints[port.end].clone());
        end.map_or_else(Default::default, |end| (end.node, end.interface, self.v4))
    }

    /// Network and host addresses of each segment.
    fn assign(self, segments: &Segments, faults: &mut Vec<AddressFault>) -> Vec<(IpNet, Vec<IpNet>)> {
        let mut used = UsedRanges::default();
        let given: Vec<Option<(IpNet, Port)>> = segments
            .list
            .iter()
            .map(|segment| self.given_network(segment, faults))
            .collect();
        for (network, port) in given.iter().flatten() {
            if let Some((other, first)) = used.insert(*network, *port) {
                let fault = Fault::OverlappingSegments {
                    first: other.to_string(),
                    second: network.to_string(),
                };
                faults.push(AddressFault {
                    fault,
                    at: self.place(*port),
                    also: Some(self.place(first)),
                });
            }
        }
        self.report_clashes(segments, faults);
        let guests = self.guests(segments);
        let mut next = if self.v4 { u128::from(IPV4_POOL) } else { IPV6_POOL };
        let mut result = Vec::with_capacity(segments.list.len());
        for (segment, given) in segments.list.iter().zip(given) {
            let network = match given {
                Some((network, _)) => Some(network),
                None => self.free_network(segment, &used, &mut next, faults),
            };
            let Some(network) = network else { continue };
            result.push((network, self.hosts(segment, network, &guests, faults)));
        }
        result
    }

    /// The network that fixed addresses put a segment in.
    fn given_network(self, segment: &Segment, faults: &mut Vec<AddressFault>) -> Option<(IpNet, Port)> {
        let residents = segment
            .ports
            .iter()
            .filter(|port| !is_guest(self.topology, **port));
        let mut fixed = residents.filter_map(|port| Some((self.fixed(*port)?, *port)));
        let (first, first_port) = fixed.next()?;
        let network = first.trunc();
        for (address, port) in fixed {
            if address.trunc() != network {
                let fault = Fault::ForeignAddress {
                    address: address.to_string(),
                    network: network.to_string(),
                };
                faults.push(AddressFault {
                    fault,
                    at: self.place(port),
                    also: Some(self.place(first_port)),
                });
            }
        }
        Some((network, first_port))
    }

    fn report_clashes(self, segments: &Segments, faults: &mut Vec<AddressFault>) {
        let mut first: HashMap<IpAddr, Port> = HashMap::new();
        for port in segments.list.iter().flat_map(|segment| &segment.ports) {
            if let Some(address) = self.fixed(*port)
                && let Some(before) = first.insert(address.addr(), *port)
            {
                let fault = Fault::AddressClash {
                    address: address.addr().to_string(),
                };
                faults.push(AddressFault {
                    fault,
                    at: self.place(*port),
                    also: Some(self.place(before)),
                });
            }
        }
    }

    /// The next network of the pool that is big enough and overlaps no fixed one.
    fn free_network(
        self,
        segment: &Segment,
        used: &UsedRanges,
        next: &mut u128,
        faults: &mut Vec<AddressFault>,
    ) -> Option<IpNet> {
        let hosts = segment.ports.len();
        let (prefix, size) = if self.v4 {
            let needed = (hosts as u64 + 2)
                .next_power_of_two()
                .max(1 << (32 - SMALLEST_PREFIX));
            (
                32 - u8::try_from(needed.trailing_zeros()).unwrap_or(32),
                u128::from(needed),
            )
        } else {
            (64, 1 << 64)
        };
        let end = if self.v4 {
            u128::from(IPV4_POOL_END)
        } else {
            IPV6_POOL + (0xffff << 64) + ((1 << 64) - 1)
        };
        loop {
            let start = next.next_multiple_of(size);
            let last = start + (size - 1);
            if last > end {
                let fault = Fault::NoAddresses { interfaces: hosts };
                let at = segment
                    .ports
                    .first()
                    .map_or_else(Default::default, |port| self.place(*port));
                faults.push(AddressFault {
                    fault,
                    at,
                    also: None,
                });
                return None;
            }
            match used.overlap(start, last) {
                Some(after) => *next = after + 1,
                None => {
                    *next = last + 1;
                    return network(self.v4, start, prefix);
                }
            }
        }
    }

    /// The addresses that moved nodes have kept; nobody else may get them, wherever they are now.
    fn guests(self, segments: &Segments) -> HashSet<u128> {
        let ports = segments.list.iter().flat_map(|segment| &segment.ports);
        ports
            .filter(|port| is_guest(self.topology, **port))
            .filter_map(|port| self.fixed(*port))
            .map(|fixed| number(fixed.addr()))
            .collect()
    }

    /// The address of each port: the fixed one, or the lowest free one. That of a guest stands alone.
    fn hosts(
        self,
        segment: &Segment,
        network: IpNet,
        guests: &HashSet<u128>,
        faults: &mut Vec<AddressFault>,
    ) -> Vec<IpNet> {
        let (first, last) = usable(network);
        let taken: HashSet<u128> = segment
            .ports
            .iter()
            .filter_map(|port| self.fixed(*port))
            .map(|fixed| number(fixed.addr()))
            .collect();
        let mut free =
            (first..=last).filter(|candidate| !taken.contains(candidate) && !guests.contains(candidate));
        let mut hosts = Vec::with_capacity(segment.ports.len());
        for port in &segment.ports {
            let address = match self.fixed(*port) {
                Some(fixed) if is_guest(self.topology, *port) => Some(IpNet::from(fixed.addr())),
                Some(fixed) => Some(fixed),
                None => free
                    .next()
                    .and_then(|address| host(self.v4, address, network.prefix_len())),
            };
            match address {
                Some(address) => hosts.push(address),
                None => {
                    let interfaces = segment.ports.len();
                    let fault = Fault::NoRoom {
                        network: network.to_string(),
                        interfaces,
                    };
                    faults.push(AddressFault {
                        fault,
                        at: self.place(*port),
                        also: None,
                    });
                    break;
                }
            }
        }
        hosts
    }
}

/// First and last address of a network that interfaces may have.
fn usable(network: IpNet) -> (u128, u128) {
    let (first, last) = (number(network.network()), number(network.broadcast()));
    if last - first < 2 {
        return (first, last);
    }
    // IPv6 has no broadcast address, but its first one belongs to any router.
    (first + 1, if network.addr().is_ipv4() { last - 1 } else { last })
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn network(v4: bool, start: u128, prefix: u8) -> Option<IpNet> {
    host(v4, start, prefix).map(|network| network.trunc())
}

fn host(v4: bool, number: u128, prefix: u8) -> Option<IpNet> {
    if v4 {
        let address = Ipv4Addr::from(u32::try_from(number).ok()?);
        Ipv4Net::new(address, prefix).ok().map(IpNet::V4)
    } else {
        Ipv6Net::new(Ipv6Addr::from(number), prefix).ok().map(IpNet::V6)
    }
}

/// Ranges of addresses that are spoken for, by their first address.
#[derive(Default)]
struct UsedRanges {
    ranges: BTreeMap<u128, (u128, IpNet, Port)>,
}

impl UsedRanges {
    /// Adds a network; returns one it overlaps.
    fn insert(&mut self, network: IpNet, port: Port) -> Option<(IpNet, Port)> {
        let (first, last) = (number(network.network()), number(network.broadcast()));
        let before = self.ranges.range(..=last).next_back();
        let overlapped = before
            .filter(|(_, (end, _, _))| *end >= first)
            .map(|(_, (_, network, port))| (*network, *port));
        if overlapped.is_none() {
            self.ranges.insert(first, (last, network, port));
        }
        overlapped
    }

    /// The last address of a range that overlaps the given one.
    fn overlap(&self, first: u128, last: u128) -> Option<u128> {
        let (_, (end, _, _)) = self.ranges.range(..=last).next_back()?;
        (*end >= first).then_some(*end)
    }
}
