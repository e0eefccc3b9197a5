//! One service: its program, its log, and what happens when it ends.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::backoff::Backoff;
use super::launch;
use super::log::{Log, Logs};
use crate::spec::{Event, Restart, ServiceSpec};
use crate::status::ExitStatus;

pub(super) struct Service {
    /// Tells services apart, also from earlier ones of the same name.
    pub(super) number: u64,
    pub(super) spec: ServiceSpec,
    pub(super) log: Log,
    pub(super) stop: Option<Stop>,
    state: State,
    backoff: Backoff,
    restarts: u32,
}

enum State {
    Running { pid: Pid, since: Instant },
    Waiting { until: Instant },
}

/// A service that is asked to end.
pub(super) struct Stop {
    /// When it is killed if it has not ended.
    kill_at: Instant,
    /// The request that is answered then.
    pub(super) answer: u64,
}

/// What is left of a service after its program has ended.
pub(super) enum After {
    WillRestart(Event),
    Gone(Event),
}

impl Service {
    /// Writes its files and starts it for the first time.
    pub(super) fn start(
        number: u64,
        spec: ServiceSpec,
        logs: &Logs,
        now: Instant,
    ) -> Result<(Self, Event), String> {
        launch::check(&spec)?;
        launch::write_files(&spec)?;
        let log = Log::open(logs, &spec.name).map_err(|error| error.to_string())?;
        let pid = launch::launch(&spec, || log.writer())?;
        let state = State::Running { pid, since: now };
        let service = Self {
            number,
            spec,
            log,
            stop: None,
            state,
            backoff: Backoff::default(),
            restarts: 0,
        };
        let event = service.started(pid);
        Ok((service, event))
    }

    fn started(&self, pid: Pid) -> Event {
        let name = self.spec.name.clone();
        Event::ServiceStarted {
            name,
            pid: 0,
            inner_pid: pid.as_raw(),
            restarts: self.restarts,
        }
    }

    /// Its process, if it runs.
    pub(super) fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Running { pid, .. } => Some(pid),
            State::Waiting { .. } => None,
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match (&self.state, &self.stop) {
            (State::Waiting { until }, _) => Some(*until),
            (State::Running { .. }, Some(stop)) => Some(stop.kill_at),
            (State::Running { .. }, None) => None,
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Event> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        match self.state {
            State::Running { pid, .. } => {
                kill_group(pid);
                self.stop = self.stop.take().map(|stop| Stop {
                    kill_at: now + Duration::from_secs(1),
                    ..stop
                });
                None
            }
            State::Waiting { .. } => self.restart(now),
        }
    }

    fn restart(&mut self, now: Instant) -> Option<Event> {
        match launch::launch(&self.spec, || self.log.writer()) {
            Ok(pid) => {
                self.restarts = self.restarts.saturating_add(1);
                self.state = State::Running { pid, since: now };
                Some(self.started(pid))
            }
            Err(reason) => {
                self.log.note(&reason);
                self.state = State::Waiting {
                    until: now + self.backoff.after(Duration::ZERO),
                };
                Some(Event::Warning {
                    text: format!("service {}: {reason}", self.spec.name),
                })
            }
        }
    }

    /// Asks the program to end, and sees to it.
    pub(super) fn stop(&mut self, grace: Duration, answer: u64, now: Instant) {
        self.signal(Signal::SIGTERM as i32);
        self.stop = Some(Stop {
            kill_at: now + grace,
            answer,
        });
    }

    /// Sends a signal to the program; false: it does not run, or that is no signal.
    pub(super) fn signal(&self, signal: i32) -> bool {
        let signal = Signal::try_from(signal);
        matches!((self.pid(), signal), (Some(pid), Ok(signal)) if kill(pid, signal).is_ok())
    }

    /// Its program has ended. `ending`: the node is about to end, nothing starts again.
    pub(super) fn ended(&mut self, status: ExitStatus, ending: bool, now: Instant) -> After {
        // Its last words are to be in the file before anyone is told.
        self.log.pump();
        let ran = match self.state {
            State::Running { since, .. } => now.saturating_duration_since(since),
            State::Waiting { .. } => Duration::ZERO,
        };
        let name = self.spec.name.clone();
        if ending || self.stop.is_some() || self.spec.restart == Restart::Never {
            return After::Gone(Event::ServiceExited {
                name,
                status,
                will_restart_in: None,
            });
        }
        let delay = self.backoff.after(ran);
        self.state = State::Waiting { until: now + delay };
        After::WillRestart(Event::ServiceExited {
            name,
            status,
            will_restart_in: Some(delay),
        })
    }
}

/// Kills a service's process and all that it has started and that has not left its group.
pub(super) fn kill_group(pid: Pid) {
    // Nobody left is what is wanted.
    _ = killpg(pid, Signal::SIGKILL);
}
