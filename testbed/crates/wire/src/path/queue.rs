//! The queue before the rate: drop-tail limits, and CoDel where it is asked for.

use std::collections::VecDeque;

use super::codel::Codel;
use super::deliveries::Deliveries;
use super::pace::{Pace, time_to_send};
use super::{Nanoseconds, Packet};
use crate::edit::mark_congestion;
use crate::{Impairment, QueueDiscipline};

/// A packet in the queue.
#[derive(Debug)]
struct Waiting {
    packet: Packet,
    size: u64,
    since: Nanoseconds,
}

/// The way out of the first packet of the queue.
#[derive(Debug, Clone, Copy)]
struct Transmission {
    start: Nanoseconds,
    end: Nanoseconds,
}

/// The queue and rate stage.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pace: Pace,
    overhead: i32,
    limit_packets: u64,
    limit_bytes: u64,
    codel: Option<Codel>,
    marks: bool,
    waiting: VecDeque<Waiting>,
    /// Bytes of all packets that wait, the first included.
    backlog: u64,
    current: Option<Transmission>,
    /// When the last packet was away.
    free_at: Nanoseconds,
    /// What CoDel took out; to be taken away by [`Queue::take_dropped`].
    dropped: Vec<Packet>,
    /// Packets marked so far.
    marked: u64,
}

impl Queue {
    /// Changes rate (or, if given, delivery opportunities) and limits. What is left of the transmission under way
    /// continues at the new rate; packets beyond a smaller limit stay.
    pub(super) fn set(&mut self, now: Nanoseconds, impairment: &Impairment, deliveries: Option<&Deliveries>) {
        let pace = match (deliveries, &self.pace) {
            (None, before) => before.changed(now, impairment),
            // Those under way go on where they are.
            (Some(new), Pace::Deliveries(old)) if new.is_part_of(old) => Pace::Deliveries(old.clone()),
            (Some(new), _) => Pace::Deliveries(new.clone()),
        };
        let before = std::mem::replace(&mut self.pace, pace);
        let size = self.waiting.front().map_or(0, |first| first.size);
        if let Some(current) = &mut self.current {
            current.end = match (&before, &self.pace) {
                (&Pace::Wire { rate: old }, &Pace::Wire { rate: new }) => {
                    let left = current.end.saturating_sub(now.max(current.start));
                    let [whole, changed] = [old, new].map(|rate| u128::from(time_to_send(size, rate)));
                    let scaled = (changed * u128::from(left) + whole / 2) / whole.max(1);
                    (current.end - left).saturating_add(scaled as u64)
                }
                _ => self.pace.end_of(now.max(current.start), size),
            };
        }
        self.overhead = impairment.overhead;
        // While nothing leaves, there is as much room as there was before.
        if impairment.rate != Some(0) {
            (self.limit_packets, self.limit_bytes) = impairment.queue_limits();
        }
        match impairment.queue_discipline {
            QueueDiscipline::DropTail => self.codel = None,
            QueueDiscipline::CoDel { ecn } => {
                self.marks = ecn;
                self.codel.get_or_insert_default();
            }
        }
    }

    /// Whether packets have to pass through this stage.
    pub(super) fn is_limited(&self) -> bool {
        self.pace != Pace::Free || !self.waiting.is_empty()
    }

    /// Puts a packet behind the others, or gives it back if there is no room. A packet in transmission
    /// takes no room, as with a network card that has taken it from its queue.
    pub(super) fn offer(&mut self, arrival: Nanoseconds, packet: Packet) -> Result<(), Packet> {
        let size = packet.bytes.saturating_add_signed(i64::from(self.overhead));
        let since = arrival;
        let Some(first) = self.waiting.front() else {
            self.backlog += size;
            self.waiting.push_back(Waiting { packet, size, since });
            self.begin(arrival.max(self.free_at));
            return Ok(());
        };
        let (gone, gone_bytes) = if self.pace.transmits() {
            (1, first.size)
        } else {
            (0, 0)
        };
        let is_full = self.waiting.len() as u64 - gone >= self.limit_packets
            || (self.backlog - gone_bytes).saturating_add(size) > self.limit_bytes;
        if is_full {
            return Err(packet);
        }
        self.backlog += size;
        self.waiting.push_back(Waiting { packet, size, since });
        Ok(())
    }

    /// Lets the next packet begin its way out at `start`; CoDel may take some out before.
    fn begin(&mut self, start: Nanoseconds) {
        while self.is_first_dropped(start) {
            if let Some(first) = self.pop() {
                self.dropped.push(first.packet);
            }
        }
        let pace = &self.pace;
        self.current = self.waiting.front().map(|first| Transmission {
            start,
            end: pace.end_of(start, first.size),
        });
        if let (None, Some(codel)) = (self.current, &mut self.codel) {
            codel.rest();
        }
    }

    fn is_first_dropped(&mut self, now: Nanoseconds) -> bool {
        let (Some(codel), Some(first)) = (&mut self.codel, self.waiting.front_mut()) else {
            return false;
        };
        let waited = now.saturating_sub(first.since);
        if !codel.takes(now, waited, first.size, self.backlog - first.size) {
            return false;
        }
        if self.marks && mark_congestion(&mut first.packet.frame) {
            self.marked += 1;
            return false;
        }
        true
    }

    fn pop(&mut self) -> Option<Waiting> {
        let first = self.waiting.pop_front()?;
        self.backlog -= first.size;
        Some(first)
    }

    /// The first packet and when it is away.
    pub(super) fn next(&self) -> Option<(Nanoseconds, &Packet)> {
        Some((self.current?.end, &self.waiting.front()?.packet))
    }

    /// Takes out the first packet if it is away by `now`, and lets the next one begin then.
    pub(super) fn take_sent(&mut self, now: Nanoseconds) -> Option<(Nanoseconds, Packet)> {
        let Transmission { start, end } = self.current.filter(|current| current.end <= now)?;
        let sent = self.pop()?;
        self.free_at = end;
        self.pace.sent(start, end, sent.size);
        self.begin(end);
        Some((end, sent.packet))
    }

    /// A packet that CoDel took out.
    pub(super) fn take_dropped(&mut self) -> Option<Packet> {
        self.dropped.pop()
    }

    /// Packets marked since this was last asked.
    pub(super) fn take_marked(&mut self) -> u64 {
        std::mem::take(&mut self.marked)
    }
}
