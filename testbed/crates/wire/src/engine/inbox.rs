//! How the engine's handle speaks to its threads.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::path::Path;
use crate::statistics::{DirectionStatistics, EngineStatistics};
use crate::{Impairment, Replay};

/// What a thread can be asked. Whoever waits for an answer sees the sender gone if the thread is: see
/// [`Inbox::close`].
#[derive(Debug)]
pub(super) enum Command {
    /// Take on a path from one interface to another.
    Add {
        source: u32,
        output: u32,
        path: Box<Path>,
        done: Sender<()>,
    },
    /// Give up the path from an interface.
    Remove { source: u32, done: Sender<()> },
    /// Change the path from an interface.
    Set {
        source: u32,
        impairment: Impairment,
        done: Sender<()>,
    },
    /// Begin a replay on the path from an interface, or end the one there is.
    Replay {
        source: u32,
        replay: Option<Replay>,
        done: Sender<()>,
    },
    /// Tell all counters.
    Report { answer: Sender<Report> },
    /// End.
    Stop,
}

/// The counters of one thread.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) directions: HashMap<u32, DirectionStatistics>,
    pub(super) engine: EngineStatistics,
}

/// Commands for one thread, and a descriptor that becomes readable when there are some.
#[derive(Debug)]
pub(super) struct Inbox {
    /// None once nobody reads any more.
    commands: Mutex<Option<Vec<Command>>>,
    bell: EventFd,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Inbox> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Inbox {
            commands: Mutex::new(Some(Vec::new())),
            bell,
        })
    }

    /// Leaves a command for the thread. If that has ended, the command is dropped, and with it the sender of
    /// its answer.
    pub(super) fn put(&self, command: Command) {
        if let Some(commands) = &mut *self.lock() {
            commands.push(command);
        }
        // Fails only if the counter is full, and then the thread will wake anyway.
        let _ = self.bell.write(1);
    }

    pub(super) fn take(&self) -> Vec<Command> {
        // Fails only if nobody rang; then there is nothing to silence.
        let _ = self.bell.read();
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes no more commands and drops those not yet read.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Command>>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_closed_inbox_lets_nobody_wait() {
        let inbox = Inbox::new().unwrap();
        let (done, early) = channel();
        inbox.put(Command::Remove { source: 1, done });
        assert_eq!(inbox.take().len(), 1);
        let (done, pending) = channel();
        inbox.put(Command::Remove { source: 1, done });
        inbox.close();
        let (done, late) = channel();
        inbox.put(Command::Remove { source: 1, done });
        for answer in [early, pending, late] {
            assert!(answer.recv().is_err());
        }
        assert_eq!(inbox.take().len(), 0);
    }
}
