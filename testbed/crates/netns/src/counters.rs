//! What the links of a wire namespace have carried and dropped, as the kernel counts it, and which of them are connected.

use std::collections::{HashMap, HashSet};

use netlink_packet_core::NLM_F_DUMP;

use crate::attribute::{Attributes, find, read_u32, read_u64};
use crate::error::NetnsError;
use crate::netlink::Request;
use crate::network::Network;
use crate::shape::Midpoint;
use crate::tc::statistics::{self, QueueStatistics};

// From linux/rtnetlink.h and linux/if_link.h.
const RTM_GETLINK: u16 = 18;
const IFLA_STATS64: u16 = 23;
const IFLA_EXT_MASK: u16 = 29;
/// Leaves the counters out, which are most of an answer.
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
// From linux/if.h.
const IFF_LOWER_UP: u32 = 1 << 16;
/// Length of `struct ifinfomsg`.
const HEADER: usize = 16;

/// A number of packets and their bytes, with Ethernet headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketCount {
    /// Packets. A frame that is left whole by segmentation offload is one.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What one direction of a link has done since it was set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirectionCounters {
    /// What came to the link.
    pub offered: PacketCount,
    /// What was handed to the other end.
    pub delivered: PacketCount,
    /// Packets lost by chance.
    pub lost: u64,
    /// Packets that the queue had no room for, or that CoDel dropped.
    pub overflowed: u64,
    /// What waits for the rate now.
    pub queued: PacketCount,
    /// What waits for its delay now.
    pub in_flight: PacketCount,
}

/// What the kernel says of a namespace at one moment.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    queues: HashMap<u32, Vec<QueueStatistics>>,
    /// Those that are up and whose other ends are.
    connected: HashSet<u32>,
    interfaces: HashMap<u32, [PacketCount; 2]>,
}

impl Network {
    /// The counters of every queue in a namespace, the kernel's default ones included.
    ///
    /// # Errors
    ///
    /// When there is no such namespace, or the kernel refuses.
    pub fn queue_statistics(&self, namespace: &str) -> Result<Vec<QueueStatistics>, NetnsError> {
        let (_, found) = self.find(namespace)?;
        let answers = found.netlink().dump(&statistics::list())?;
        let read = |answer: &Vec<u8>| {
            statistics::read(answer).ok_or_else(|| NetnsError::Protocol {
                namespace: namespace.into(),
                reason: "the description of a queue is incomplete".into(),
            })
        };
        answers.iter().map(read).collect()
    }

    /// What the kernel says of a wire namespace, read in two requests, for [`Network::queue_settings`],
    /// [`Network::is_connected`] and, `with_packets`, [`Network::direction_counters`].
    ///
    /// # Errors
    ///
    /// When there is no such namespace, or the kernel refuses.
    pub fn counters(&self, namespace: &str, with_packets: bool) -> Result<Counters, NetnsError> {
        let mut counters = Counters::default();
        for queue in self.queue_statistics(namespace)? {
            counters.queues.entry(queue.interface).or_default().push(queue);
        }
        let (_, found) = self.find(namespace)?;
        for answer in found.netlink().dump(&list_interfaces(with_packets))? {
            let Some(reading) = InterfaceReading::of(&answer) else {
                continue;
            };
            if reading.is_connected {
                counters.connected.insert(reading.index);
            }
            if let Some(packets) = reading.packets {
                counters.interfaces.insert(reading.index, packets);
            }
        }
        Ok(counters)
    }

    /// Whether a midpoint and the end of the link that it faces are both up: the carrier of a veth pair.
    #[must_use]
    pub fn is_connected(&self, counters: &Counters, midpoint: Midpoint<'_>) -> bool {
        let index = self.interface_index(midpoint.namespace, midpoint.interface);
        index.is_some_and(|index| counters.connected.contains(&index))
    }

    /// What the direction from one midpoint to another has done; all zero for midpoints that do not exist.
    #[must_use]
    pub fn direction_counters(
        &self,
        counters: &Counters,
        from: Midpoint<'_>,
        to: Midpoint<'_>,
    ) -> DirectionCounters {
        let index = |midpoint: Midpoint<'_>| self.interface_index(midpoint.namespace, midpoint.interface);
        let (Some(source), Some(target)) = (index(from), index(to)) else {
            return DirectionCounters::default();
        };
        let mut found = DirectionCounters {
            offered: counters.interface(source)[0],
            delivered: counters.interface(target)[1],
            ..DirectionCounters::default()
        };
        for interface in self.queued_at(to, target) {
            counters.add_queues(interface, &mut found);
        }
        found
    }

