//! All paths of one engine thread and the agenda of what is due when. No sockets and no clock here either.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::frame::Frame;
use crate::path::{Departure, Nanoseconds, Path};
use crate::pool::Pool;
use crate::statistics::DirectionStatistics;

/// One path with its place in the network.
#[derive(Debug)]
struct Entry {
    path: Path,
    /// Interface that its packets leave through.
    output: u32,
    /// The moment the agenda has for it.
    scheduled: Option<Nanoseconds>,
}

/// A packet to be sent now.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) departure: Departure,
    /// Interface the packet came from, which names its path.
    pub(crate) source: u32,
    /// Interface to send it through.
    pub(crate) output: u32,
}

/// The paths of one thread, each named by the interface that its packets come from.
#[derive(Debug)]
pub(crate) struct Shard {
    paths: HashMap<u32, Entry>,
    /// Earliest first. A path has one valid entry, the one that equals its `scheduled`; others are stale and
    /// skipped.
    agenda: BinaryHeap<Reverse<(Nanoseconds, u32)>>,
    pub(crate) pool: Pool,
    patience: Nanoseconds,
}

impl Shard {
    /// A shard whose packets may hold `memory` bytes.
    pub(crate) fn new(memory: usize) -> Shard {
        let pool = Pool::new(memory);
        Shard {
            paths: HashMap::new(),
            agenda: BinaryHeap::new(),
            pool,
            patience: 0,
        }
    }

    /// Adds a path from one interface to another.
    pub(crate) fn add(&mut self, source: u32, output: u32, path: Path) {
        self.paths.insert(
            source,
            Entry {
                path,
                output,
                scheduled: None,
            },
        );
        self.find_patience();
    }

    /// Removes a path and drops what is on it.
    pub(crate) fn remove(&mut self, source: u32) {
        if let Some(mut entry) = self.paths.remove(&source) {
            entry.path.clear(&mut self.pool);
        }
        self.find_patience();
    }

    /// Changes what a path does from `now` on.
    pub(crate) fn set(&mut self, source: u32, now: Nanoseconds, impairment: crate::Impairment) {
        if let Some(entry) = self.paths.get_mut(&source) {
            entry.path.set(now, impairment, &mut self.pool);
            schedule(&mut self.agenda, source, entry);
        }
        self.find_patience();
    }

    /// Begins a replay on a path, or ends the one there is.
    pub(crate) fn replay(&mut self, source: u32, now: Nanoseconds, replay: Option<&crate::Replay>) {
        if let Some(entry) = self.paths.get_mut(&source) {
            entry.path.replay(now, replay, &mut self.pool);
            schedule(&mut self.agenda, source, entry);
        }
        self.find_patience();
    }

    fn find_patience(&mut self) {
        self.patience = self
            .paths
            .values()
            .map(|entry| entry.path.least_delay())
            .min()
            .unwrap_or(0);
    }

    /// The least time that any packet offered from now on must wait: arrivals may stay unread that long
    /// without any of them being late.
    pub(crate) fn patience(&self) -> Nanoseconds {
        self.patience
    }

    /// Takes a frame that came from `source` at `arrival`.
    pub(crate) fn offer(&mut self, source: u32, arrival: Nanoseconds, frame: Frame) {
        match self.paths.get_mut(&source) {
            Some(entry) => {
                entry.path.offer(arrival, frame, &mut self.pool);
                schedule(&mut self.agenda, source, entry);
            }
            None => self.pool.discard(frame),
        }
    }

    /// The moment at which something is due.
    pub(crate) fn next_due(&mut self) -> Option<Nanoseconds> {
        while let Some(&Reverse((due, source))) = self.agenda.peek() {
            match self.paths.get(&source) {
                Some(entry) if entry.scheduled == Some(due) => return Some(due),
                _ => self.agenda.pop(),
            };
        }
        None
    }

    /// Takes one packet that is due by `now`.
    pub(crate) fn take_due(&mut self, now: Nanoseconds) -> Option<Outgoing> {
        while self.next_due().is_some_and(|due| due <= now) {
            let Reverse((_, source)) = self.agenda.pop()?;
            let entry = self.paths.get_mut(&source)?;
            entry.scheduled = None;
            let departure = entry.path.release(now, &mut self.pool);
            schedule(&mut self.agenda, source, entry);
            if let Some(departure) = departure {
                return Some(Outgoing {
                    departure,
                    source,
                    output: entry.output,
                });
            }
        }
        None
    }

