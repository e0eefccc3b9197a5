//! The engine's clock, and the way from the kernel's time stamps to it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::path::Nanoseconds;

/// A stamp older than this is not believed: the wall clock was set, or the machine was asleep.
const OLDEST_STAMP: Duration = Duration::from_secs(1);

/// Nanoseconds since the engine started, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Nanoseconds {
        Nanoseconds::try_from(self.start.elapsed().as_nanos()).unwrap_or(Nanoseconds::MAX)
    }

    /// Both clocks at one moment, to turn time stamps of the wall clock into times of this one.
    pub(super) fn moment(&self) -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment {
            wall,
            now: self.now(),
        }
    }
}

/// A moment on the wall clock and on the engine's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    wall: Duration,
    now: Nanoseconds,
}

impl Moment {
    /// The engine's time for a stamp of the wall clock; now, if the stamp cannot be right.
    pub(super) fn time_of(&self, stamp: Duration) -> Nanoseconds {
        match self.wall.checked_sub(stamp) {
            Some(age) if age < OLDEST_STAMP => self.now.saturating_sub(age.as_nanos() as Nanoseconds),
            _ => self.now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_become_times_unless_the_wall_clock_jumped() {
        let moment = Moment {
            wall: Duration::from_secs(1000),
            now: 5_000_000,
        };
        assert_eq!(
            moment.time_of(Duration::from_secs(1000) - Duration::from_millis(2)),
            3_000_000
        );
        assert_eq!(
            moment.time_of(Duration::from_secs(1000) - Duration::from_millis(9)),
            0
        );
        assert_eq!(moment.time_of(Duration::from_secs(1001)), 5_000_000);
        assert_eq!(moment.time_of(Duration::ZERO), 5_000_000);
    }
}
