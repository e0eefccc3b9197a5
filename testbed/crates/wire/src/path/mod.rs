//! One direction of a link as a machine without sockets, threads or clock: packets are offered with the time
//! they came and taken out when they are due.
//!
//! ```text
//! offer ──> blackhole ──> loss ──> duplicate ──> corrupt ──> queue ──> rate ──> delay + jitter ──> release
//! ```
//!
//! What chance decides of a packet (`fate`: loss, duplicate, corrupt, overtaking, jitter) is decided when it is offered
//! and belongs to its index, so it does not depend on time at all. The other stages have a module each. All times are
//! nanoseconds of one clock and *logical*: a packet leaves the rate at the end of its transmission and arrives a delay
//! later, computed from the time it came, however late the engine looks. So errors of the engine do not add up, and
//! what happens to a packet depends only on the packets before it.
//!
//! A segmentation-offload frame is as many packets as it has segments. Delay alone keeps it whole; chance cuts
//! out the segments that it hits and keeps the runs between them whole; a rate or jitter takes it apart.

mod codel;
mod delay;
mod deliveries;
mod fate;
mod jitter;
mod loss;
mod pace;
mod player;
mod queue;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use crate::frame::Frame;
use crate::pool::Pool;
use crate::segment::Segments;
use crate::statistics::DirectionStatistics;
use crate::{Direction, Impairment, Playback, Replay, edit};

use delay::Delay;
use deliveries::Deliveries;
use fate::{Fate, Fates, Verdict};
use player::Player;
use queue::Queue;

/// Nanoseconds of the engine's clock.
pub(crate) type Nanoseconds = u64;

fn nanoseconds(duration: Duration) -> Nanoseconds {
    Nanoseconds::try_from(duration.as_nanos()).unwrap_or(Nanoseconds::MAX)
}

/// A frame on its way and what later stages must know of it.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) frame: Frame,
    /// Packets it stands for.
    pub(crate) packets: u64,
    /// Their bytes on the wire.
    pub(crate) bytes: u64,
    /// What chance has in store for it.
    fate: Fate,
}

/// A packet that is due.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) due: Nanoseconds,
    pub(crate) packet: Packet,
}

/// Packets of one frame that go on together, and what happens to them.
type Run = (Range<u64>, Verdict);

/// One direction of a link.
#[derive(Debug)]
pub(crate) struct Path {
    /// As it was set; what a replay says comes on top.
    impairment: Impairment,
    player: Option<Player>,
    deliveries: Option<Deliveries>,
    least_delay: Nanoseconds,
    /// Index of the next packet offered.
    index: u64,
    /// The last arrival; the kernel's time stamps may run back a little between processors.
    arrival: Nanoseconds,
    fates: Fates,
    queue: Queue,
    delay: Delay,
    /// Bytes of the pool that this path holds.
    held: usize,
    runs: Vec<Run>,
    pub(crate) statistics: DirectionStatistics,
}

impl Path {
    /// A path with its own random streams.
    pub(crate) fn new(seed: u64, link: &str, direction: Direction, impairment: Impairment) -> Path {
        let mut path = Path {
            impairment: Impairment::default(),
            player: None,
            deliveries: None,
            least_delay: 0,
            index: 0,
            arrival: 0,
            fates: Fates::new(seed, link, direction),
            queue: Queue::default(),
            delay: Delay::default(),
            held: 0,
            runs: Vec::new(),
            statistics: DirectionStatistics::default(),
        };
        path.set(0, impairment, &mut Pool::new(0));
        path
    }

    /// Changes what happens to packets from `now` on. Packets on the way stay there: those that wait for the
    /// rate go on at the new one, those past it keep the moment at which they are due. A replay goes on.
    pub(crate) fn set(&mut self, now: Nanoseconds, impairment: Impairment, pool: &mut Pool) {
        self.play(now, pool);
        self.advance(now, pool);
        self.impairment = impairment;
        let player = self.player.as_ref();
        let shortest = player.map_or(self.impairment.delay, |it| {
            it.shortest_delay(self.impairment.delay)
        });
        self.least_delay = delay::least(&self.impairment, shortest);
        match self.player.as_mut().map(Player::again) {
            Some(step) => self.apply(now, &step.over(&self.impairment)),
            None => self.apply(now, &self.impairment.clone()),
        }
        self.advance(now, pool);
    }

