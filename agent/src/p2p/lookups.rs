//! When to look for agents under the rendezvous: regularly, and soon after the Kademlia table has grown.

use std::time::Duration;
use tokio::time::Instant;

/// A new table entry is followed by a look-up after this, so that several entries share one.
const SOON: Duration = Duration::from_secs(2);
/// While entries keep coming the look-up waits for the last of them, up to this: of fifty agents that start together,
/// each would ask again and again.
const LATEST: Duration = Duration::from_secs(4);

/// The times of the look-ups.
#[derive(Debug)]
pub(super) struct Lookups {
    pause: Duration,
    regular: Instant,
    hastened: Option<Hastened>,
}

#[derive(Clone, Copy, Debug)]
struct Hastened {
    next: Instant,
    latest: Instant,
}

impl Lookups {
    /// One every `pause`, unless there is a reason for more.
    pub(super) fn new(pause: Duration, now: Instant) -> Self {
        Self {
            pause,
            regular: now + pause,
            hastened: None,
        }
    }

    pub(super) fn next(&self) -> Instant {
        self.hastened
            .map_or(self.regular, |hastened| hastened.next.min(self.regular))
    }

    /// One begins.
    pub(super) fn begun(&mut self, now: Instant) {
        self.hastened = None;
        self.regular = now + self.pause;
    }

    /// The table has a new entry.
    pub(super) fn hasten(&mut self, now: Instant) {
        let latest = self.hastened.map_or(now + LATEST, |hastened| hastened.latest);
        let next = latest.min(now + SOON);
        self.hastened = Some(Hastened { next, latest });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_come_together_share_a_look_up() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut lookups = Lookups::new(60 * second, begin);
        lookups.hasten(begin);
        assert_eq!(lookups.next(), begin + SOON);
        lookups.hasten(begin + second);
        assert_eq!(lookups.next(), begin + second + SOON, "it waits for another");
        lookups.begun(lookups.next());
        assert_eq!(
            lookups.next(),
            begin + second + SOON + 60 * second,
            "nothing is new"
        );
    }

    #[test]
    fn entries_that_never_end_do_not_put_it_off_for_ever() {
        let begin = Instant::now();
        let mut lookups = Lookups::new(Duration::from_secs(60), begin);
        let mut now = begin;
        while now < lookups.next() {
            lookups.hasten(now);
            now += Duration::from_millis(500);
        }
        assert_eq!(lookups.next(), begin + LATEST);
    }

    #[test]
    fn a_short_pause_stays_as_short() {
        let now = Instant::now();
        let mut lookups = Lookups::new(Duration::from_secs(1), now);
        lookups.hasten(now);
        assert_eq!(lookups.next() - now, Duration::from_secs(1));
    }
}
