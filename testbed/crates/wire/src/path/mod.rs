//! One direction of a link as a machine without sockets, threads or clock: packets are offered with the time
//! they came and taken out when they are due.
//!
//! ```text
//! offer ──> down ──> loss ──> queue ──> rate ──> delay + jitter ──> release
//! ```
//!
//! Each stage has its module; a new effect is one more stage here. All times are nanoseconds of one clock
//! and *logical*: a packet leaves the rate at the end of its transmission and arrives a delay later, computed
//! from the time it came, however late the engine looks. So errors of the engine do not add up, and what
//! happens to a packet depends only on the packets before it. Random decisions are made when a packet is
//! offered and belong to its index, so they do not depend on time at all.
//!
//! A segmentation-offload frame is as many packets as it has segments. Delay alone keeps it whole; loss cuts
//! out the segments that are lost and keeps the runs between them whole; a rate or jitter takes it apart.

mod delay;
mod loss;
mod queue;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::frame::Frame;
use crate::pool::Pool;
use crate::random::{Purpose, Stream};
use crate::segment::Segments;
use crate::statistics::DirectionStatistics;
use crate::{Direction, Impairment};

use delay::Delay;
use loss::Loss;
use queue::Queue;

/// Nanoseconds of the engine's clock.
pub(crate) type Nanoseconds = u64;

/// A frame on its way and what later stages must know of it.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) frame: Frame,
    /// Packets it stands for.
    pub(crate) packets: u64,
    /// Their bytes on the wire.
    pub(crate) bytes: u64,
    /// What jitter adds to the delay.
    jitter: i64,
}

/// A packet that is due.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) due: Nanoseconds,
    pub(crate) packet: Packet,
}

/// One direction of a link.
#[derive(Debug)]
pub(crate) struct Path {
    impairment: Impairment,
    /// Index of the next packet offered.
    index: u64,
    /// The last arrival; the kernel's time stamps may run back a little between processors.
    arrival: Nanoseconds,
    loss: Loss,
    queue: Queue,
    delay: Delay,
    /// Bytes of the pool that this path holds.
    held: usize,
    runs: Vec<Range<u64>>,
    pub(crate) statistics: DirectionStatistics,
}

impl Path {
    /// A path with its own random streams.
    pub(crate) fn new(seed: u64, link: &str, direction: Direction, impairment: Impairment) -> Path {
        let stream = |purpose| Stream::new(seed, link, direction, purpose);
        let mut path = Path {
            impairment: Impairment::default(),
            index: 0,
            arrival: 0,
            loss: Loss::new(stream(Purpose::Loss)),
            queue: Queue::default(),
            delay: Delay::new(stream(Purpose::Jitter)),
            held: 0,
            runs: Vec::new(),
            statistics: DirectionStatistics::default(),
        };
        path.set(0, impairment);
        path
    }

    /// Changes what happens to packets from `now` on. Packets on the way stay there: those that wait for the
    /// rate go on at the new one, those past it keep the moment at which they are due.
    pub(crate) fn set(&mut self, now: Nanoseconds, impairment: Impairment) {
        self.advance(now);
        self.loss.set(impairment.loss);
        self.queue.set(now, &impairment);
        self.delay.set(&impairment);
        self.impairment = impairment;
        self.advance(now);
    }

    /// The least time a packet offered from now on needs.
    pub(crate) fn least_delay(&self) -> Nanoseconds {
        self.delay.least()
    }

    /// Takes a frame that came at `arrival`.
    pub(crate) fn offer(&mut self, arrival: Nanoseconds, frame: Frame, pool: &mut Pool) {
        self.arrival = self.arrival.max(arrival);
        let segments = Segments::of(&frame);
        let (packets, bytes) = match &segments {
            Some(segments) => (segments.count(), segments.wire_bytes(&(0..segments.count()))),
            None => (1, frame.ethernet().len() as u64),
        };
        let first = self.index;
        self.index += packets;
        self.statistics.offered.add(packets, bytes);
        if self.impairment.down {
            self.statistics.drops.down += packets;
            pool.discard(frame);
            return;
        }
        match segments {
            Some(segments) if self.has_fates_per_packet() => {
                self.offer_segments(first, frame, &segments, pool);
            }
            _ if self.loss.takes(first) => {
                self.statistics.drops.loss += packets;
                pool.discard(frame);
            }
            _ => self.enqueue(first, frame, packets, bytes, pool),
        }
    }

