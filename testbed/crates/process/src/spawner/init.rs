//! A running node, as seen by the process that started it.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::shared::Shared;
use crate::cgroup::CgroupReference;
use crate::error::ProcessError;
use crate::message::Order;
use crate::spec::ServiceSpec;
use crate::status::ExitStatus;
use crate::sys;

/// How long init may take to answer, beyond the time that the request itself gives.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a stopped service may go on before it is killed.
const SERVICE_GRACE: Duration = Duration::from_secs(5);

/// A node's init. Dropping it kills the node.
///
/// The methods block until init has answered, which takes well under a millisecond unless said otherwise.
#[derive(Debug)]
pub struct Init {
    shared: Arc<Shared>,
    cgroup: Option<CgroupReference>,
}

/// A node, for another process of this machine (see [`execute_in`](crate::execute_in)) or for a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReference {
    /// The number of the node's init, as seen from outside the node.
    pub pid: i32,
    /// When it started, in clock ticks since the machine booted.
    pub start_time: u64,
    /// The cgroup that programs of the node belong to.
    pub cgroup: Option<CgroupReference>,
}

impl Init {
    pub(super) fn new(shared: Arc<Shared>, cgroup: Option<CgroupReference>) -> Self {
        Self { shared, cgroup }
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.shared.node
    }

    /// Init's number, as seen from outside the node.
    pub fn pid(&self) -> i32 {
        self.shared.pid
    }

    /// When init started, in clock ticks since the machine booted.
    pub fn start_time(&self) -> u64 {
        self.shared.start_time
    }

    /// A descriptor of init's process.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.shared.process.as_fd()
    }

    /// Enough for another process to enter the node.
    pub fn reference(&self) -> NodeReference {
        NodeReference {
            pid: self.pid(),
            start_time: self.start_time(),
            cgroup: self.cgroup.clone(),
        }
    }

    /// Waits until the node takes services.
    ///
    /// # Errors
    /// [`ProcessError::InitFailed`] with the step that failed, [`ProcessError::InitEnded`], [`ProcessError::NoAnswer`].
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), ProcessError> {
        let outcome = self.shared.wait_for(timeout, |state| {
            let ended = state
                .exited
                .map(|status| Err(self.shared.ended(state.failure.as_deref(), status)));
            ended.or_else(|| state.ready.then_some(Ok(())))
        });
        outcome.unwrap_or_else(|| Err(self.no_answer(timeout)))
    }

    /// Starts a service after those that were started before. Returns when its program has been executed (it may have
    /// ended since, see [`Event::ServiceExited`](crate::Event::ServiceExited)).
    ///
    /// # Errors
    /// [`ProcessError::Service`] when a file cannot be written or the program cannot be executed: then there is no
    /// such service. [`ProcessError::InitFailed`], [`ProcessError::InitEnded`], [`ProcessError::NoAnswer`].
    pub fn start_service(&self, service: ServiceSpec) -> Result<(), ProcessError> {
        let name = service.name.clone();
        self.ask_about(&name, Order::StartService(service), ANSWER_WITHIN)
    }

    /// Ends a service with SIGTERM, after 5 s with SIGKILL, and forgets it. Returns when it has ended.
    ///
    /// # Errors
    /// [`ProcessError::Service`] for an unknown service; and as [`Init::start_service`].
    pub fn stop_service(&self, name: &str) -> Result<(), ProcessError> {
        let order = Order::StopService {
            name: name.to_owned(),
            grace: SERVICE_GRACE,
        };
        self.ask_about(name, order, SERVICE_GRACE + ANSWER_WITHIN)
    }

    /// Sends a signal to a service's process; what follows is as if it came from elsewhere, so one that dies of it is
    /// started again.
    ///
    /// # Errors
    /// [`ProcessError::Service`] for an unknown service or one that does not run; and as [`Init::start_service`].
    pub fn signal_service(&self, name: &str, signal: i32) -> Result<(), ProcessError> {
        self.ask_about(
            name,
            Order::SignalService {
                name: name.to_owned(),
                signal,
            },
            ANSWER_WITHIN,
        )
    }

    /// Replaces the lines of the node's `/etc/hosts` after those of the loopback.
    ///
    /// # Errors
    /// [`ProcessError::Service`] when the file cannot be written; and as [`Init::start_service`].
    pub fn set_hosts(&self, hosts: Vec<(IpAddr, String)>) -> Result<(), ProcessError> {
        self.ask_about("/etc/hosts", Order::SetHosts(hosts), ANSWER_WITHIN)
    }

    /// Ends the node: SIGTERM to its services, the last one first, each in its turn; after `grace` in total SIGKILL to
    /// all that is left. Returns when every process of the node is gone.
    ///
    /// # Errors
    /// [`ProcessError::NoAnswer`] when even SIGKILL did not end it.
    pub fn shutdown(&self, grace: Duration) -> Result<(), ProcessError> {
        // Whether init takes the order or has ended, what counts is the end.
        _ = self.shared.ask(Order::Shutdown { grace }, ANSWER_WITHIN);
        if self.wait_exit(grace + Duration::from_secs(1)).is_some() {
            return Ok(());
        }
        self.kill();
        match self.wait_exit(ANSWER_WITHIN) {
            Some(_) => Ok(()),
            None => Err(self.no_answer(ANSWER_WITHIN)),
        }
    }

    /// Kills every process of the node at once; returns before they are gone.
    pub fn kill(&self) {
        // The only failure is that it has ended.
        _ = sys::pidfd_send_signal(self.pidfd(), libc::SIGKILL);
    }

    /// Waits until the node has ended, with all its processes.
    pub fn wait_exit(&self, timeout: Duration) -> Option<ExitStatus> {
        self.shared.wait_for(timeout, |state| state.exited)
    }

    fn ask_about(&self, service: &str, order: Order, timeout: Duration) -> Result<(), ProcessError> {
        self.shared
            .ask(order, timeout)?
            .map_err(|reason| ProcessError::Service {
                node: self.shared.node.clone(),
                service: service.to_owned(),
                reason,
            })
    }

    fn no_answer(&self, timeout: Duration) -> ProcessError {
        ProcessError::NoAnswer {
            node: self.shared.node.clone(),
            seconds: timeout.as_secs_f64(),
        }
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        self.kill();
    }
}
