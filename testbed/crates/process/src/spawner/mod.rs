//! Starting inits from one permanent thread, and talking to them.
//!
//! `PR_SET_PDEATHSIG` fires when the *thread* that made a process ends, not when its process ends. So all inits are
//! started by one thread that lives as long as its [`Spawner`].

mod child;
mod init;
mod prepare;
mod reactor;
mod shared;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use nix::fcntl::OFlag;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::pipe2;

pub use init::{Init, NodeReference};
pub(crate) use prepare::c_string;

use crate::error::{Cannot, ProcessError};
use crate::spec::{Event, InitSpec};
use crate::sys;
use prepare::Prepared;
use reactor::Reactor;
use shared::Shared;

/// Receives a node's events, on the spawner's thread: it must not block.
type EventSink = Box<dyn FnMut(Event) + Send>;

/// What the thread is asked to do.
enum Work {
    Spawn {
        prepared: Box<Prepared>,
        sink: EventSink,
        answer: SyncSender<Result<Arc<Shared>, ProcessError>>,
    },
    Stop,
}

/// Starts inits. Dropping it kills every node it has started, and returns when they are gone.
#[derive(Debug)]
pub struct Spawner {
    work: Sender<Work>,
    wake: Arc<EventFd>,
    lifeline: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`ProcessError::System`] when the kernel gives no thread, pipe or event queue.
    pub fn start() -> Result<Self, ProcessError> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .cannot(|| "make an event descriptor".into())?;
        let wake = Arc::new(wake);
        let (work, queue) = mpsc::channel();
        // Nobody writes to the lifeline. Each init keeps its reading end, and sees its end when this process, which
        // alone has the writing end, is gone.
        let (lifeline, writing_end) = pipe2(OFlag::O_CLOEXEC).cannot(|| "make the lifeline pipe".into())?;
        let own_process =
            sys::pidfd_open(std::process::id() as i32).cannot(|| "open the own process".into())?;
        let reactor = Reactor::new(queue, Arc::clone(&wake), writing_end, own_process)?;
        let thread = thread::Builder::new()
            .name("spawner".into())
            .spawn(move || reactor.run())
            .cannot(|| "start the spawner's thread".into())?;
        Ok(Self {
            work,
            wake,
            lifeline,
            thread: Some(thread),
        })
    }

    /// Starts a node's init and returns at once; `events` gets [`Event::Ready`] when the node takes services (or see
    /// [`Init::wait_ready`]). Requests made before are kept until then.
    ///
    /// # Errors
    /// [`ProcessError::System`] when the kernel refuses a process, [`ProcessError::NullByte`] for an unusable path.
    pub fn spawn_init(
        &self,
        spec: InitSpec,
        events: impl FnMut(Event) + Send + 'static,
    ) -> Result<Init, ProcessError> {
        let cgroup = spec.cgroup.clone();
        let prepared = Box::new(Prepared::new(spec, &self.lifeline)?);
        let (answer, reply) = mpsc::sync_channel(1);
        self.work
            .send(Work::Spawn {
                prepared,
                sink: Box::new(events),
                answer,
            })
            .map_err(|_| ProcessError::SpawnerEnded)?;
        self.wake()?;
        let shared = reply.recv().map_err(|_| ProcessError::SpawnerEnded)??;
        Ok(Init::new(shared, cgroup))
    }

    fn wake(&self) -> Result<(), ProcessError> {
        match self.wake.write(1) {
            // A full counter wakes as well.
            Ok(_) | Err(nix::errno::Errno::EAGAIN) => Ok(()),
            Err(error) => Err(io::Error::from(error)).cannot(|| "wake the spawner's thread".into()),
        }
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        // A thread that has ended already needs neither.
        _ = self.work.send(Work::Stop);
        _ = self.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that starts processes has panicked");
        }
    }
}
