//! How the kernel schedules the engine's threads.

use std::mem::size_of;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::path::Nanoseconds;

/// Any real-time priority goes before all ordinary threads; more is not needed, and kernel threads that have
/// one stay ahead.
const PRIORITY: u32 = 1;
/// The time slice an ordinary thread asks for: the shorter, the sooner it runs after waking (Linux 6.12).
const SLICE: Duration = Duration::from_micros(100);
/// Niceness an ordinary thread asks for.
const NICENESS: i32 = -11;

/// How the engine's threads are scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheduling {
    /// SCHED_FIFO: before all ordinary threads. Needs root or RLIMIT_RTPRIO, and a control group that may.
    Fifo,
    /// As any other thread, with as short a time slice as the kernel gives. Packets are late when all
    /// processors are busy.
    Normal,
}

/// Whether this process may run threads of real-time priority, found out by starting one.
pub fn real_time_allowed() -> bool {
    std::thread::spawn(become_punctual)
        .join()
        .is_ok_and(|scheduling| scheduling == Scheduling::Fifo)
}

/// Makes the calling thread as punctual as the system allows.
pub(super) fn become_punctual() -> Scheduling {
    // SAFETY: sets a property of the calling thread only; the argument is a plain number. Timers of ordinary
    // threads are otherwise up to 50 µs late on purpose.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64, 0_u64, 0_u64, 0_u64) };
    if set_attributes(libc::SCHED_FIFO, PRIORITY, 0, Duration::ZERO) {
        return Scheduling::Fifo;
    }
    let _ = set_attributes(libc::SCHED_OTHER, 0, NICENESS, SLICE)
        || set_attributes(libc::SCHED_OTHER, 0, 0, SLICE);
    Scheduling::Normal
}

fn set_attributes(policy: libc::c_int, priority: u32, niceness: i32, slice: Duration) -> bool {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: policy as u32,
        sched_flags: 0,
        sched_nice: niceness,
        sched_priority: priority,
        sched_runtime: slice.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of `attributes`; thread 0 is the calling one.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    result == 0
}

/// Sees to it that a thread of real-time priority leaves some of its processor to others: in each window it
/// must have slept a twelfth, in pieces of a sixth of a millisecond. The kernel's own limits
/// (sched_rt_runtime_us, the fair server) ask for a twentieth, but take 50 ms at once from whoever comes near.
#[derive(Debug)]
pub(super) struct Breather {
    window_start: Nanoseconds,
    slept: Nanoseconds,
}

const WINDOW: Nanoseconds = 2_000_000;
const SHARE: Nanoseconds = 12;
/// Longest sleep at once, for a window that was much too long.
const LONGEST: Nanoseconds = 250_000;

impl Breather {
    pub(super) fn new(now: Nanoseconds) -> Breather {
        Breather {
            window_start: now,
            slept: 0,
        }
    }

    /// Notes that the thread slept.
    pub(super) fn note_sleep(&mut self, time: Nanoseconds) {
        self.slept += time;
    }

    /// How long the thread must sleep now; zero almost always.
    pub(super) fn owed(&mut self, now: Nanoseconds) -> Duration {
        let elapsed = now.saturating_sub(self.window_start);
        if elapsed < WINDOW {
            return Duration::ZERO;
        }
        let owed = (elapsed / SHARE).saturating_sub(self.slept).min(LONGEST);
        *self = Breather::new(now);
        Duration::from_nanos(owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_rests_a_twelfth() {
        let mut breather = Breather::new(0);
        assert_eq!(breather.owed(1_999_999), Duration::ZERO);
        assert_eq!(breather.owed(2_400_000), Duration::from_micros(200));
        breather.note_sleep(60_000);
        assert_eq!(breather.owed(4_800_000), Duration::from_micros(140));
        breather.note_sleep(1_000_000);
        assert_eq!(breather.owed(7_000_000), Duration::ZERO);
        assert_eq!(
            breather.owed(1_000_000_000),
            Duration::from_micros(250),
            "no debt is carried on"
        );
    }
}
