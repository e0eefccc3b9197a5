//! Doing something soon, but not again and again.

use std::time::Duration;
use tokio::time::Instant;

/// After this long without it, the pause is short again.
const CALM: Duration = Duration::from_secs(15);

/// The pause after something, which grows while it keeps being done.
#[derive(Debug)]
pub(super) struct Pace {
    shortest: Duration,
    longest: Duration,
    pause: Duration,
    last: Option<Instant>,
}

impl Pace {
    /// Pauses from the shortest to the longest, each twice the one before.
    pub(super) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest,
            pause: shortest,
            last: None,
        }
    }

    /// When it may be done that is wished for at `wished`.
    pub(super) fn soonest(&self, wished: Instant) -> Instant {
        self.last.map_or(wished, |last| wished.max(last + self.pause))
    }

    /// It is done now.
    pub(super) fn done(&mut self, now: Instant) {
        let busy = self.last.is_some_and(|last| now - last < CALM);
        self.pause = if busy {
            (self.pause * 2).min(self.longest)
        } else {
            self.shortest
        };
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_often_the_longer_the_pause_until_it_is_calm() {
        let (shortest, longest) = (Duration::from_millis(500), Duration::from_secs(4));
        let mut pace = Pace::new(shortest, longest);
        let mut now = Instant::now();
        assert_eq!(pace.soonest(now), now, "the first time at once");
        let mut pauses = Vec::new();
        for _ in 0..6 {
            pace.done(now);
            pauses.push((pace.soonest(now) - now).as_millis());
            now = pace.soonest(now);
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 4000, 4000]);
        now += CALM;
        assert_eq!(pace.soonest(now), now);
        pace.done(now);
        assert_eq!(pace.soonest(now), now + shortest);
    }
}