    /// Begins a replay, or ends the one there is.
    pub(crate) fn replay(&mut self, now: Nanoseconds, replay: Option<&Replay>, pool: &mut Pool) {
        self.player = None;
        self.deliveries = None;
        if let Some(replay) = replay {
            let period = nanoseconds(replay.period);
            match &replay.playback {
                Playback::Steps(steps) => self.player = Some(Player::new(steps.clone(), period, now)),
                Playback::Deliveries(times) => {
                    self.deliveries = Some(Deliveries::new(times.clone(), period, now));
                }
            }
        }
        self.set(now, self.impairment.clone(), pool);
    }

    /// Lets a replay go on until `now`.
    fn play(&mut self, now: Nanoseconds, pool: &mut Pool) {
        while let Some(player) = self.player.as_mut().filter(|player| player.next_at() <= now) {
            if self.queue.next().is_none() {
                player.skip_to(now);
            }
            let at = player.next_at();
            let step = player.take();
            self.advance(at, pool);
            self.apply(at, &step.over(&self.impairment));
        }
    }

    fn apply(&mut self, now: Nanoseconds, impairment: &Impairment) {
        self.fates.set(impairment);
        self.delay.set(impairment, self.queue.next().is_some());
        match &self.deliveries {
            None => self.queue.set(now, impairment, None),
            Some(deliveries) => {
                let rate = Some(deliveries.mean_rate());
                let at_rate = Impairment {
                    rate,
                    ..impairment.clone()
                };
                self.queue.set(now, &at_rate, Some(deliveries));
            }
        }
    }

    /// The least time a packet offered from now on needs, whatever a replay does.
    pub(crate) fn least_delay(&self) -> Nanoseconds {
        self.least_delay
    }

    /// Takes a frame that came at `arrival`.
    pub(crate) fn offer(&mut self, arrival: Nanoseconds, frame: Frame, pool: &mut Pool) {
        self.arrival = self.arrival.max(arrival);
        self.play(self.arrival, pool);
        let segments = Segments::of(&frame);
        let (packets, bytes) = match &segments {
            Some(segments) => (segments.count(), segments.wire_bytes(&(0..segments.count()))),
            None => (1, frame.ethernet().len() as u64),
        };
        let first = self.index;
        self.index += packets;
        self.statistics.offered.add(packets, bytes);
        if self.impairment.blackhole {
            self.statistics.drops.blackhole += packets;
            pool.discard(frame);
            return;
        }
        match segments {
            Some(segments) if self.fates.are_drawn() || self.must_separate() => {
                self.offer_segments(first, frame, &segments, pool);
            }
            _ => {
                let verdict = self.fates.judge(first);
                self.carry_out(verdict, frame, packets, bytes, pool);
            }
        }
    }

    /// Packets must not share a frame: each has its own time of departure.
    fn must_separate(&self) -> bool {
        self.queue.is_limited()
    }

    fn offer_segments(&mut self, first: u64, frame: Frame, segments: &Segments, pool: &mut Pool) {
        let runs = self.judge_segments(first, segments.count());
        let mut original = Some(frame);
        for (run, verdict) in &runs {
            let packets = run.end - run.start;
            let bytes = segments.wire_bytes(run);
            let piece = match &original {
                Some(_) if packets == segments.count() => original.take(),
                Some(whole) => segments.carve(whole, run, pool),
                None => None,
            };
            match piece {
                Some(piece) => self.carry_out(*verdict, piece, packets, bytes, pool),
                None => self.statistics.drops.refused += packets,
            }
        }
        if let Some(frame) = original {
            pool.discard(frame);
        }
        self.runs = runs;
    }

    /// The runs of packets that go on in one frame each. Their vector is `self.runs`, to be put back.
    fn judge_segments(&mut self, first: u64, count: u64) -> Vec<Run> {
        let mut runs = std::mem::take(&mut self.runs);
        runs.clear();
        let separate = self.must_separate();
        for index in 0..count {
            let verdict = self.fates.judge(first + index);
            match runs.last_mut() {
                _ if verdict == Verdict::Lost => self.statistics.drops.loss += 1,
                Some((run, before))
                    if run.end == index
                        && !separate
                        && verdict == Verdict::PLAIN
                        && *before == Verdict::PLAIN =>
                {
                    run.end += 1;
                }
                _ => runs.push((index..index + 1, verdict)),
            }
        }
        runs
    }

