//! The spawner's thread: makes processes, reads what inits say, notices their end.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::SigSet;
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::wait::{Id, WaitPidFlag, waitid};

use super::prepare::Prepared;
use super::shared::Shared;
use super::{EventSink, Work};
use crate::error::{Cannot, ProcessError};
use crate::frame::FrameBuffer;
use crate::identity;
use crate::message::Notice;
use crate::spec::Event;
use crate::status::ExitStatus;
use crate::sys;

/// The wake-up's token; init number n has 2n (its socket) and 2n + 1 (its process), n from 1.
const WAKE: u64 = 0;

pub(super) struct Reactor {
    epoll: Epoll,
    queue: Receiver<Work>,
    wake: Arc<EventFd>,
    /// Held so that inits see it close.
    _lifeline: OwnedFd,
    own_process: OwnedFd,
    inits: BTreeMap<u64, Tracked>,
    last_number: u64,
}

/// A node ends within milliseconds, unless a process that entered it lost its parent and nobody reaps it.
const GONE_WITHIN: Duration = Duration::from_secs(10);

struct Tracked {
    shared: Arc<Shared>,
    sink: EventSink,
    buffer: FrameBuffer,
    reading: bool,
}

impl Reactor {
    pub(super) fn new(
        queue: Receiver<Work>,
        wake: Arc<EventFd>,
        lifeline: OwnedFd,
        own_process: OwnedFd,
    ) -> Result<Self, ProcessError> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).cannot(|| "make an event queue".into())?;
        epoll
            .add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))
            .cannot(|| "use an event queue".into())?;
        let inits = BTreeMap::new();
        Ok(Self {
            epoll,
            queue,
            wake,
            _lifeline: lifeline,
            own_process,
            inits,
            last_number: 0,
        })
    }

    pub(super) fn run(mut self) {
        // Signals are for other threads; and a process made here starts with all of them blocked.
        _ = SigSet::all().thread_block();
        let mut events = vec![EpollEvent::empty(); 64];
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(error) => {
                    tracing::error!("the spawner's event queue failed: {error}");
                    break;
                }
            };
            for event in &events[..count] {
                match event.data() {
                    WAKE => {
                        _ = self.wake.read();
                        if self.work() {
                            return self.finish();
                        }
                    }
                    token if token % 2 == 0 => self.read(token / 2),
                    token => self.reap(token / 2),
                }
            }
        }
        self.finish();
    }

    /// Does what was asked for; true: the end was asked for.
    fn work(&mut self) -> bool {
        while let Ok(work) = self.queue.try_recv() {
            match work {
                Work::Spawn {
                    prepared,
                    sink,
                    answer,
                } => {
                    let result = self.spawn(*prepared, sink);
                    // An owner that is gone has dropped its init: nothing to tell.
                    _ = answer.send(result);
                }
                Work::Stop => return true,
            }
        }
        false
    }

    fn spawn(&mut self, prepared: Prepared, sink: EventSink) -> Result<Arc<Shared>, ProcessError> {
        let (pid, process) = self
            .clone(&prepared)
            .cannot(|| format!("start init of node {}", prepared.node))?;
        let start_time = identity::start_time(pid)?;
        let shared = Arc::new(Shared::new(
            prepared.node,
            pid,
            start_time,
            process,
            prepared.control,
        ));
        self.last_number += 1;
        let number = self.last_number;
        self.watch(shared.control.as_fd(), 2 * number)?;
        self.watch(shared.process.as_fd(), 2 * number + 1)?;
        let tracked = Tracked {
            shared: Arc::clone(&shared),
            sink,
            buffer: FrameBuffer::default(),
            reading: true,
        };
        self.inits.insert(number, tracked);
        Ok(shared)
    }

    fn watch(&self, descriptor: impl AsFd, token: u64) -> Result<(), ProcessError> {
        self.epoll
            .add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, token))
            .cannot(|| "watch an init".into())
    }

    fn clone(&self, prepared: &Prepared) -> io::Result<(i32, OwnedFd)> {
        let own_process = self.own_process.as_raw_fd();
        if let Some(cgroup) = &prepared.unified {
            let plan = prepared.plan(own_process, true);
            match clone_process(Some(cgroup.as_raw_fd()), &plan) {
                Ok(made) => return Ok(made),
                // Not permitted, too old, or a cgroup that takes no processes: joining from inside says which.
                Err(error) => tracing::debug!("a process cannot be born into its cgroup: {error}"),
            }
        }
        clone_process(None, &prepared.plan(own_process, false))
    }

    fn read(&mut self, number: u64) {
        let Some(tracked) = self.inits.get_mut(&number) else {
            return;
        };
        if tracked.reading && !tracked.read() {
            tracked.reading = false;
            _ = self.epoll.delete(&tracked.shared.control);
        }
    }

    fn reap(&mut self, number: u64) {
        let Some(mut tracked) = self.inits.remove(&number) else {
            return;
        };
        _ = self.epoll.delete(&tracked.shared.control);
        _ = self.epoll.delete(&tracked.shared.process);
        tracked.finish();
    }

    /// Kills what still runs and waits for it.
    fn finish(self) {
        for tracked in self.inits.values() {
            // It may have ended just now.
            _ = sys::pidfd_send_signal(tracked.shared.process.as_fd(), libc::SIGKILL);
        }
        let deadline = Instant::now() + GONE_WITHIN;
        for mut tracked in self.inits.into_values() {
            if !tracked.wait_until(deadline) {
                tracing::warn!("node {} is killed but not gone yet", tracked.shared.node);
            }
            tracked.finish();
        }
    }
}

