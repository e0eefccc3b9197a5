//! Where a replay has got to.

use std::sync::Arc;
use std::time::Duration;

use super::{Nanoseconds, nanoseconds};
use crate::ReplayStep;

/// Plays the steps of a replay, in a loop.
#[derive(Debug)]
pub(super) struct Player {
    steps: Arc<[ReplayStep]>,
    period: Nanoseconds,
    origin: Nanoseconds,
    /// Number of the next step, counted on from period to period.
    next: u64,
}

impl Player {
    pub(super) fn new(steps: Arc<[ReplayStep]>, period: Nanoseconds, origin: Nanoseconds) -> Player {
        Player {
            steps,
            period: period.max(1),
            origin,
            next: 0,
        }
    }

    /// The shortest delay of all steps; that of the link is `own`.
    pub(super) fn shortest_delay(&self, own: Duration) -> Duration {
        let delays = self.steps.iter().map(|step| step.delay.unwrap_or(own));
        delays.min().unwrap_or(own)
    }

    /// When the next step is due.
    pub(super) fn next_at(&self) -> Nanoseconds {
        let count = self.steps.len().max(1) as u64;
        let at = self
            .steps
            .get((self.next % count) as usize)
            .map_or(0, |step| nanoseconds(step.at));
        let round = (self.next / count).saturating_mul(self.period);
        self.origin.saturating_add(round).saturating_add(at)
    }

    /// Passes over all steps due by `now` but the last one.
    pub(super) fn skip_to(&mut self, now: Nanoseconds) {
        let elapsed = now.saturating_sub(self.origin);
        let within = elapsed % self.period;
        let passed = self.steps.partition_point(|step| nanoseconds(step.at) <= within) as u64;
        let due = (elapsed / self.period) * self.steps.len() as u64 + passed;
        self.next = self.next.max(due.saturating_sub(1));
    }

    /// The step taken last; that of the beginning if none was.
    pub(super) fn again(&mut self) -> ReplayStep {
        self.next = self.next.saturating_sub(1);
        self.take()
    }

    /// Takes the next step.
    pub(super) fn take(&mut self) -> ReplayStep {
        let count = self.steps.len().max(1) as u64;
        let step = self
            .steps
            .get((self.next % count) as usize)
            .copied()
            .unwrap_or_default();
        self.next += 1;
        step
    }
}
