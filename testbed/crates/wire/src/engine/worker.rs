//! The loop of an engine thread: send what is due, wait, read what came.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::clock::Clock;
use super::inbox::{Command, Inbox, Report};
use super::scheduling::{Breather, Scheduling, processor_time};
use crate::path::Nanoseconds;
use crate::shard::{Outgoing, Shard};
use crate::socket::{Habit, Lane, ReceiveBatch, SendBatch};
use crate::statistics::{DirectionStatistics, EngineStatistics};

/// Frames and bytes handed to the kernel at once; sending 128 KiB takes some 50 µs, in which nothing is read.
const MOST_FRAMES: usize = 32;
const MOST_BYTES: usize = 128 << 10;

/// Batches handed over before anything is read again. One read may bring more packets than one batch takes away (from
/// several sockets, or of frames that are taken apart). If reading had its turn after each batch, a flood would be read
/// faster than it is sent, and packets of all links would be late by as much as memory can hold, not only the flood's.
const MOST_BATCHES: usize = 32;

/// Longest time that arrivals are left unread on purpose. What came is due later anyway, and the kernel
/// stamped it, so one wake-up serves many packets.
const MOST_PATIENCE: Nanoseconds = 1_000_000;
/// Below this, leaving arrivals unread saves nothing.
const LEAST_PATIENCE: Nanoseconds = 200_000;

/// One engine thread.
pub(super) struct Worker {
    shard: Shard,
    lanes: Vec<Arc<Lane>>,
    /// One for each lane.
    habits: Vec<Habit>,
    inbox: Arc<Inbox>,
    clock: Clock,
    may_leave_unread: bool,
    breather: Option<Breather>,
    receive: ReceiveBatch,
    send: SendBatch,
    outgoing: Vec<Outgoing>,
    ready: Vec<usize>,
    counters: EngineStatistics,
}

impl Worker {
    pub(super) fn new(
        lanes: Vec<Arc<Lane>>,
        inbox: Arc<Inbox>,
        memory: usize,
        may_leave_unread: bool,
        scheduling: Scheduling,
    ) -> Worker {
        let clock = Clock::start();
        let breather = (scheduling == Scheduling::Fifo).then(|| Breather::new(clock.now(), 0));
        Worker {
            shard: Shard::new(memory),
            habits: lanes.iter().map(|_| Habit::default()).collect(),
            lanes,
            inbox,
            clock,
            may_leave_unread,
            breather,
            receive: ReceiveBatch::new(),
            send: SendBatch::default(),
            outgoing: Vec::with_capacity(MOST_FRAMES),
            ready: Vec::new(),
            counters: EngineStatistics::default(),
        }
    }

    /// Works until told to stop.
    pub(super) fn run(mut self) {
        loop {
            self.send_due();
            let has_commands = self.wait();
            if has_commands && self.obey() {
                return;
            }
            self.read_ready();
            self.take_breath();
        }
    }

    fn send_due(&mut self) {
        for _ in 0..MOST_BATCHES {
            if !self.send_batch() {
                return;
            }
        }
    }

    /// Sends some of what is due; false if nothing was.
    fn send_batch(&mut self) -> bool {
        let now = self.clock.now();
        let mut bytes = 0;
        while self.outgoing.len() < MOST_FRAMES && bytes < MOST_BYTES {
            let Some(outgoing) = self.shard.take_due(now) else {
                break;
            };
            bytes += outgoing.departure.packet.frame.bytes().len();
            self.outgoing.push(outgoing);
        }
        let (Some(lane), false) = (self.lanes.first(), self.outgoing.is_empty()) else {
            return false;
        };
        let (shard, outgoing) = (&mut self.shard, &self.outgoing);
        let clock = self.clock;
        self.send.send(lane, outgoing, |place, result| {
            let Some(sent) = outgoing.get(place) else { return };
            if let Some(counters) = shard.counters(sent.source) {
                count_departure(counters, sent, result, clock.now());
            }
        });
        for sent in self.outgoing.drain(..) {
            self.shard.pool.discard(sent.departure.packet.frame);
        }
        true
    }

    /// Waits until something is due, came, or was asked; finds the sockets that have something to read. True
    /// if something was asked.
    fn wait(&mut self) -> bool {
        let now = self.clock.now();
        let next = self.shard.next_due();
        let patience = self.patience(next);
        let until = match (next, patience) {
            (Some(due), Some(patience)) => Some(due.min(now + patience)),
            (due, _) => due,
        };
        if patience.is_some() && until.is_some_and(|until| until > now) {
            let rang = self.poll(now, until, false);
            if rang {
                return true;
            }
            return self.poll(now, Some(0), true);
        }
        self.poll(now, until, true)
    }

