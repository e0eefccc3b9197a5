//! Delay and jitter. Packets keep their order: none is due before the one ahead of it.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Departure, Nanoseconds, Packet};
use crate::random::Stream;
use crate::{Impairment, JitterDistribution};

/// The delay stage: a line of packets, each with the moment it is due.
#[derive(Debug)]
pub(super) struct Delay {
    line: VecDeque<Departure>,
    delay: Nanoseconds,
    jitter: Nanoseconds,
    distribution: JitterDistribution,
    last_due: Nanoseconds,
    stream: Stream,
}

impl Delay {
    pub(super) fn new(stream: Stream) -> Delay {
        Delay {
            line: VecDeque::new(),
            delay: 0,
            jitter: 0,
            distribution: JitterDistribution::default(),
            last_due: 0,
            stream,
        }
    }

    pub(super) fn set(&mut self, impairment: &Impairment) {
        self.delay = nanoseconds(impairment.delay);
        self.jitter = nanoseconds(impairment.jitter);
        self.distribution = impairment.jitter_distribution;
    }

    pub(super) fn has_jitter(&self) -> bool {
        self.jitter > 0
    }

    /// The shortest delay a packet may get.
    pub(super) fn least(&self) -> Nanoseconds {
        let deepest = match self.distribution {
            JitterDistribution::Uniform => self.jitter,
            JitterDistribution::Normal => self.jitter.saturating_mul(4),
        };
        self.delay.saturating_sub(deepest)
    }

    /// What jitter adds to the delay of packet `index`.
    pub(super) fn jitter(&mut self, index: u64) -> i64 {
        if self.jitter == 0 {
            return 0;
        }
        let deviation = match self.distribution {
            JitterDistribution::Uniform => self.stream.fraction(index) * 2.0 - 1.0,
            JitterDistribution::Normal => self.stream.normal(index),
        };
        (deviation * self.jitter as f64).round() as i64
    }

    /// When a packet that comes from the stage before at `from` is due.
    pub(super) fn due(&self, from: Nanoseconds, packet: &Packet) -> Nanoseconds {
        let delay = self.delay.saturating_add_signed(packet.jitter);
        from.saturating_add(delay).max(self.last_due)
    }

    pub(super) fn push(&mut self, from: Nanoseconds, packet: Packet) {
        let due = self.due(from, &packet);
        self.last_due = due;
        self.line.push_back(Departure { due, packet });
    }

    pub(super) fn next_due(&self) -> Option<Nanoseconds> {
        self.line.front().map(|departure| departure.due)
    }

    pub(super) fn take_due(&mut self, now: Nanoseconds) -> Option<Departure> {
        if self.next_due()? > now {
            return None;
        }
        self.line.pop_front()
    }
}

fn nanoseconds(duration: Duration) -> Nanoseconds {
    Nanoseconds::try_from(duration.as_nanos()).unwrap_or(Nanoseconds::MAX)
}
