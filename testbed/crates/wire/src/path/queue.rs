//! Rate, and the drop-tail queue before it. An active queue management will be asked in [`Queue::take_sent`],
//! where a packet's time in the queue is known.

use std::collections::VecDeque;

use super::{Nanoseconds, Packet};
use crate::Impairment;

/// A packet in the queue; the first one is in transmission.
#[derive(Debug)]
struct Waiting {
    packet: Packet,
    size: u64,
}

/// The transmission of the first packet of the queue.
#[derive(Debug, Clone, Copy)]
struct Transmission {
    start: Nanoseconds,
    end: Nanoseconds,
}

/// The queue and rate stage.
#[derive(Debug)]
pub(super) struct Queue {
    rate: Option<u64>,
    overhead: i32,
    limit_bytes: u64,
    limit_packets: u64,
    waiting: VecDeque<Waiting>,
    /// Bytes behind the packet in transmission.
    backlog: u64,
    current: Option<Transmission>,
    /// End of the last transmission.
    free_at: Nanoseconds,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            rate: None,
            overhead: 0,
            limit_bytes: u64::MAX,
            limit_packets: u64::MAX,
            waiting: VecDeque::new(),
            backlog: 0,
            current: None,
            free_at: 0,
        }
    }
}

impl Queue {
    /// Changes rate and limits. What is left of the transmission under way continues at the new rate; packets
    /// beyond a smaller limit stay.
    pub(super) fn set(&mut self, now: Nanoseconds, impairment: &Impairment) {
        if let Some(current) = &mut self.current {
            let whole = time_to_send(self.waiting.front().map_or(0, |first| first.size), self.rate);
            let left = current.end.saturating_sub(now.max(current.start));
            let size = self.waiting.front().map_or(0, |first| first.size);
            let new = time_to_send(size, impairment.rate);
            let scaled = u128::from(new) * u128::from(left) / u128::from(whole.max(1));
            current.end = (current.end - left).saturating_add(scaled as u64);
        }
        self.rate = impairment.rate;
        self.overhead = impairment.overhead;
        self.limit_bytes = impairment.effective_queue_bytes();
        self.limit_packets = impairment.queue_packets.map_or(u64::MAX, u64::from);
    }

    /// Whether packets have to pass through this stage.
    pub(super) fn is_limited(&self) -> bool {
        self.rate.is_some() || !self.waiting.is_empty()
    }

    /// Puts a packet behind the others, or gives it back if there is no room. The packet in transmission
    /// takes no room, as with a network card that has taken it from its queue.
    pub(super) fn offer(&mut self, arrival: Nanoseconds, packet: Packet) -> Result<(), Packet> {
        let size = packet.bytes.saturating_add_signed(i64::from(self.overhead));
        if self.waiting.is_empty() {
            self.waiting.push_back(Waiting { packet, size });
            self.begin(arrival.max(self.free_at));
            return Ok(());
        }
        let others = self.waiting.len() as u64 - 1;
        if others >= self.limit_packets || self.backlog.saturating_add(size) > self.limit_bytes {
            return Err(packet);
        }
        self.backlog += size;
        self.waiting.push_back(Waiting { packet, size });
        Ok(())
    }

    fn begin(&mut self, start: Nanoseconds) {
        self.current = self.waiting.front().map(|first| {
            let end = start.saturating_add(time_to_send(first.size, self.rate));
            Transmission { start, end }
        });
    }

    /// The packet in transmission and when that ends.
    pub(super) fn next(&self) -> Option<(Nanoseconds, &Packet)> {
        Some((self.current?.end, &self.waiting.front()?.packet))
    }

    /// Takes out the first packet if its transmission ended by `now`, and begins the next one's at that end.
    pub(super) fn take_sent(&mut self, now: Nanoseconds) -> Option<(Nanoseconds, Packet)> {
        let end = self
            .current
            .map(|current| current.end)
            .filter(|&end| end <= now)?;
        let sent = self.waiting.pop_front()?;
        self.free_at = end;
        self.backlog -= self.waiting.front().map_or(0, |first| first.size);
        self.begin(end);
        Some((end, sent.packet))
    }
}

/// Nanoseconds that `bytes` need at `rate` bit/s, rounded to the nearest.
fn time_to_send(bytes: u64, rate: Option<u64>) -> Nanoseconds {
    const BITS_TIMES_NANOSECONDS: u128 = 8 * 1_000_000_000;
    match rate {
        None => 0,
        Some(rate) => {
            let rate = u128::from(rate.max(1));
            let time = (u128::from(bytes) * BITS_TIMES_NANOSECONDS + rate / 2) / rate;
            Nanoseconds::try_from(time).unwrap_or(Nanoseconds::MAX)
        }
    }
}
