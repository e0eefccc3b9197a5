//! When to look for agents under the rendezvous: regularly, and soon after the Kademlia table has grown.

use std::time::Duration;
use tokio::time::Instant;

/// A new table entry is followed by a look-up after this, so that several entries share one.
const SOON: Duration = Duration::from_secs(2);
/// While entries keep coming the wait doubles from look-up to look-up, up to this: of fifty agents that start together,
/// each would ask again and again.
const LATEST: Duration = Duration::from_secs(8);

/// The times of the look-ups.
#[derive(Debug)]
pub(super) struct Lookups {
    pause: Duration,
    next: Instant,
    soon: Duration,
    hastened: bool,
}

impl Lookups {
    /// One every `pause`, unless there is a reason for more.
    pub(super) fn new(pause: Duration, now: Instant) -> Self {
        Self {
            pause,
            next: now + pause,
            soon: SOON,
            hastened: false,
        }
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// One begins.
    pub(super) fn begun(&mut self, now: Instant) {
        self.soon = if self.hastened {
            (self.soon * 2).min(LATEST)
        } else {
            SOON
        };
        self.hastened = false;
        self.next = now + self.pause;
    }

    /// The table has a new entry.
    pub(super) fn hasten(&mut self, now: Instant) {
        if now + self.soon < self.next {
            self.next = now + self.soon;
            self.hastened = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_entries_come_the_longer_they_are_gathered() {
        let mut now = Instant::now();
        let mut lookups = Lookups::new(Duration::from_secs(60), now);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            lookups.hasten(now);
            lookups.hasten(now + Duration::from_millis(500));
            pauses.push((lookups.next() - now).as_secs());
            now = lookups.next();
            lookups.begun(now);
        }
        assert_eq!(pauses, [2, 4, 8, 8]);
        assert_eq!(lookups.next() - now, Duration::from_secs(60), "nothing is new");
        now = lookups.next();
        lookups.begun(now);
        lookups.hasten(now);
        assert_eq!(lookups.next() - now, SOON);
    }

    #[test]
    fn a_short_pause_stays_as_short() {
        let now = Instant::now();
        let mut lookups = Lookups::new(Duration::from_secs(1), now);
        lookups.hasten(now);
        assert_eq!(lookups.next() - now, Duration::from_secs(1));
    }
}
