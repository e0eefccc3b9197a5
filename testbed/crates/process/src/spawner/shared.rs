//! What the spawner's thread and the owner of an [`Init`](super::Init) both see.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Cannot, ProcessError};
use crate::frame;
use crate::message::{Order, Request};
use crate::status::ExitStatus;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) node: String,
    pub(super) pid: i32,
    pub(super) start_time: u64,
    pub(super) process: OwnedFd,
    pub(super) control: UnixStream,
    /// Held while a frame is written, so that those of two threads do not mix.
    writing: Mutex<()>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) ready: bool,
    pub(super) failure: Option<String>,
    pub(super) exited: Option<ExitStatus>,
    /// Requests that wait for their answer, and answers that wait to be fetched.
    pub(super) answers: BTreeMap<u64, Option<Result<(), String>>>,
    last_id: u64,
}

impl Shared {
    pub(super) fn new(
        node: String,
        pid: i32,
        start_time: u64,
        process: OwnedFd,
        control: UnixStream,
    ) -> Self {
        let (writing, state, changed) = (Mutex::default(), Mutex::default(), Condvar::new());
        Self {
            node,
            pid,
            start_time,
            process,
            control,
            writing,
            state,
            changed,
        }
    }

    /// The state holds no invariant that a panic elsewhere could break half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `find` finds something, `None` after `timeout`.
    pub(super) fn wait_for<T>(
        &self,
        timeout: Duration,
        mut find: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(found) = find(&mut state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Sends an order and waits for the answer; the inner error is init's refusal.
    pub(super) fn ask(&self, order: Order, timeout: Duration) -> Result<Result<(), String>, ProcessError> {
        let id = self.send(order)?;
        let answer = self.wait_for(timeout, |state| {
            if state.answers.get(&id).is_some_and(Option::is_some) {
                return state.answers.remove(&id).flatten().map(Ok);
            }
            state
                .exited
                .map(|status| Err(self.ended(state.failure.as_deref(), status)))
        });
        match answer {
            Some(answer) => answer,
            None => {
                self.change(|state| _ = state.answers.remove(&id));
                Err(ProcessError::NoAnswer {
                    node: self.node.clone(),
                    seconds: timeout.as_secs_f64(),
                })
            }
        }
    }

    fn send(&self, order: Order) -> Result<u64, ProcessError> {
        let id = self.expect_answer()?;
        let frame = frame::encode(&Request { id, order })
            .cannot(|| format!("describe a request to {}", self.node))?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        (&self.control)
            .write_all(&frame)
            .cannot(|| format!("send a request to node {}", self.node))?;
        Ok(id)
    }

    fn expect_answer(&self) -> Result<u64, ProcessError> {
        let mut state = self.lock();
        if let Some(status) = state.exited {
            return Err(self.ended(state.failure.as_deref(), status));
        }
        state.last_id += 1;
        let id = state.last_id;
        state.answers.insert(id, None);
        Ok(id)
    }

    pub(super) fn ended(&self, failure: Option<&str>, status: ExitStatus) -> ProcessError {
        match failure {
            Some(reason) => ProcessError::InitFailed {
                node: self.node.clone(),
                reason: reason.to_owned(),
            },
            None => ProcessError::InitEnded {
                node: self.node.clone(),
                status,
            },
        }
    }
}
