//! Delay. Packets keep their order, unless one is to overtake or jitter need not keep it.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::jitter;
use super::{Departure, Nanoseconds, Packet, nanoseconds};
use crate::Impairment;

/// The delay stage.
#[derive(Debug, Default)]
pub(super) struct Delay {
    /// Packets in the order they came, which is that of their times.
    line: VecDeque<Departure>,
    /// Packets that are due before the last one of the line was.
    overtaking: BinaryHeap<Earliest>,
    delay: Nanoseconds,
    keeps_order: bool,
    has_overtaking: bool,
    /// When the last packet of the line is due.
    last_due: Nanoseconds,
    /// Packets that were ever pushed.
    count: u64,
}

/// The shortest delay a packet may get when that of the link is `delay`.
pub(super) fn least(impairment: &Impairment, delay: Duration) -> Nanoseconds {
    match impairment.reorder > 0.0 {
        true => 0,
        false => nanoseconds(delay).saturating_add_signed(jitter::lowest(impairment)),
    }
}

/// A packet that overtakes; the greatest is the one due first, and of those due at once the one that came first.
#[derive(Debug)]
struct Earliest {
    departure: Departure,
    number: u64,
}

impl Ord for Earliest {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.departure.due, other.number).cmp(&(self.departure.due, self.number))
    }
}

impl PartialOrd for Earliest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Earliest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Earliest {}

impl Delay {
    /// `waiting`: packets are on their way to this stage, and some may have been chosen to overtake already.
    pub(super) fn set(&mut self, impairment: &Impairment, waiting: bool) {
        self.delay = nanoseconds(impairment.delay);
        self.keeps_order = impairment.ordered;
        self.has_overtaking = impairment.reorder > 0.0 || (waiting && self.has_overtaking);
    }

    /// Whether a packet may be due before one that came to this stage earlier.
    pub(super) fn may_overtake(&self) -> bool {
        self.has_overtaking || !self.keeps_order
    }

    /// When a packet that comes from the stage before at `from` is due.
    pub(super) fn due(&self, from: Nanoseconds, packet: &Packet) -> Nanoseconds {
        if packet.fate.overtakes {
            return from;
        }
        let delay = self.delay.saturating_add_signed(packet.fate.jitter);
        let due = from.saturating_add(delay);
        if self.keeps_order {
            due.max(self.last_due)
        } else {
            due
        }
    }

    pub(super) fn push(&mut self, from: Nanoseconds, packet: Packet) {
        let due = self.due(from, &packet);
        let departure = Departure { due, packet };
        self.count += 1;
        if due >= self.last_due {
            self.last_due = due;
            self.line.push_back(departure);
        } else {
            let number = self.count;
            self.overtaking.push(Earliest { departure, number });
        }
    }

    pub(super) fn next_due(&self) -> Option<Nanoseconds> {
        let line = self.line.front().map(|departure| departure.due);
        let overtaking = self.overtaking.peek().map(|earliest| earliest.departure.due);
        line.into_iter().chain(overtaking).min()
    }

    pub(super) fn take_due(&mut self, now: Nanoseconds) -> Option<Departure> {
        let next = self.next_due().filter(|&due| due <= now)?;
        if self
            .overtaking
            .peek()
            .is_some_and(|earliest| earliest.departure.due == next)
        {
            return self.overtaking.pop().map(|earliest| earliest.departure);
        }
        self.line.pop_front()
    }
}
