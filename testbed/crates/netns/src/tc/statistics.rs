//! What queues have sent and dropped.

use netlink_packet_core::NLM_F_DUMP;

use super::{TCA_KIND, TCA_OPTIONS, header};
use crate::attribute::{find, read_text, read_u32, read_u64};
use crate::netlink::Request;

// From linux/rtnetlink.h and linux/gen_stats.h.
const RTM_GETQDISC: u16 = 38;
const TCA_STATS2: u16 = 7;
const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_QUEUE: u16 = 3;
const TCA_STATS_PKT64: u16 = 8;
/// Length of `struct tcmsg`.
const HEADER: usize = 20;

/// The counters of one queue since it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatistics {
    /// The index of its interface.
    pub interface: u32,
    /// `netem`, `tbf`, `clsact`, …
    pub kind: String,
    /// Its number.
    pub handle: u32,
    /// The class it belongs to; all ones for the interface itself.
    pub parent: u32,
    /// A digest of its parameters, which stays the same as long as nobody changes them.
    pub settings: u64,
    /// Bytes sent, Ethernet headers included.
    pub bytes: u64,
    /// Packets sent.
    pub packets: u64,
    /// Packets dropped, by netem's loss or because the queue was full. For clsact this counts every packet, since the original of
    /// each clone is dropped.
    pub drops: u32,
    /// How often a packet had to wait for the rate.
    pub overlimits: u32,
    /// Packets waiting.
    pub queued_packets: u32,
    /// Bytes waiting.
    pub queued_bytes: u32,
}

/// Asks for all queues of a namespace.
pub(crate) fn list() -> Request {
    Request::raw(
        RTM_GETQDISC,
        header(0, 0, 0, 0),
        NLM_F_DUMP,
        "list the queues".into(),
    )
}

/// Reads one answer; none when it is too short.
pub(crate) fn read(answer: &[u8]) -> Option<QueueStatistics> {
    let attributes = answer.get(HEADER..)?;
    let groups = find(attributes, TCA_STATS2).unwrap_or_default();
    let basic = find(groups, TCA_STATS_BASIC).unwrap_or_default();
    let queue = find(groups, TCA_STATS_QUEUE).unwrap_or_default();
    let queue = |position: usize| read_u32(queue, 4 * position).unwrap_or(0);
    let packets = find(groups, TCA_STATS_PKT64).and_then(|value| read_u64(value, 0));
    Some(QueueStatistics {
        interface: read_u32(answer, 4)?,
        kind: find(attributes, TCA_KIND).map(read_text)?,
        handle: read_u32(answer, 8)?,
        parent: read_u32(answer, 12)?,
        settings: digest(find(attributes, TCA_OPTIONS).unwrap_or_default()),
        bytes: read_u64(basic, 0).unwrap_or(0),
        // The 64-bit counter is there only once the other has overflowed.
        packets: packets.unwrap_or_else(|| read_u32(basic, 8).unwrap_or(0).into()),
        queued_packets: queue(0),
        queued_bytes: queue(1),
        drops: queue(2),
        overlimits: queue(4),
    })
}

/// FNV-1a (Fowler, Noll, Vo), 64 bit.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::Attributes;

    fn answer(with_64_bits: bool) -> Vec<u8> {
        let mut attributes = Attributes::default();
        attributes.put_text(TCA_KIND, "tbf");
        attributes.put(TCA_OPTIONS, &[1, 2, 3, 4]);
        attributes.nest(TCA_STATS2, |groups| {
            let mut basic = 5_000_u64.to_ne_bytes().to_vec();
            basic.extend_from_slice(&50_u32.to_ne_bytes());
            basic.extend_from_slice(&[0; 4]);
            groups.put(TCA_STATS_BASIC, &basic);
            let queue: Vec<u8> = [3_u32, 300, 7, 0, 9]
                .iter()
                .flat_map(|n| n.to_ne_bytes())
                .collect();
            groups.put(TCA_STATS_QUEUE, &queue);
            if with_64_bits {
                groups.put(TCA_STATS_PKT64, &(1_u64 << 40).to_ne_bytes());
            }
        });
        let mut body = header(12, 0x2_0000, super::super::ROOT, 2);
        body.extend(attributes.into_bytes());
        body
    }

    #[test]
    fn counters_are_read() {
        let expected = QueueStatistics {
            interface: 12,
            kind: "tbf".into(),
            handle: 0x2_0000,
            parent: u32::MAX,
            settings: digest(&[1, 2, 3, 4]),
            bytes: 5_000,
            packets: 50,
            drops: 7,
            overlimits: 9,
            queued_packets: 3,
            queued_bytes: 300,
        };
        assert_eq!(read(&answer(false)).as_ref(), Some(&expected));
        let many = QueueStatistics {
            packets: 1 << 40,
            ..expected
        };
        assert_eq!(read(&answer(true)), Some(many));
    }

    #[test]
    fn short_answers_are_refused() {
        let whole = answer(false);
        assert_eq!(read(&whole[..HEADER - 1]), None);
        assert_eq!(read(&whole[..HEADER]), None);
    }
}
