//! A queue that is emptied at given moments (packet-delivery traces).

use std::sync::Arc;

use super::Nanoseconds;
use crate::Playback;

const MILLISECOND: Nanoseconds = 1_000_000;

/// Moments at which some bytes may leave, in a loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deliveries {
    milliseconds: Arc<[u32]>,
    period: Nanoseconds,
    origin: Nanoseconds,
    /// The opportunity used last.
    used: Option<Position>,
}

/// An opportunity, counted on from period to period, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    number: u64,
    left: u64,
}

impl Deliveries {
    /// From `origin` on; `milliseconds` are in order and not empty.
    pub(super) fn new(milliseconds: Arc<[u32]>, period: Nanoseconds, origin: Nanoseconds) -> Deliveries {
        Deliveries {
            milliseconds,
            period: period.max(1),
            origin,
            used: None,
        }
    }

    /// Whether these are the same opportunities, however many of them are used.
    pub(super) fn is_part_of(&self, other: &Deliveries) -> bool {
        Arc::ptr_eq(&self.milliseconds, &other.milliseconds)
            && (self.period, self.origin) == (other.period, other.origin)
    }

    /// The rate in the long run, in bit/s of full Ethernet frames.
    pub(super) fn mean_rate(&self) -> u64 {
        const FULL_FRAME: u128 = 1514;
        let bits = self.milliseconds.len() as u128 * FULL_FRAME * 8 * 1_000_000_000;
        u64::try_from(bits / u128::from(self.period)).unwrap_or(u64::MAX)
    }

    /// When `bytes` have left that were the next in the queue at `start`.
    pub(super) fn end_of(&self, start: Nanoseconds, bytes: u64) -> Nanoseconds {
        self.time(self.after(start, bytes).number)
    }

    /// Takes note that they have.
    pub(super) fn sent(&mut self, start: Nanoseconds, bytes: u64) {
        self.used = Some(self.after(start, bytes));
    }

    fn after(&self, start: Nanoseconds, bytes: u64) -> Position {
        // What is left of an opportunity is for packets that wait at that moment.
        let going_on = self
            .used
            .filter(|used| used.left > 0 && self.time(used.number) >= start);
        let mut position = going_on.unwrap_or_else(|| Position {
            number: self
                .first_from(start)
                .max(self.used.map_or(0, |used| used.number + 1)),
            left: Playback::DELIVERY,
        });
        let mut needed = bytes;
        while needed > position.left {
            needed -= position.left;
            position = Position {
                number: position.number + 1,
                left: Playback::DELIVERY,
            };
        }
        position.left -= needed;
        position
    }

    fn time(&self, number: u64) -> Nanoseconds {
        let count = self.milliseconds.len().max(1) as u64;
        let within = self
            .milliseconds
            .get((number % count) as usize)
            .copied()
            .unwrap_or(0);
        let round = (number / count).saturating_mul(self.period);
        self.origin
            .saturating_add(round)
            .saturating_add(u64::from(within) * MILLISECOND)
    }

    /// The first opportunity that is not before a moment.
    fn first_from(&self, moment: Nanoseconds) -> u64 {
        let elapsed = moment.saturating_sub(self.origin);
        let (mut round, mut within) = (elapsed / self.period, elapsed % self.period);
        if within == 0 && round > 0 {
            // The last opportunity of a period may lie on its end.
            (round, within) = (round - 1, self.period);
        }
        let count = self.milliseconds.len() as u64;
        let before = |&time: &u32| u64::from(time) * MILLISECOND < within;
        round * count + self.milliseconds.partition_point(before) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliveries(milliseconds: &[u32], period: u64) -> Deliveries {
        Deliveries::new(milliseconds.into(), period * MILLISECOND, 0)
    }

    /// Sends packets of these sizes that all wait at `start`; when each has left, in milliseconds.
    fn send(deliveries: &mut Deliveries, start: u64, sizes: &[u64]) -> Vec<u64> {
        let mut start = start * MILLISECOND;
        let mut times = Vec::new();
        for &size in sizes {
            let end = deliveries.end_of(start, size);
            deliveries.sent(start, size);
            times.push(end / MILLISECOND);
            start = end;
        }
        times
    }

    #[test]
    fn each_opportunity_carries_a_full_packet_or_several_small_ones() {
        let mut deliveries = deliveries(&[1, 3, 3, 10], 10);
        assert_eq!(
            send(&mut deliveries, 0, &[1500, 500, 500, 500, 1500, 1500]),
            [1, 3, 3, 3, 3, 10]
        );
        // The next period: 11, 13, 13, 20. A packet of two opportunities leaves with the second.
        assert_eq!(send(&mut deliveries, 10, &[2000, 1000, 1]), [13, 13, 13]);
        assert_eq!(send(&mut deliveries, 14, &[1]), [20]);
    }

    #[test]
    fn what_finds_the_queue_empty_is_gone() {
        let mut deliveries = deliveries(&[1, 2, 3], 3);
        assert_eq!(send(&mut deliveries, 0, &[100]), [1]);
        // 1400 bytes were left at 1 ms, and all of the others.
        assert_eq!(send(&mut deliveries, 2, &[1500, 1500]), [2, 3]);
        assert_eq!(
            send(&mut deliveries, 3_000_000, &[1500, 1500]),
            [3_000_000, 3_000_001]
        );
        assert_eq!(deliveries.mean_rate(), 1514 * 8 * 1000);
    }

    #[test]
    fn opportunities_at_the_end_and_at_the_beginning_of_a_period_are_two() {
        let mut deliveries = deliveries(&[0, 5], 5);
        assert_eq!(send(&mut deliveries, 0, &[1500; 6]), [0, 5, 5, 10, 10, 15]);
    }
}
