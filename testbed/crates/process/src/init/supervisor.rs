//! Init's event loop: one thread, nothing that blocks.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};

use super::channel::{Channel, Incoming};
use super::etc;
use super::log::Logs;
use super::service::{After, Service, kill_group};
use super::shutdown::Shutdown;
use crate::error::{Cannot, ProcessError};
use crate::message::{Notice, Order, Request};
use crate::spec::{Event, ServiceSpec};
use crate::status::ExitStatus;

const SIGNALS: u64 = 0;
const CONTROL: u64 = 1;
const LIFELINE: u64 = 2;
/// The token of a service's log is its number; numbers start here.
const FIRST_SERVICE: u64 = 3;

/// The time services have when init gets SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

pub(super) struct Supervisor {
    epoll: Epoll,
    signals: SignalFd,
    /// Held, because the event queue watches it.
    _lifeline: Option<OwnedFd>,
    logs: Logs,
    /// In the order of their start.
    services: Vec<Service>,
    next_number: u64,
    shutdown: Option<Shutdown>,
    waits_for_room: bool,
}

impl Supervisor {
    /// Without a lifeline, init ends only when it is told to.
    pub(super) fn new(
        logs: Logs,
        lifeline: Option<OwnedFd>,
        channel: &Channel,
    ) -> Result<Self, ProcessError> {
        SigSet::all()
            .thread_set_mask()
            .cannot(|| "block signals".into())?;
        let taken = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT]
            .into_iter()
            .collect();
        let signals = SignalFd::with_flags(&taken, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .cannot(|| "make a signal descriptor".into())?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).cannot(|| "make an event queue".into())?;
        let watch = |descriptor, flags, token| {
            epoll
                .add(descriptor, EpollEvent::new(flags, token))
                .cannot(|| "use an event queue".into())
        };
        watch(signals.as_fd(), EpollFlags::EPOLLIN, SIGNALS)?;
        if let Some(control) = channel.as_fd() {
            watch(control, EpollFlags::EPOLLIN, CONTROL)?;
        }
        if let Some(lifeline) = &lifeline {
            // Nothing is ever written to it; its end is always reported.
            watch(lifeline.as_fd(), EpollFlags::EPOLLIN, LIFELINE)?;
        }
        Ok(Self {
            epoll,
            signals,
            _lifeline: lifeline,
            logs,
            services: Vec::new(),
            next_number: FIRST_SERVICE,
            shutdown: None,
            waits_for_room: false,
        })
    }

    /// Until the node ends; the result is init's exit code. The kernel kills what is left with it.
    pub(super) fn run(&mut self, channel: &mut Channel) -> i32 {
        let mut events = [EpollEvent::empty(); 16];
        loop {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(_) => return 1,
            };
            for event in &events[..count] {
                match event.data() {
                    SIGNALS => self.take_signals(channel),
                    LIFELINE => return 0,
                    CONTROL => {
                        channel.flush();
                        match channel.receive() {
                            Incoming::Requests(requests) => {
                                requests
                                    .into_iter()
                                    .for_each(|request| self.take(request, channel));
                            }
                            Incoming::Closed => return 0,
                        }
                    }
                    number => {
                        if let Some(service) =
                            self.services.iter_mut().find(|service| service.number == number)
                        {
                            service.log.pump();
                            warn(service.log.warning(), channel);
                        }
                    }
                }
            }
            if self.tick(channel) {
                return 0;
            }
            self.watch_for_room(channel);
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let services = self.services.iter().filter_map(Service::deadline);
        let Some(deadline) = services
            .chain(self.shutdown.as_ref().map(Shutdown::deadline))
            .min()
        else {
            return EpollTimeout::NONE;
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        // Rounded up: a millisecond too early would spin until it is time.
        let milliseconds = wait.as_micros().div_ceil(1000).min(60_000) as u16;
        EpollTimeout::from(milliseconds)
    }

    /// Does what is due; true: the node ends.
    fn tick(&mut self, channel: &mut Channel) -> bool {
        let now = Instant::now();
        for service in &mut self.services {
            if let Some(event) = service.tick(now) {
                channel.send(&Notice::Event(event));
            }
        }
        let services = &self.services;
        self.shutdown
            .as_mut()
            .is_some_and(|shutdown| shutdown.advance(services, now))
    }

    fn watch_for_room(&mut self, channel: &Channel) {
        if channel.has_backlog() != self.waits_for_room {
            self.waits_for_room = channel.has_backlog();
            let room = if self.waits_for_room {
                EpollFlags::EPOLLOUT
            } else {
                EpollFlags::empty()
            };
            let mut event = EpollEvent::new(EpollFlags::EPOLLIN | room, CONTROL);
            // Without it the backlog goes with the next message instead.
            if let Some(control) = channel.as_fd() {
                _ = self.epoll.modify(control, &mut event);
            }
        }
    }

    fn take_signals(&mut self, channel: &mut Channel) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo != Signal::SIGCHLD as u32 {
                self.begin_shutdown(GRACE);
            }
        }
        self.reap(channel);
    }

    /// Takes the status of every process that has ended, the node's orphans among them.
    fn reap(&mut self, channel: &mut Channel) {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while let Ok(status) = waitid(Id::All, look) {
            let Some(pid) = status.pid() else { return };
            let service = self
                .services
                .iter()
                .position(|service| service.pid() == Some(pid));
            if service.is_some() {
                // While its number is still taken: what it has left behind would be in the way of its successor.
                kill_group(pid);
            }
            let status = waitpid(pid, None)
                .ok()
                .and_then(ExitStatus::from_wait)
                .unwrap_or(ExitStatus::Unknown);
            if let Some(index) = service {
                self.ended(index, status, channel);
            }
        }
    }

    fn ended(&mut self, index: usize, status: ExitStatus, channel: &mut Channel) {
        let service = &mut self.services[index];
        let after = service.ended(status, self.shutdown.is_some(), Instant::now());
        warn(service.log.warning(), channel);
        match after {
            After::WillRestart(event) => channel.send(&Notice::Event(event)),
            After::Gone(event) => {
                channel.send(&Notice::Event(event));
                self.forget(index, channel);
            }
        }
    }

    fn forget(&mut self, index: usize, channel: &mut Channel) {
        let service = self.services.remove(index);
        // The pipe may live on in a process that has left the group; nobody listens to it any more.
        _ = self.epoll.delete(service.log.as_fd());
        if let Some(stop) = service.stop {
            answer(channel, stop.answer, Ok(()));
        }
    }

    fn take(&mut self, request: Request, channel: &mut Channel) {
        let id = request.id;
        match request.order {
            Order::StartService(spec) => {
                let result = self.start(spec, channel);
                answer(channel, id, result);
            }
            Order::StopService { name, grace } => match self.find(&name) {
                Ok(index) if self.services[index].pid().is_none() => {
                    self.forget(index, channel);
                    answer(channel, id, Ok(()));
                }
                Ok(index) if self.services[index].stop.is_some() => {
                    answer(channel, id, Err("it is being stopped already".into()));
                }
                // Answered when it has ended.
                Ok(index) => self.services[index].stop(grace, id, Instant::now()),
                Err(reason) => answer(channel, id, Err(reason)),
            },
            Order::SignalService { name, signal } => {
                let result = self.find(&name).and_then(|index| {
                    let sent = self.services[index].signal(signal);
                    if sent {
                        Ok(())
                    } else {
                        Err(format!("signal {signal} cannot be sent, or it does not run"))
                    }
                });
                answer(channel, id, result);
            }
            Order::Shutdown { grace } => {
                self.begin_shutdown(grace);
                answer(channel, id, Ok(()));
            }
            Order::SetHosts(hosts) => {
                let result = etc::rewrite_hosts(&hosts);
                answer(channel, id, result.map_err(|error| error.to_string()));
            }
        }
    }

    fn find(&self, name: &str) -> Result<usize, String> {
        let found = self.services.iter().position(|service| service.spec.name == name);
        found.ok_or_else(|| "no service of this name".to_owned())
    }

    pub(super) fn start(&mut self, spec: ServiceSpec, channel: &mut Channel) -> Result<(), String> {
        if self.shutdown.is_some() {
            return Err("the node is about to end".into());
        }
        if self.find(&spec.name).is_ok() {
            return Err("there is a service of this name already".into());
        }
        let (service, event) = Service::start(self.next_number, spec, &self.logs, Instant::now())?;
        self.next_number += 1;
        let watched = self.epoll.add(
            service.log.as_fd(),
            EpollEvent::new(EpollFlags::EPOLLIN, service.number),
        );
        if let (Err(error), Some(pid)) = (watched, service.pid()) {
            kill_group(pid);
            return Err(format!("its output cannot be watched: {error}"));
        }
        channel.send(&Notice::Event(event));
        self.services.push(service);
        Ok(())
    }

    fn begin_shutdown(&mut self, grace: Duration) {
        if self.shutdown.is_none() {
            // Those that wait for their next start have ended already.
            self.services.retain(|service| service.pid().is_some());
            self.shutdown = Some(Shutdown::new(self.services.len(), grace, Instant::now()));
        }
    }
}

fn warn(text: Option<String>, channel: &mut Channel) {
    if let Some(text) = text {
        channel.send(&Notice::Event(Event::Warning { text }));
    }
}

fn answer(channel: &mut Channel, id: u64, result: Result<(), String>) {
    channel.send(&Notice::Answer {
        id,
        refused: result.err(),
    });
}