    /// How long arrivals may be left unread; None if they should be read as they come, or if some were left at the last
    /// reading: at one batch in each such while, whatever comes faster would queue up.
    fn patience(&self, next: Option<Nanoseconds>) -> Option<Nanoseconds> {
        next?;
        if self.habits.iter().any(|habit| habit.was_full) {
            return None;
        }
        let patience = (self.shard.patience() / 2).min(MOST_PATIENCE);
        (self.may_leave_unread && patience >= LEAST_PATIENCE).then_some(patience)
    }

    /// Polls the bell, and the sockets too if these are to be heard, until the given moment. True if the bell
    /// rang.
    fn poll(&mut self, now: Nanoseconds, until: Option<Nanoseconds>, hear: bool) -> bool {
        self.ready.clear();
        let mut descriptors = vec![PollFd::new(self.inbox.bell(), PollFlags::POLLIN)];
        if hear {
            descriptors.extend(
                self.lanes
                    .iter()
                    .map(|lane| PollFd::new(lane.as_fd(), PollFlags::POLLIN)),
            );
        }
        let timeout = until.map(|until| TimeSpec::from(Duration::from_nanos(until.saturating_sub(now))));
        // An interruption looks like a time-out, and the loop comes back here.
        let changed = ppoll(&mut descriptors, timeout, None).unwrap_or(0);
        if changed == 0 {
            return false;
        }
        let mut rang = descriptors
            .iter()
            .map(|descriptor| descriptor.any().unwrap_or(true));
        let bell = rang.next().unwrap_or(false);
        self.ready.extend(
            rang.enumerate()
                .filter(|&(_, ready)| ready)
                .map(|(place, _)| place),
        );
        bell
    }

    /// Reads one batch from each socket that has something, so that none keeps the others waiting.
    fn read_ready(&mut self) {
        for habit in &mut self.habits {
            habit.was_full = false;
        }
        for place in std::mem::take(&mut self.ready) {
            let (Some(lane), Some(habit)) = (self.lanes.get(place), self.habits.get_mut(place)) else {
                continue;
            };
            let received = match self.receive.receive(lane, habit) {
                Ok(received) => received,
                Err(error) => {
                    // The frame is consumed: it had an offload that the header cannot express.
                    tracing::debug!(%error, "a frame could not be read");
                    self.counters.unreadable += 1;
                    continue;
                }
            };
            let moment = self.clock.moment();
            for number in 0..received {
                match self.receive.take(number, &mut self.shard.pool) {
                    Some(arrived) => {
                        let arrival = moment.time_of(arrived.stamp);
                        self.shard.offer(arrived.interface, arrival, arrived.frame);
                    }
                    None => self.counters.unreadable += 1,
                }
            }
        }
    }

    fn take_breath(&mut self) {
        if let Some(breather) = &mut self.breather {
            let owed = breather.owed(self.clock.now(), processor_time);
            if !owed.is_zero() {
                std::thread::sleep(owed);
            }
        }
    }

    /// Does what was asked; true if that is to end. Answers nobody waits for any more are no error.
    fn obey(&mut self) -> bool {
        for command in self.inbox.take() {
            match command {
                Command::Add {
                    source,
                    output,
                    path,
                    done,
                } => {
                    self.shard.add(source, output, *path);
                    let _ = done.send(());
                }
                Command::Remove { source, done } => {
                    self.shard.remove(source);
                    let _ = done.send(());
                }
                Command::Set {
                    source,
                    impairment,
                    done,
                } => {
                    self.shard.set(source, self.clock.now(), impairment);
                    let _ = done.send(());
                }
                Command::Replay { source, replay, done } => {
                    self.shard.replay(source, self.clock.now(), replay.as_ref());
                    let _ = done.send(());
                }
                Command::Report { answer } => {
                    let _ = answer.send(self.report());
                }
                Command::Stop => return true,
            }
        }
        false
    }

    fn report(&mut self) -> Report {
        for lane in &self.lanes {
            let (received, dropped) = lane.take_counts();
            self.counters.received += received;
            self.counters.socket_drops += dropped;
        }
        self.counters.memory_bytes = self.shard.pool.held() as u64;
        Report {
            directions: self.shard.statistics(),
            engine: self.counters,
        }
    }
}

impl Drop for Worker {
    /// Also when the thread panics: nobody may wait for an answer that never comes.
    fn drop(&mut self) {
        self.inbox.close();
    }
}

fn count_departure(
    counters: &mut DirectionStatistics,
    sent: &Outgoing,
    result: io::Result<()>,
    now: Nanoseconds,
) {
    let packet = &sent.departure.packet;
    match result.map_err(|error| error.raw_os_error()) {
        Ok(()) => {
            counters.delivered.add(packet.packets, packet.bytes);
            counters.lateness.record(now.saturating_sub(sent.departure.due));
        }
        Err(Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV)) => counters.drops.interface += packet.packets,
        Err(_) => counters.drops.refused += packet.packets,
    }
}
