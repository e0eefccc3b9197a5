//! Waiting for the strategy's ticks, which are aligned on the wall clock.

use crate::strategy::{Schedule, Tick};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The next tick, and time since the start.
#[derive(Debug)]
pub(super) struct Clock {
    schedule: Schedule,
    period: Duration,
    next: (Duration, Tick),
    started: Instant,
}

impl Clock {
    pub(super) fn new(schedule: Schedule, period: Duration) -> Self {
        Self::at(schedule, period, since_epoch())
    }

    fn at(schedule: Schedule, period: Duration, now: Duration) -> Self {
        Self {
            schedule,
            period,
            next: schedule.after(now, Tick::Step2),
            started: Instant::now(),
        }
    }

    /// A clock that never jumps, for ages and rates.
    pub(super) fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends when the next tick is due.
    pub(super) async fn wait(&self) {
        tokio::time::sleep(self.remaining(since_epoch())).await;
    }

    fn remaining(&self, now: Duration) -> Duration {
        // A wall clock set back must not stop the strategy for longer than a period.
        self.next.0.saturating_sub(now).min(self.period)
    }

    /// The tick that is due, if any, and steps on to the next.
    pub(super) fn take(&mut self) -> Option<Tick> {
        self.due(since_epoch())
    }

    fn due(&mut self, now: Duration) -> Option<Tick> {
        if self.next.0 > now + self.period || now > self.next.0 + self.period {
            tracing::warn!(
                "the wall clock jumped, or this process was stopped; the strategy starts a new period"
            );
            self.next = self.schedule.after(now, Tick::Step2);
            return None;
        }
        if self.next.0 > now {
            return None;
        }
        let (time, tick) = self.next;
        self.next = self.schedule.after(time, tick);
        Some(tick)
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PERIOD: Duration = Duration::from_secs(10);

    fn clock(now: u64) -> Clock {
        let schedule = Schedule::new(PERIOD, PERIOD / 2);
        Clock::at(schedule, PERIOD, Duration::from_secs(now))
    }

    fn due(clock: &mut Clock, now: u64) -> Option<Tick> {
        clock.due(Duration::from_secs(now))
    }

    #[test]
    fn ticks_are_taken_one_by_one() {
        let mut clock = clock(1001);
        assert_eq!(clock.remaining(Duration::from_secs(1002)), Duration::from_secs(3));
        assert_eq!(due(&mut clock, 1004), None);
        assert_eq!(due(&mut clock, 1005), Some(Tick::WindowBegins));
        assert_eq!(due(&mut clock, 1005), Some(Tick::Step2));
        assert_eq!(due(&mut clock, 1005), None);
        // A little late is still in time.
        assert_eq!(due(&mut clock, 1012), Some(Tick::Step1));
    }

    #[test]
    fn a_clock_set_forward_skips_what_was_missed() {
        let mut clock = clock(1001);
        assert_eq!(due(&mut clock, 87_402), None, "no step for the past");
        assert_eq!(
            clock.remaining(Duration::from_secs(87_402)),
            Duration::from_secs(3)
        );
        assert_eq!(due(&mut clock, 87_405), Some(Tick::WindowBegins));
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_strategy() {
        let mut clock = clock(90_001);
        let back = Duration::from_secs(1002);
        assert_eq!(clock.remaining(back), PERIOD, "and then it is looked at again");
        assert_eq!(clock.due(back), None);
        assert_eq!(clock.remaining(back), Duration::from_secs(3));
        assert_eq!(due(&mut clock, 1005), Some(Tick::WindowBegins));
        assert_eq!(due(&mut clock, 0), None, "before the epoch there is nothing");
        assert!(clock.remaining(Duration::ZERO) <= PERIOD);
    }

    proptest! {
        /// Wherever the clock goes, the next tick is at most a period away as soon as it has been looked at.
        #[test]
        fn whatever_the_clock_does(nows in prop::collection::vec(0u64..4_000_000_000, 1..50)) {
            let mut clock = clock(1_700_000_000);
            for now in nows {
                for _ in 0..10 {
                    if due(&mut clock, now).is_none() {
                        break;
                    }
                }
                let now = Duration::from_secs(now);
                prop_assert!(clock.next.0 <= now + PERIOD, "{:?} at {now:?}", clock.next);
                prop_assert!(clock.remaining(now) <= PERIOD);
            }
        }
    }
}