    fn carry_out(&mut self, verdict: Verdict, frame: Frame, packets: u64, bytes: u64, pool: &mut Pool) {
        match verdict {
            Verdict::Lost => {
                self.statistics.drops.loss += packets;
                pool.discard(frame);
            }
            Verdict::Passes(fate) => self.enqueue(fate, frame, packets, bytes, pool),
            Verdict::Twice(first, second) => {
                let copy = pool.copy(&frame);
                self.enqueue(first, frame, packets, bytes, pool);
                if let Some(copy) = copy {
                    self.statistics.duplicated += packets;
                    self.enqueue(second, copy, packets, bytes, pool);
                }
            }
        }
    }

    fn enqueue(&mut self, fate: Fate, mut frame: Frame, packets: u64, bytes: u64, pool: &mut Pool) {
        let arrival = self.arrival;
        self.advance(arrival, pool);
        let capacity = frame.capacity();
        if !pool.hold(capacity, self.held) {
            self.statistics.drops.memory += packets;
            pool.discard(frame);
            return;
        }
        if let Some(random) = fate.damage {
            edit::flip_bit(&mut frame, random);
            self.statistics.corrupted += packets;
        }
        self.statistics.reordered += if fate.overtakes { packets } else { 0 };
        self.held += capacity;
        let packet = Packet {
            frame,
            packets,
            bytes,
            fate,
        };
        if !self.queue.is_limited() {
            self.statistics.in_flight.add(packets, bytes);
            self.delay.push(arrival, packet);
            return;
        }
        self.statistics.queued.add(packets, bytes);
        match self.queue.offer(arrival, packet) {
            Ok(()) => self.advance(arrival, pool),
            Err(packet) => {
                self.statistics.drops.queue += packets;
                self.drop_queued(packet, pool);
            }
        }
    }

    /// Moves packets that are past the rate by `now` on to the delay.
    fn advance(&mut self, now: Nanoseconds, pool: &mut Pool) {
        while let Some((end, packet)) = self.queue.take_sent(now) {
            self.statistics.queued.remove(packet.packets, packet.bytes);
            self.statistics.in_flight.add(packet.packets, packet.bytes);
            self.delay.push(end, packet);
        }
        while let Some(packet) = self.queue.take_dropped() {
            self.statistics.drops.codel += packet.packets;
            self.drop_queued(packet, pool);
        }
        self.statistics.marked += self.queue.take_marked();
    }

    fn drop_queued(&mut self, packet: Packet, pool: &mut Pool) {
        self.statistics.queued.remove(packet.packets, packet.bytes);
        self.release_memory(&packet, pool);
        pool.discard(packet.frame);
    }

    fn release_memory(&mut self, packet: &Packet, pool: &mut Pool) {
        self.held = self.held.saturating_sub(packet.frame.capacity());
        pool.let_go(packet.frame.capacity());
    }

    /// When there is something to do next, if any packet is on the way: the next one is due, one gets past the rate
    /// that may overtake, or a replay changes the rate for those that wait.
    pub(crate) fn next_due(&self) -> Option<Nanoseconds> {
        let past_rate = self
            .queue
            .next()
            .map(|(end, packet)| match self.delay.may_overtake() {
                true => end,
                false => self.delay.due(end, packet),
            });
        let step = past_rate.and_then(|_| Some(self.player.as_ref()?.next_at()));
        let due = self.delay.next_due();
        [due, past_rate, step].into_iter().flatten().min()
    }

    /// Takes out the next packet that is due by `now`.
    pub(crate) fn release(&mut self, now: Nanoseconds, pool: &mut Pool) -> Option<Departure> {
        self.play(now, pool);
        self.advance(now, pool);
        let departure = self.delay.take_due(now)?;
        let packet = &departure.packet;
        self.statistics.in_flight.remove(packet.packets, packet.bytes);
        self.release_memory(packet, pool);
        Some(departure)
    }

    /// Throws away all packets on the way; the path is about to be removed.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        (self.player, self.deliveries) = (None, None);
        self.set(Nanoseconds::MAX, Impairment::default(), pool);
        while let Some(departure) = self.release(Nanoseconds::MAX, pool) {
            pool.discard(departure.packet.frame);
        }
    }
}
