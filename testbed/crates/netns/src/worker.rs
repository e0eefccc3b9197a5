//! The one thread that runs closures inside namespaces.

use std::any::Any;
use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns};

use crate::error::NetnsError;

/// Closures that may wait for the thread before their callers wait as well.
const WAITING: usize = 16;

/// A thread that enters a namespace for each closure, and afterwards one where it is in nobody's way.
pub(crate) struct Worker {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    target: OwnedFd,
    run: Box<dyn FnOnce(nix::Result<()>) + Send>,
}

impl Worker {
    /// Starts the thread. Between closures it stays in `home`, because without root it could not go back to the host's namespace,
    /// and staying in the last one would keep that alive.
    pub(crate) fn start(home: OwnedFd) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = thread::Builder::new().name("netns-enter".into()).spawn(move || {
            serve(&receiver, &home);
        })?;
        Ok(Self {
            jobs: Some(sender),
            thread: Some(thread),
        })
    }

    /// Runs the closure in the namespace and waits for its result.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        namespace: &str,
        descriptor: BorrowedFd<'_>,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NetnsError> {
        let unusable = |reason: &str| NetnsError::Worker {
            namespace: namespace.into(),
            reason: reason.into(),
        };
        if self.is_current() {
            return Err(unusable("code inside a namespace cannot enter another one"));
        }
        let target = descriptor
            .try_clone_to_owned()
            .map_err(|source| NetnsError::System {
                operation: "keep it open".into(),
                namespace: namespace.into(),
                source,
            })?;
        let (answer, result) = sync_channel(1);
        let run = Box::new(move |entered: nix::Result<()>| {
            let outcome = entered.map(|()| catch_unwind(AssertUnwindSafe(closure)));
            // The caller waits for this answer, so the channel is open.
            let _ = answer.send(outcome);
        });
        let jobs = self.jobs.as_ref().ok_or_else(|| unusable("it has ended"))?;
        jobs.send(Job { target, run })
            .map_err(|_| unusable("it has ended"))?;
        match result.recv().map_err(|_| unusable("it has ended"))? {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(NetnsError::Panicked {
                namespace: namespace.into(),
                message: panic_message(panic.as_ref()),
            }),
            Err(errno) => Err(NetnsError::System {
                operation: "run code".into(),
                namespace: namespace.into(),
                source: errno.into(),
            }),
        }
    }

    fn is_current(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|handle| handle.thread().id() == thread::current().id())
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // The last owner may be a closure on the thread itself, which then ends after this.
        if !self.is_current()
            && let Some(thread) = self.thread.take()
        {
            // Panics of closures are caught, so there is nothing to report.
            let _ = thread.join();
        }
    }
}

fn serve(jobs: &Receiver<Job>, home: &OwnedFd) {
    for job in jobs {
        let entered = setns(&job.target, CloneFlags::CLONE_NEWNET);
        drop(job.target);
        (job.run)(entered);
        if let Err(errno) = setns(home, CloneFlags::CLONE_NEWNET) {
            // The next closure enters its own namespace all the same.
            tracing::warn!(%errno, "cannot leave a network namespace");
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into())
}