    fn has_fates_per_packet(&self) -> bool {
        self.loss.is_on() || self.must_separate()
    }

    /// Packets must not share a frame: each has its own time of departure.
    fn must_separate(&self) -> bool {
        self.queue.is_limited() || self.delay.has_jitter()
    }

    fn offer_segments(&mut self, first: u64, frame: Frame, segments: &Segments, pool: &mut Pool) {
        let runs = self.surviving_runs(first, segments.count());
        let mut original = Some(frame);
        for run in &runs {
            let packets = run.end - run.start;
            let bytes = segments.wire_bytes(run);
            let piece = match &original {
                Some(_) if packets == segments.count() => original.take(),
                Some(whole) => segments.carve(whole, run, pool),
                None => None,
            };
            match piece {
                Some(piece) => self.enqueue(first + run.start, piece, packets, bytes, pool),
                None => self.statistics.drops.refused += packets,
            }
        }
        if let Some(frame) = original {
            pool.discard(frame);
        }
        self.runs = runs;
    }

    /// The runs of packets that go on in one frame each. Their vector is `self.runs`, to be put back.
    fn surviving_runs(&mut self, first: u64, count: u64) -> Vec<Range<u64>> {
        let mut runs = std::mem::take(&mut self.runs);
        runs.clear();
        let separate = self.must_separate();
        for index in 0..count {
            if self.loss.takes(first + index) {
                self.statistics.drops.loss += 1;
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == index && !separate => run.end += 1,
                _ => runs.push(index..index + 1),
            }
        }
        runs
    }

    fn enqueue(&mut self, index: u64, frame: Frame, packets: u64, bytes: u64, pool: &mut Pool) {
        let arrival = self.arrival;
        self.advance(arrival);
        if !pool.hold(frame.capacity(), self.held) {
            self.statistics.drops.memory += packets;
            pool.discard(frame);
            return;
        }
        let capacity = frame.capacity();
        let packet = Packet {
            frame,
            packets,
            bytes,
            jitter: self.delay.jitter(index),
        };
        if self.queue.is_limited() {
            if let Err(packet) = self.queue.offer(arrival, packet) {
                self.statistics.drops.queue += packets;
                pool.let_go(capacity);
                pool.discard(packet.frame);
                return;
            }
            self.statistics.queued.add(packets, bytes);
            self.advance(arrival);
        } else {
            self.statistics.in_flight.add(packets, bytes);
            self.delay.push(arrival, packet);
        }
        self.held += capacity;
    }

    /// Moves packets whose transmission ended by `now` on to the delay.
    fn advance(&mut self, now: Nanoseconds) {
        while let Some((end, packet)) = self.queue.take_sent(now) {
            self.statistics.queued.remove(packet.packets, packet.bytes);
            self.statistics.in_flight.add(packet.packets, packet.bytes);
            self.delay.push(end, packet);
        }
    }

    /// When the next packet is due, if any is on the way.
    pub(crate) fn next_due(&self) -> Option<Nanoseconds> {
        self.delay.next_due().or_else(|| {
            let (end, packet) = self.queue.next()?;
            Some(self.delay.due(end, packet))
        })
    }

    /// Takes out the next packet that is due by `now`.
    pub(crate) fn release(&mut self, now: Nanoseconds, pool: &mut Pool) -> Option<Departure> {
        self.advance(now);
        let departure = self.delay.take_due(now)?;
        let packet = &departure.packet;
        self.statistics.in_flight.remove(packet.packets, packet.bytes);
        self.held = self.held.saturating_sub(packet.frame.capacity());
        pool.let_go(packet.frame.capacity());
        Some(departure)
    }

    /// Throws away all packets on the way; the path is about to be removed.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.set(Nanoseconds::MAX, Impairment::default());
        while let Some(departure) = self.release(Nanoseconds::MAX, pool) {
            pool.discard(departure.packet.frame);
        }
    }
}
