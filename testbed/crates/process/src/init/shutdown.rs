//! The orderly end of a node.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::service::Service;

/// How long killed processes may take to be gone before init leaves anyway.
const AFTER_KILL: Duration = Duration::from_secs(1);

/// Services are asked in reverse order, each when the one after it has ended, or has used up its share of the time.
pub(super) struct Shutdown {
    turn: Duration,
    next_turn: Instant,
    kill_at: Instant,
    /// Services with a smaller number were not asked yet.
    asked_from: u64,
    killed: bool,
}

impl Shutdown {
    pub(super) fn new(services: usize, grace: Duration, now: Instant) -> Self {
        let turn = grace / u32::try_from(services.max(1)).unwrap_or(u32::MAX);
        Self {
            turn,
            next_turn: now,
            kill_at: now + grace,
            asked_from: u64::MAX,
            killed: false,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        if self.killed {
            self.kill_at + AFTER_KILL
        } else {
            self.next_turn.min(self.kill_at)
        }
    }

    /// Does what is due; true: init may leave. `services` are in the order of their start.
    pub(super) fn advance(&mut self, services: &[Service], now: Instant) -> bool {
        let running = || services.iter().filter(|service| service.pid().is_some());
        if running().next().is_none() {
            return true;
        }
        if now >= self.kill_at {
            if !self.killed {
                // Every process of the node but init. Nobody left is what is wanted.
                _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
                self.killed = true;
            }
            return now >= self.kill_at + AFTER_KILL;
        }
        let asked_still_run = running().any(|service| service.number >= self.asked_from);
        if (!asked_still_run || now >= self.next_turn)
            && let Some(service) = running().rfind(|service| service.number < self.asked_from)
        {
            service.signal(Signal::SIGTERM as i32);
            self.asked_from = service.number;
            self.next_turn = now + self.turn;
        } else if now >= self.next_turn {
            self.next_turn = self.kill_at;
        }
        false
    }
}
