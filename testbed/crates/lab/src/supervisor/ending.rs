//! What ends a lab: the control API, a signal, or the loss of the directory by which every command finds it.

use std::time::Duration;

use nix::sys::signal::{SigSet, Signal as SignalNumber};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::LabError;
use crate::state::SupervisorIdentity;
use crate::supervisor::lab::Lab;

/// Between two looks at the state directory.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps the signals that end a lab waiting until [`Endings::listen`] can take them in good order. Call it while the
/// process has one thread.
pub(crate) fn hold_signals() -> Result<(), LabError> {
    signals().thread_block().map_err(no_signals)
}

fn signals() -> SigSet {
    [SignalNumber::SIGTERM, SignalNumber::SIGINT]
        .into_iter()
        .collect()
}

fn no_signals(error: impl Into<std::io::Error>) -> LabError {
    LabError::file("listen for", "signals".as_ref(), error.into())
}

/// Everything that may end a lab once it has begun.
pub(crate) struct Endings {
    identity: SupervisorIdentity,
    terminate: Signal,
    interrupt: Signal,
}

impl Endings {
    /// Begins to listen. Needs the runtime, and lets signals reach the calling thread, whoever blocked them: a mask
    /// is inherited, and `up` has one.
    pub(crate) fn listen(identity: SupervisorIdentity) -> Result<Self, LabError> {
        let terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        signals().thread_unblock().map_err(no_signals)?;
        Ok(Self {
            identity,
            terminate,
            interrupt,
        })
    }

    /// Resolves when the lab is to end. Nothing is missed between two calls.
    pub(crate) async fn any(&mut self, lab: &Lab) {
        tokio::select! {
            () = lab.shutdown_requested() => {}
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = lost(lab, self.identity) => {
                tracing::error!("the lab's directory is gone, so no command can find the lab any more; it ends");
            }
        }
    }
}

/// Resolves when the state directory is not the supervisor's any more.
async fn lost(lab: &Lab, identity: SupervisorIdentity) {
    while lab.state_directory.belongs_to(identity) {
        tokio::time::sleep(LOOK).await;
    }
}
