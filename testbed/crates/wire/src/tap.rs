//! Copies of what passes a link, for captures. A tap changes nothing on the link and misses frames rather than hold
//! any up.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::pool::Pool;
use crate::socket::{Habit, Lane, ReceiveBatch, open_tap};
use crate::{Direction, WireError};

/// Stamps this young may still be overtaken by one from the other midpoint.
const SETTLE: Duration = Duration::from_millis(1);
/// Reads of one midpoint before the other one has its turn.
const TURNS: usize = 8;

/// Where on its way a packet is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapPlace {
    /// As it comes from its sender, before the link does anything to it.
    Entry,
    /// As it goes on to its receiver, after all the link does to it.
    Exit,
    /// At both: packets that are not lost are seen twice.
    Both,
}

/// The sockets of a tap, opened in the namespace of the midpoints. It can then be used anywhere.
#[derive(Debug)]
pub struct Tap {
    lanes: [Lane; 2],
}

/// A frame as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    /// When, since the Unix epoch.
    pub stamp: Duration,
    /// Which way it goes.
    pub direction: Direction,
    /// Whether it leaves the link, or enters it.
    pub leaving: bool,
    /// The frame from its destination address on. It may be longer than the MTU and without its checksum, where
    /// sender and receiver leave both to the interface (segmentation and checksum offload).
    pub bytes: Vec<u8>,
}

impl Tap {
    /// Opens a tap of the link with these midpoints. Call it on a thread that is inside their namespace.
    ///
    /// # Errors
    /// If the kernel refuses a packet socket or an option, or there is no such interface.
    pub fn open(interfaces: [u32; 2], place: TapPlace) -> Result<Tap, WireError> {
        let leaving = place != TapPlace::Entry;
        let coming = place != TapPlace::Exit;
        let [first, second] = interfaces;
        Ok(Tap {
            lanes: [
                open_tap(first, leaving, coming)?,
                open_tap(second, leaving, coming)?,
            ],
        })
    }
}

/// Reads a tap, in the order of time.
pub struct TapReader {
    tap: Tap,
    batch: ReceiveBatch,
    pool: Pool,
    /// Seen, but perhaps not in order yet.
    waiting: Vec<Tapped>,
    missed: u64,
}

impl TapReader {
    /// A reader of `tap`. It stays on the thread it is made on.
    #[must_use]
    pub fn new(tap: Tap) -> TapReader {
        TapReader {
            tap,
            batch: ReceiveBatch::new(),
            pool: Pool::new(0),
            waiting: Vec::new(),
            missed: 0,
        }
    }

    /// What was seen since the last call, in the order of time, after waiting at most `timeout` for the first.
    ///
    /// # Errors
    /// When the interfaces are gone.
    pub fn read(&mut self, timeout: Duration) -> io::Result<Vec<Tapped>> {
        let timeout = if self.waiting.is_empty() {
            timeout
        } else {
            timeout.min(SETTLE)
        };
        self.wait(timeout)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for number in 0..self.tap.lanes.len() {
            self.drain(number)?;
        }
        self.waiting.sort_by_key(|tapped| tapped.stamp);
        // All of these were on a socket before it was read: nothing older can follow.
        let settled = now.saturating_sub(SETTLE);
        let count = self.waiting.partition_point(|tapped| tapped.stamp <= settled);
        Ok(self.waiting.drain(..count).collect())
    }

    /// All that is left to read, in the order of time; for the end of a capture.
    ///
    /// # Errors
    /// When the interfaces are gone.
    pub fn rest(&mut self) -> io::Result<Vec<Tapped>> {
        for number in 0..self.tap.lanes.len() {
            self.drain(number)?;
        }
        self.waiting.sort_by_key(|tapped| tapped.stamp);
        Ok(std::mem::take(&mut self.waiting))
    }

    /// Frames that were not seen, because they came faster than they were read or could not be read.
    pub fn missed(&mut self) -> u64 {
        for lane in &self.tap.lanes {
            self.missed += lane.take_counts().1;
        }
        self.missed
    }

    fn wait(&self, timeout: Duration) -> io::Result<()> {
        let mut descriptors = self
            .tap
            .lanes
            .each_ref()
            .map(|lane| PollFd::new(lane.as_fd(), PollFlags::POLLIN));
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::ZERO);
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn drain(&mut self, number: usize) -> io::Result<()> {
        let Some(lane) = self.tap.lanes.get(number) else {
            return Ok(());
        };
        let mut habit = Habit::default();
        for _ in 0..TURNS {
            let received = match self.batch.receive(lane, &mut habit) {
                Ok(0) => return Ok(()),
                Ok(received) => received,
                Err(error) if is_gone(&error) => return Err(error),
                Err(_) => {
                    self.missed += 1; // an offload that the header cannot express; the frame is consumed
                    continue;
                }
            };
            for place in 0..received {
                let Some(arrived) = self.batch.take(place, &mut self.pool) else {
                    self.missed += 1;
                    continue;
                };
                let forward = (number == 0) != arrived.outgoing;
                self.waiting.push(Tapped {
                    stamp: arrived.stamp,
                    direction: if forward {
                        Direction::Forward
                    } else {
                        Direction::Backward
                    },
                    leaving: arrived.outgoing,
                    bytes: arrived.frame.ethernet().to_vec(),
                });
                self.pool.discard(arrived.frame);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for TapReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TapReader")
            .field("tap", &self.tap)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

/// The interface has been removed; that it is down passes.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENXIO | libc::ENODEV))
}