    /// The counters of a path, to be changed by whoever sends.
    pub(crate) fn counters(&mut self, source: u32) -> Option<&mut DirectionStatistics> {
        self.paths
            .get_mut(&source)
            .map(|entry| &mut entry.path.statistics)
    }

    /// A copy of all counters, by source interface.
    pub(crate) fn statistics(&self) -> HashMap<u32, DirectionStatistics> {
        self.paths
            .iter()
            .map(|(&source, entry)| (source, entry.path.statistics.clone()))
            .collect()
    }
}

/// Brings the agenda up to date with a path's next due moment.
fn schedule(agenda: &mut BinaryHeap<Reverse<(Nanoseconds, u32)>>, source: u32, entry: &mut Entry) {
    let next = entry.path.next_due();
    if let Some(due) = next.filter(|_| next != entry.scheduled) {
        agenda.push(Reverse((due, source)));
    }
    entry.scheduled = next;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::frame::Offload;
    use crate::frame::tests::frame;
    use crate::{Direction, Impairment};

    fn shard_with(delays: &[(u32, u64)]) -> Shard {
        let mut shard = Shard::new(1 << 20);
        for &(source, milliseconds) in delays {
            let impairment = Impairment::delayed(Duration::from_millis(milliseconds));
            let name = source.to_string();
            shard.add(
                source,
                source + 100,
                Path::new(1, &name, Direction::Forward, impairment),
            );
        }
        shard
    }

    fn drain(shard: &mut Shard, now: Nanoseconds) -> Vec<(u32, Nanoseconds)> {
        let taken = std::iter::from_fn(|| shard.take_due(now));
        taken
            .map(|outgoing| (outgoing.output, outgoing.departure.due))
            .collect()
    }

    #[test]
    fn packets_leave_in_order_of_their_time() {
        let mut shard = shard_with(&[(1, 3), (2, 1), (3, 2)]);
        assert_eq!(shard.patience(), 1_000_000);
        for source in [1, 2, 3, 9] {
            shard.offer(source, 10, frame(Offload::default(), &[0; 60]));
        }
        assert_eq!(shard.next_due(), Some(1_000_010));
        assert_eq!(drain(&mut shard, 1_000_009), []);
        assert_eq!(drain(&mut shard, 2_000_010), [(102, 1_000_010), (103, 2_000_010)]);
        assert_eq!(drain(&mut shard, u64::MAX), [(101, 3_000_010)]);
        assert_eq!(shard.next_due(), None);
        assert_eq!(shard.pool.held(), 0);
    }

    #[test]
    fn removing_a_path_frees_what_it_held() {
        let mut shard = shard_with(&[(1, 3), (2, 1)]);
        shard.set(
            1,
            0,
            Impairment {
                rate: Some(8),
                ..Impairment::delayed(Duration::from_secs(1))
            },
        );
        for _ in 0..5 {
            shard.offer(1, 0, frame(Offload::default(), &[0; 60]));
        }
        assert!(shard.pool.held() > 0);
        shard.remove(1);
        shard.remove(1);
        assert_eq!(
            (shard.pool.held(), shard.next_due(), shard.patience()),
            (0, None, 1_000_000)
        );
    }

    #[test]
    fn a_new_rate_moves_what_is_scheduled() {
        let mut shard = shard_with(&[(1, 0)]);
        shard.set(
            1,
            0,
            Impairment {
                rate: Some(480),
                ..Impairment::default()
            },
        );
        shard.offer(1, 0, frame(Offload::default(), &[0; 60]));
        assert_eq!(shard.next_due(), Some(1_000_000_000));
        shard.set(
            1,
            500_000_000,
            Impairment {
                rate: Some(4800),
                ..Impairment::default()
            },
        );
        assert_eq!(shard.next_due(), Some(550_000_000));
        assert_eq!(drain(&mut shard, 550_000_000), [(101, 550_000_000)]);
    }
}
