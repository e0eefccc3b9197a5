//! The queues of one interface, and the requests that change them while packets wait.

use crate::netlink::Request;
use crate::queues::Egress;
use crate::tc::leaf::{self, Leaf};
use crate::tc::netem::{self, Emulator};
use crate::tc::{Place, ROOT, remove_queue, tbf};

/// netem as the interface's queue.
const EMULATOR: Place = Place {
    parent: ROOT,
    handle: 1 << 16,
};
/// A token bucket as the interface's queue.
const BUCKET: Place = Place {
    parent: ROOT,
    handle: 2 << 16,
};
/// A token bucket inside netem, whose only class is 1:1.
const INNER_BUCKET: Place = Place {
    parent: (1 << 16) + 1,
    handle: 3 << 16,
};

/// Which queues an interface has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Installed {
    emulator: bool,
    /// Whether the emulator has ever got a table of deviations.
    table: bool,
    bucket: bool,
    /// What is in the bucket, if that is not its own.
    leaf: Option<u32>,
}

impl Installed {
    /// What there is once the requests of [`changes`] are done.
    pub(crate) fn after(self, queues: &Egress) -> Self {
        let emulator = queues.emulator.as_ref();
        let leaf = queues.bucket.as_ref().and_then(|(_, leaf)| match leaf {
            Leaf::Bytes => self.kept_leaf(queues).map(|_| leaf.handle()),
            _ => Some(leaf.handle()),
        });
        Self {
            emulator: emulator.is_some(),
            table: emulator.is_some_and(|emulator| (self.emulator && self.table) || emulator.table.is_some()),
            bucket: queues.bucket.is_some(),
            leaf,
        }
    }

    /// What is in the bucket and stays there, as the bucket itself stays.
    fn kept_leaf(self, queues: &Egress) -> Option<u32> {
        let stays = self.bucket && queues.bucket.is_some() && self.emulator == queues.emulator.is_some();
        self.leaf.filter(|_| stays)
    }
}

/// The requests that lead from the queues of an interface to those wanted. `name` is the midpoint's, for messages.
pub(crate) fn changes(before: Installed, queues: &Egress, index: u32, name: &str) -> Vec<Request> {
    let mut requests = Vec::new();
    if let Some(emulator) = &queues.emulator {
        let operation = format!("set delay and loss of midpoint `{name}`");
        let had_table = before.emulator && before.table && emulator.table.is_none();
        let emulator = if had_table {
            &Emulator {
                table: Some(netem::even_table()),
                ..emulator.clone()
            }
        } else {
            emulator
        };
        requests.push(netem::put(index, EMULATOR, emulator, operation));
    }
    if let Some((bucket, inside)) = &queues.bucket {
        let place = if queues.emulator.is_some() {
            INNER_BUCKET
        } else {
            BUCKET
        };
        let operation = format!("set rate of midpoint `{name}`");
        requests.push(tbf::put(index, place, bucket, operation));
        // A change of the bucket writes its limit in bytes to what is inside, so this comes afterwards. Its own queue needs nothing.
        if *inside != Leaf::Bytes || before.kept_leaf(queues).is_some() {
            let operation = format!("set queue of midpoint `{name}`");
            requests.push(leaf::put(
                index,
                place.handle + 1,
                *inside,
                bucket.limit,
                operation,
            ));
        }
    }
    requests.extend(removal(before, queues, index, name));
    requests
}

