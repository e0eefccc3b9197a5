//! What waits inside a token bucket: bytes, packets, or CoDel.

use super::{Place, TCA_OPTIONS, put_queue};
use crate::netlink::Request;

// From linux/pkt_sched.h.
const TCA_CODEL_TARGET: u16 = 1;
const TCA_CODEL_LIMIT: u16 = 2;
const TCA_CODEL_INTERVAL: u16 = 3;
const TCA_CODEL_ECN: u16 = 4;
/// RFC 8289, section 4.2 and 4.3, in microseconds: how long packets may wait, and how long before they are dropped.
const TARGET: u32 = 5_000;
const INTERVAL: u32 = 100_000;

/// The innermost queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// As many bytes as the bucket's limit says: the queue that every bucket has from the start.
    Bytes,
    /// So many packets.
    Packets(u32),
    /// So many packets, of which CoDel drops (or marks) those that wait for long.
    Codel {
        /// The most packets.
        packets: u32,
        /// Marks what can be marked.
        ecn: bool,
    },
}

impl Leaf {
    /// Its number: one for each kind, since the kernel exchanges queues only for those of another number.
    pub(crate) fn handle(self) -> u32 {
        match self {
            Self::Packets(_) => 4 << 16,
            Self::Codel { .. } => 5 << 16,
            Self::Bytes => 6 << 16,
        }
    }
}

/// Creates the queue or changes its parameters; packets in it stay. `bytes` is the limit of [`Leaf::Bytes`].
pub(crate) fn put(index: u32, parent: u32, leaf: Leaf, bytes: u32, operation: String) -> Request {
    let place = Place {
        parent,
        handle: leaf.handle(),
    };
    match leaf {
        Leaf::Bytes => put_fifo(index, place, "bfifo", bytes, operation),
        Leaf::Packets(packets) => put_fifo(index, place, "pfifo", packets, operation),
        Leaf::Codel { packets, ecn } => put_codel(index, place, packets, ecn, operation),
    }
}

/// Options are `struct tc_fifo_qopt`: the limit alone.
fn put_fifo(index: u32, place: Place, kind: &str, limit: u32, operation: String) -> Request {
    put_queue(
        index,
        place,
        kind,
        |attributes| attributes.put(TCA_OPTIONS, &limit.to_ne_bytes()),
        operation,
    )
}

fn put_codel(index: u32, place: Place, packets: u32, ecn: bool, operation: String) -> Request {
    let fill = |attributes: &mut crate::attribute::Attributes| {
        attributes.nest(TCA_OPTIONS, |options| {
            options.put(TCA_CODEL_LIMIT, &packets.to_ne_bytes());
            options.put(TCA_CODEL_INTERVAL, &INTERVAL.to_ne_bytes());
            options.put(TCA_CODEL_TARGET, &TARGET.to_ne_bytes());
            options.put(TCA_CODEL_ECN, &u32::from(ecn).to_ne_bytes());
        });
    };
    put_queue(index, place, "codel", fill, operation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tc::captured::Captured;

    #[test]
    fn each_kind_is_what_tc_sends() {
        let codel = |ecn| Leaf::Codel { packets: 1000, ecn };
        for (leaf, handle, rest) in [
            (Leaf::Packets(100), 4, "pfifo limit 100"),
            (Leaf::Bytes, 6, "bfifo limit 150000"),
            (
                codel(false),
                5,
                "codel limit 1000 target 5ms interval 100ms noecn",
            ),
            (codel(true), 5, "codel limit 1000 target 5ms interval 100ms ecn"),
        ] {
            let command = format!("tc qdisc replace dev mb parent 3:1 handle {handle}: {rest}");
            let captured = Captured::of(&command);
            let request = put(2, (3 << 16) + 1, leaf, 150_000, String::new());
            let (kind, flags, body) = request.parts();
            assert_eq!((kind, flags), (captured.kind, captured.flags));
            assert_eq!(body, captured.body, "{command}");
        }
    }
}
