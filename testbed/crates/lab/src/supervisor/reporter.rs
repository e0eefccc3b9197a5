//! The supervisor's words to the command that started it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::progress::Progress;

/// Writes milestones to standard output, one JSON line each.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    listener_gone: AtomicBool,
}

impl Reporter {
    /// Sends a milestone. A listener that has gone away is remembered: see [`Reporter::listener_gone`].
    pub(crate) fn send(&self, milestone: &Progress) {
        let Ok(mut line) = serde_json::to_vec(milestone) else {
            return;
        };
        line.push(b'\n');
        let mut stdout = std::io::stdout().lock();
        if stdout.write_all(&line).and_then(|()| stdout.flush()).is_err() {
            self.listener_gone.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a milestone could not be delivered.
    pub(crate) fn listener_gone(&self) -> bool {
        self.listener_gone.load(Ordering::Relaxed)
    }
}
