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
        let next = schedule.after(since_epoch(), Tick::Step2);
        Self {
            schedule,
            period,
            next,
            started: Instant::now(),
        }
    }

    /// A clock that never jumps, for ages and rates.
    pub(super) fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends when the next tick is due.
    pub(super) async fn wait(&self) {
        let remaining = self.next.0.saturating_sub(since_epoch());
        // A wall clock set back must not stop the strategy for longer than a period.
        tokio::time::sleep(remaining.min(self.period)).await;
    }

    /// The tick that is due, if any, and steps on to the next.
    pub(super) fn take(&mut self) -> Option<Tick> {
        let now = since_epoch();
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