impl Tracked {
    /// Takes what init has sent; false: it will not send more.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        loop {
            match recv(
                self.shared.control.as_raw_fd(),
                &mut bytes,
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(0) => return false,
                Ok(count) => self.buffer.extend(&bytes[..count]),
                Err(Errno::EAGAIN) => return true,
                Err(Errno::EINTR) => continue,
                Err(_) => return false,
            }
            loop {
                match self.buffer.next::<Notice>() {
                    Ok(Some(notice)) => self.take(notice),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!("init of node {} speaks nonsense: {error}", self.shared.node);
                        return false;
                    }
                }
            }
        }
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Failed { step, code } => {
                let reason = format!("cannot {step}: {}", io::Error::from_raw_os_error(code));
                self.failed(reason);
            }
            Notice::Event(Event::InitFailed { reason }) => self.failed(reason),
            Notice::Event(event) => {
                let ready = event == Event::Ready;
                // Whoever waits finds the event delivered.
                (self.sink)(with_outer_pid(event, self.shared.pid));
                if ready {
                    self.shared.change(|state| state.ready = true);
                }
            }
            Notice::Answer { id, refused } => self.shared.change(|state| {
                // Nobody waits any more for an answer that is not listed.
                if let Some(answer) = state.answers.get_mut(&id) {
                    *answer = Some(refused.map_or(Ok(()), Err));
                }
            }),
        }
    }

    fn failed(&mut self, reason: String) {
        (self.sink)(Event::InitFailed {
            reason: reason.clone(),
        });
        self.shared.change(|state| state.failure = Some(reason));
    }

    /// Waits for the end of a killed process.
    fn wait_until(&self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).as_millis();
            let mut process = [PollFd::new(self.shared.process.as_fd(), PollFlags::POLLIN)];
            match poll(
                &mut process,
                PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO),
            ) {
                Err(Errno::EINTR) => {}
                other => return other.is_ok_and(|ended| ended > 0),
            }
        }
    }

    /// Takes the status of the process, which has ended, and tells.
    fn finish(&mut self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        let waited = waitid(Id::PIDFd(self.shared.process.as_fd()), flags);
        let status = waited
            .ok()
            .and_then(ExitStatus::from_wait)
            .unwrap_or(ExitStatus::Unknown);
        if self.reading {
            self.read();
        }
        (self.sink)(Event::InitExited { status });
        self.shared.change(|state| state.exited = Some(status));
    }
}

/// Init knows its services by their numbers inside; `/proc` of this process knows both numbers.
fn with_outer_pid(event: Event, init: i32) -> Event {
    match event {
        Event::ServiceStarted {
            name,
            inner_pid,
            restarts,
            ..
        } => {
            let pid = identity::outer_pid(init, inner_pid).unwrap_or(0);
            Event::ServiceStarted {
                name,
                pid,
                inner_pid,
                restarts,
            }
        }
        other => other,
    }
}

fn clone_process(cgroup: Option<RawFd>, plan: &super::child::ChildPlan<'_>) -> io::Result<(i32, OwnedFd)> {
    let mut process: RawFd = -1;
    let mut arguments = sys::empty_clone_arguments();
    let namespaces = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
    arguments.flags = (namespaces | libc::CLONE_PIDFD) as u64;
    arguments.pidfd = (&raw mut process) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        arguments.flags |= sys::CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup as u64;
    }
    // SAFETY: memory and descriptors are copied, and the child does nothing but run the plan, which keeps the rules.
    match unsafe { sys::clone3(&mut arguments) }? {
        // SAFETY: this is the new process.
        0 => unsafe { plan.execute() },
        // SAFETY: the kernel has stored a descriptor that is ours alone.
        pid => Ok((pid, unsafe { OwnedFd::from_raw_fd(process) })),
    }
}