    /// A digest of all queues through which packets leave by a midpoint: which there are, where, and with which parameters. It
    /// is the same for as long as nobody changes them.
    #[must_use]
    pub fn queue_settings(&self, counters: &Counters, midpoint: Midpoint<'_>) -> u64 {
        let Some(index) = self.interface_index(midpoint.namespace, midpoint.interface) else {
            return 0;
        };
        let queues = self.queued_at(midpoint, index);
        let queues = queues
            .filter_map(|interface| counters.queues.get(&interface))
            .flatten();
        queues.fold(0, |sum: u64, queue| {
            let place = u64::from(queue.handle) << 32 | u64::from(queue.parent);
            // Added, as the kernel may list them in any order.
            sum.wrapping_add((queue.settings ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        })
    }

    /// The interfaces in whose queues packets wait on their way out by a midpoint.
    fn queued_at(&self, midpoint: Midpoint<'_>, index: u32) -> impl Iterator<Item = u32> + use<> {
        let position = self.find(midpoint.namespace).map(|(position, _)| position);
        let before = position
            .ok()
            .and_then(|position| self.pair_before(position, index))
            .map(|[first, _]| first);
        before.into_iter().chain([index])
    }
}

impl Counters {
    /// Received and sent packets of an interface.
    fn interface(&self, index: u32) -> [PacketCount; 2] {
        self.interfaces.get(&index).copied().unwrap_or_default()
    }

    fn add_queues(&self, interface: u32, to: &mut DirectionCounters) {
        let queues = self.queues.get(&interface).map_or(&[][..], Vec::as_slice);
        let kind = |kind: &str| queues.iter().find(|queue| queue.kind == kind);
        let (emulator, bucket) = (kind("netem"), kind("tbf"));
        let waiting = |queue: Option<&QueueStatistics>| {
            queue.map_or(PacketCount::default(), |queue| PacketCount {
                packets: queue.queued_packets.into(),
                bytes: queue.queued_bytes.into(),
            })
        };
        let drops = |queue: Option<&QueueStatistics>| queue.map_or(0, |queue| u64::from(queue.drops));
        // What is dropped, or waits, inside the emulator counts as the emulator's as well.
        let (all, inner) = (waiting(emulator), waiting(bucket));
        to.queued.packets += inner.packets;
        to.queued.bytes += inner.bytes;
        to.in_flight.packets += all.packets.saturating_sub(inner.packets);
        to.in_flight.bytes += all.bytes.saturating_sub(inner.bytes);
        to.overflowed += drops(bucket);
        to.lost += drops(emulator).saturating_sub(drops(bucket));
    }
}

fn list_interfaces(with_packets: bool) -> Request {
    let mut body = vec![0; HEADER];
    if !with_packets {
        let mut filter = Attributes::default();
        filter.put(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
        body.extend(filter.into_bytes());
    }
    Request::raw(RTM_GETLINK, body, NLM_F_DUMP, "list the interfaces".into())
}

/// What is read of an interface.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InterfaceReading {
    index: u32,
    is_connected: bool,
    /// Received and sent, if they were asked for.
    packets: Option<[PacketCount; 2]>,
}

impl InterfaceReading {
    /// None when the answer is too short.
    pub(crate) fn of(answer: &[u8]) -> Option<Self> {
        // struct ifinfomsg: family, type, index, flags, change.
        let attributes = answer.get(HEADER..)?;
        let packets = match find(attributes, IFLA_STATS64) {
            Some(statistics) => Some(packets(statistics)?),
            None => None,
        };
        Some(Self {
            index: read_u32(answer, 4)?,
            is_connected: read_u32(answer, 8)? & IFF_LOWER_UP != 0,
            packets,
        })
    }
}

fn packets(statistics: &[u8]) -> Option<[PacketCount; 2]> {
    // struct rtnl_link_stats64: received and sent packets, received and sent bytes.
    let number = |position: usize| read_u64(statistics, 8 * position);
    let count = |place: usize| {
        Some(PacketCount {
            packets: number(place)?,
            bytes: number(2 + place)?,
        })
    };
    Some([count(0)?, count(1)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_with_and_without_their_counters() {
        let mut attributes = Attributes::default();
        let bytes: Vec<u8> = [7_u64, 8, 700, 800]
            .iter()
            .flat_map(|n| n.to_ne_bytes())
            .collect();
        attributes.put(IFLA_STATS64, &bytes);
        let mut header = vec![0; HEADER];
        header[4] = 42;
        let mut answer = header.clone();
        answer[8..12].copy_from_slice(&(IFF_LOWER_UP | 1).to_ne_bytes());
        answer.extend(attributes.into_bytes());
        let count = |packets, bytes| PacketCount { packets, bytes };
        let reading = |is_connected, packets| {
            Some(InterfaceReading {
                index: 42,
                is_connected,
                packets,
            })
        };
        let packets = Some([count(7, 700), count(8, 800)]);
        assert_eq!(InterfaceReading::of(&answer), reading(true, packets));
        assert_eq!(InterfaceReading::of(&header), reading(false, None));
        for length in 0..HEADER {
            assert_eq!(InterfaceReading::of(&header[..length]), None, "{length}");
        }
    }

    #[test]
    fn what_is_inside_the_emulator_is_not_counted_twice() {
        let queue = |kind: &str, drops, queued_packets| QueueStatistics {
            interface: 5,
            kind: kind.into(),
            handle: 0,
            parent: 0,
            settings: 0,
            bytes: 0,
            packets: 0,
            drops,
            overlimits: 0,
            queued_packets,
            queued_bytes: queued_packets * 100,
        };
        let counters = Counters {
            queues: HashMap::from([(5, vec![queue("netem", 30, 12), queue("tbf", 20, 4)])]),
            ..Counters::default()
        };
        let mut found = DirectionCounters::default();
        counters.add_queues(5, &mut found);
        assert_eq!((found.lost, found.overflowed), (10, 20));
        assert_eq!((found.queued.packets, found.in_flight.packets), (4, 8));
        assert_eq!((found.queued.bytes, found.in_flight.bytes), (400, 800));
    }
}