/// What is not needed any more and not replaced by something else either.
fn removal(before: Installed, queues: &Egress, index: u32, name: &str) -> Option<Request> {
    match (queues.emulator.is_some(), queues.bucket.is_some()) {
        (true, false) if before.emulator && before.bucket => {
            let operation = format!("remove rate of midpoint `{name}`");
            Some(remove_queue(index, INNER_BUCKET, operation))
        }
        (false, false) if before.emulator || before.bucket => {
            let place = if before.emulator { EMULATOR } else { BUCKET };
            let operation = format!("remove impairments of midpoint `{name}`");
            Some(remove_queue(index, place, operation))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::attribute::read_u32;
    use crate::impairment::{KernelImpairment, KernelQueue};

    const PUT: u16 = 36;
    const REMOVE: u16 = 37;

    fn egress(emulator: bool, bucket: bool, queue: KernelQueue) -> Egress {
        let impairment = KernelImpairment {
            delay: Duration::from_millis(u64::from(emulator)),
            rate: bucket.then_some(1_000_000),
            queue,
            ..KernelImpairment::default()
        };
        impairment.queues("m0", 1500).unwrap().midpoint
    }

    /// (message type, parent, handle) of every request.
    fn requests(before: Installed, egress: &Egress) -> Vec<(u16, u32, u32)> {
        let read = |request: &Request| {
            let (kind, _, body) = request.parts();
            (kind, read_u32(body, 12).unwrap(), read_u32(body, 8).unwrap())
        };
        changes(before, egress, 100, "m0").iter().map(read).collect()
    }

    fn summary(before: [bool; 2], after: [bool; 2]) -> Vec<(u16, u32, u32)> {
        let before = Installed {
            emulator: before[0],
            bucket: before[1],
            ..Installed::default()
        };
        requests(before, &egress(after[0], after[1], KernelQueue::Standard))
    }

    #[test]
    fn the_same_kinds_are_changed_in_place() {
        for before in [[true, true], [false, false], [true, false], [false, true]] {
            let both = [(PUT, ROOT, 0x1_0000), (PUT, 0x1_0001, 0x3_0000)];
            assert_eq!(summary(before, [true, true]), both);
        }
        assert_eq!(summary([false, true], [false, true]), [(PUT, ROOT, 0x2_0000)]);
        assert_eq!(summary([true, false], [true, false]), [(PUT, ROOT, 0x1_0000)]);
    }

    #[test]
    fn what_is_not_needed_goes() {
        let without_rate = [(PUT, ROOT, 0x1_0000), (REMOVE, 0x1_0001, 0x3_0000)];
        assert_eq!(summary([true, true], [true, false]), without_rate);
        assert_eq!(summary([true, true], [false, false]), [(REMOVE, ROOT, 0x1_0000)]);
        assert_eq!(summary([false, true], [false, false]), [(REMOVE, ROOT, 0x2_0000)]);
        assert_eq!(summary([false, false], [false, false]), []);
    }

    #[test]
    fn one_root_is_exchanged_for_the_other() {
        assert_eq!(summary([true, true], [false, true]), [(PUT, ROOT, 0x2_0000)]);
        assert_eq!(summary([false, true], [true, false]), [(PUT, ROOT, 0x1_0000)]);
    }

    #[test]
    fn a_queue_of_another_kind_is_put_inside_and_taken_back() {
        let packets = egress(false, true, KernelQueue::Packets(9));
        let bytes = egress(false, true, KernelQueue::Bytes(90_000));
        let bucket = (PUT, ROOT, 0x2_0000);
        let inside = |handle| (PUT, 0x2_0001, handle);
        let none = Installed::default();
        assert_eq!(requests(none, &packets), [bucket, inside(0x4_0000)]);
        let with_packets = none.after(&packets);
        assert_eq!(requests(with_packets, &bytes), [bucket, inside(0x6_0000)]);
        let with_bytes = with_packets.after(&bytes);
        assert_eq!(requests(with_bytes, &bytes), [bucket, inside(0x6_0000)]);
        assert_eq!(requests(none.after(&bytes), &bytes), [bucket]);
        // A bucket of another place is a new one, with a queue of its own.
        let delayed = egress(true, true, KernelQueue::Bytes(90_000));
        let emulator = (PUT, ROOT, 0x1_0000);
        assert_eq!(
            requests(with_packets, &delayed),
            [emulator, (PUT, 0x1_0001, 0x3_0000)]
        );
    }

    #[test]
    fn a_table_is_followed_by_the_even_one() {
        let mut spread = egress(true, false, KernelQueue::Standard);
        spread.emulator.as_mut().unwrap().table = Some([1, 2].into());
        let plain = egress(true, false, KernelQueue::Standard);
        let length = |before, egress: &Egress| changes(before, egress, 100, "m0")[0].parts().2.len();
        let none = Installed::default();
        let without = length(none, &plain);
        assert!(length(none.after(&spread), &plain) > without + 8000);
        assert!(length(none.after(&spread).after(&plain), &plain) > without + 8000);
        assert_eq!(length(none.after(&plain), &plain), without);
    }
}
