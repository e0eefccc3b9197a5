//! When the steps of a strategy happen.
//!
//! Both phases are aligned on whole multiples of the period since the Unix epoch, so that nodes whose clocks agree act
//! at the same instant.

use std::time::Duration;

/// What happens at an instant. Of several at the same instant, the order here is the order of execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tick {
    /// Measure, compute limits, publish.
    Step1,
    /// The window over which the next step 1 measures begins.
    WindowBegins,
    /// Compute weights and apply them.
    Step2,
}

/// The instants of all ticks. Times are since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    period: Duration,
    window: Duration,
}

impl Schedule {
    /// A schedule of period `period` whose rate window is `window` long, at most one period.
    #[must_use]
    pub fn new(period: Duration, window: Duration) -> Self {
        Self {
            period,
            window: window.min(period),
        }
    }

    /// The first tick after `(time, tick)`.
    #[must_use]
    pub fn after(&self, time: Duration, tick: Tick) -> (Duration, Tick) {
        let candidates = [
            (Duration::ZERO, Tick::Step1),
            (self.period - self.window, Tick::WindowBegins),
            (self.period / 2, Tick::Step2),
        ];
        let next = candidates.map(|(offset, candidate)| {
            let at_once = candidate > tick;
            (self.next_instant(time, offset, at_once), candidate)
        });
        next.into_iter()
            .min()
            .unwrap_or((time + self.period, Tick::Step1))
    }

    /// The first instant ≡ `offset` (mod period) after `time`, or at `time` itself when `inclusive`.
    fn next_instant(&self, time: Duration, offset: Duration, inclusive: bool) -> Duration {
        let period = self.period.as_nanos();
        let offset = offset.as_nanos() % period;
        let now = time.as_nanos();
        let distance = (offset + period - now % period) % period;
        let distance = if distance == 0 && !inclusive {
            period
        } else {
            distance
        };
        time + Duration::from_nanos(u64::try_from(distance).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticks(schedule: Schedule, from: u64, count: usize) -> Vec<(f64, Tick)> {
        let mut at = (Duration::from_secs(from), Tick::Step2);
        let mut all = Vec::new();
        for _ in 0..count {
            at = schedule.after(at.0, at.1);
            all.push((at.0.as_secs_f64(), at.1));
        }
        all
    }

    #[test]
    fn half_a_period_of_window_begins_with_step_two() {
        let schedule = Schedule::new(Duration::from_secs(60), Duration::from_secs(30));
        let expected = [
            (1020.0, Tick::Step1),
            (1050.0, Tick::WindowBegins),
            (1050.0, Tick::Step2),
            (1080.0, Tick::Step1),
        ];
        assert_eq!(ticks(schedule, 1000, 4), expected);
    }

    #[test]
    fn a_whole_period_of_window_begins_after_the_measurement() {
        let schedule = Schedule::new(Duration::from_secs(5), Duration::from_secs(5));
        let expected = [
            (1002.5, Tick::Step2),
            (1005.0, Tick::Step1),
            (1005.0, Tick::WindowBegins),
            (1007.5, Tick::Step2),
        ];
        assert_eq!(ticks(schedule, 1000, 4), expected);
    }

    proptest! {
        #[test]
        fn never_stands_still_and_never_skips_a_period(
            period in 1u64..100_000, window in 0u64..100_000, now in 0u64..4_000_000_000_000,
        ) {
            let schedule = Schedule::new(Duration::from_millis(period), Duration::from_millis(window.min(period)));
            let mut at = (Duration::from_millis(now), Tick::Step2);
            for _ in 0..10 {
                let next = schedule.after(at.0, at.1);
                prop_assert!(next > at);
                prop_assert!(next.0 - at.0 <= Duration::from_millis(period));
                at = next;
            }
        }
    }
}
