//! CoDel: drops (or marks) a packet now and then while packets wait for too long (RFC 8289).

use super::Nanoseconds;

/// How long packets may wait without end (RFC 8289 §4.4).
const TARGET: Nanoseconds = 5_000_000;
/// How long they may wait for longer; the order of the slowest round trip (RFC 8289 §4.3).
const INTERVAL: Nanoseconds = 100_000_000;

/// The state of one queue; names are those of the pseudocode in RFC 8289 §5.
#[derive(Debug, Default)]
pub(super) struct Codel {
    first_above_time: Option<Nanoseconds>,
    dropping: bool,
    drop_next: Nanoseconds,
    count: u32,
    last_count: u32,
    largest: u64,
}

impl Codel {
    /// Whether a packet of `size` bytes that leaves the queue at `now` after `waited` should be dropped; `behind` bytes
    /// wait behind it.
    pub(super) fn takes(&mut self, now: Nanoseconds, waited: Nanoseconds, size: u64, behind: u64) -> bool {
        self.largest = self.largest.max(size);
        let is_above = self.is_above_for_long(now, waited, behind);
        if self.dropping {
            self.dropping = is_above;
            if !is_above || now < self.drop_next {
                return false;
            }
            self.count += 1;
            self.drop_next = control_law(self.drop_next, self.count);
            return true;
        }
        if !is_above {
            return false;
        }
        self.dropping = true;
        // Soon after the last time, it goes on from where that had got to.
        let delta = self.count.saturating_sub(self.last_count);
        let is_recent = now.saturating_sub(self.drop_next) < 16 * INTERVAL;
        self.count = if delta > 1 && is_recent { delta } else { 1 };
        self.drop_next = control_law(now, self.count);
        self.last_count = self.count;
        true
    }

    /// The queue is empty.
    pub(super) fn rest(&mut self) {
        self.first_above_time = None;
        self.dropping = false;
    }

    fn is_above_for_long(&mut self, now: Nanoseconds, waited: Nanoseconds, behind: u64) -> bool {
        if waited < TARGET || behind <= self.largest {
            self.first_above_time = None;
            return false;
        }
        now >= *self.first_above_time.get_or_insert(now.saturating_add(INTERVAL))
    }
}

fn control_law(time: Nanoseconds, count: u32) -> Nanoseconds {
    time.saturating_add((INTERVAL as f64 / f64::from(count).sqrt()) as Nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Nanoseconds = 1_000_000;

    /// Times at which packets of 1000 bytes are dropped that leave every millisecond after `waited`.
    fn drops(codel: &mut Codel, from: u64, until: u64, waited: Nanoseconds, behind: u64) -> Vec<u64> {
        (from..until)
            .filter(|&time| codel.takes(time * MILLISECOND, waited, 1000, behind))
            .collect()
    }

    #[test]
    fn short_waits_and_short_queues_are_left_alone() {
        let mut codel = Codel::default();
        assert!(drops(&mut codel, 0, 1000, TARGET - 1, 1 << 20).is_empty());
        assert!(drops(&mut codel, 1000, 2000, SECOND, 1000).is_empty());
        // Long waits for less than an interval.
        assert!(drops(&mut codel, 2000, 2099, SECOND, 1 << 20).is_empty());
        codel.rest();
        assert!(drops(&mut codel, 2099, 2190, SECOND, 1 << 20).is_empty());
    }

    const SECOND: Nanoseconds = 1000 * MILLISECOND;

    #[test]
    fn drops_come_faster_by_the_root_of_their_number() {
        let mut codel = Codel::default();
        // 100, then 100 / sqrt(n) later each: 200, 270.7, 328.4, 378.4, 423.1; the next whole millisecond.
        let times = drops(&mut codel, 0, 430, 20 * MILLISECOND, 1 << 20);
        assert_eq!(times, [100, 200, 271, 329, 379, 424]);
    }

    #[test]
    fn it_goes_on_where_it_was_when_the_queue_builds_up_again_soon() {
        let mut codel = Codel::default();
        assert_eq!(drops(&mut codel, 0, 430, 20 * MILLISECOND, 1 << 20).len(), 6);
        assert!(drops(&mut codel, 430, 440, MILLISECOND, 1 << 20).is_empty());
        let again = drops(&mut codel, 440, 640, 20 * MILLISECOND, 1 << 20);
        // The first after an interval, the next a fifth root's interval later instead of a whole one.
        assert_eq!(again, [540, 585, 626]);
    }
}
