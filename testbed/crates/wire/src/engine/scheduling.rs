//! How the kernel schedules the engine's threads.

use std::mem::size_of;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
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

/// Sees to it that a thread of real-time priority leaves some of its processor to others: of each window it
/// must not have used a twelfth. The kernel's own limits (sched_rt_runtime_us, the fair server) ask for a twentieth, but
/// take 50 ms at once from whoever comes near. What counts is processor time: a system call that need not wait takes
/// some as well, however long it looks like a rest.
#[derive(Debug)]
pub(super) struct Breather {
    window_start: Nanoseconds,
    used_at_start: Nanoseconds,
}

const WINDOW: Nanoseconds = 2_000_000;
const SHARE: Nanoseconds = 12;
/// Longest sleep at once; enough for a window six times as long as it should be.
const LONGEST: Nanoseconds = 1_000_000;

impl Breather {
    /// A window that begins now, for a thread that has used so much processor time.
    pub(super) fn new(now: Nanoseconds, used: Nanoseconds) -> Breather {
        Breather {
            window_start: now,
            used_at_start: used,
        }
    }

    /// How long the thread must sleep now; zero almost always. `used` is asked for once in a window.
    pub(super) fn owed(&mut self, now: Nanoseconds, used: impl FnOnce() -> Nanoseconds) -> Duration {
        let elapsed = now.saturating_sub(self.window_start);
        if elapsed < WINDOW {
            return Duration::ZERO;
        }
        let used = used();
        let rested = elapsed.saturating_sub(used.saturating_sub(self.used_at_start));
        *self = Breather::new(now, used);
        Duration::from_nanos((elapsed / SHARE).saturating_sub(rested).min(LONGEST))
    }
}

/// The processor time that the calling thread has used; zero if the system does not say.
pub(super) fn processor_time() -> Nanoseconds {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    Nanoseconds::try_from(time.as_nanos()).unwrap_or(Nanoseconds::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_rests_a_twelfth() {
        let mut breather = Breather::new(0, 0);
        let owed = |breather: &mut Breather, now, used| breather.owed(now, || used);
        assert_eq!(owed(&mut breather, 1_999_999, 1_999_999), Duration::ZERO);
        assert_eq!(
            owed(&mut breather, 2_400_000, 2_400_000),
            Duration::from_micros(200)
        );
        // 2.4 ms later it has used 2.34 ms more.
        assert_eq!(
            owed(&mut breather, 4_800_000, 4_740_000),
            Duration::from_micros(140)
        );
        assert_eq!(owed(&mut breather, 7_000_000, 5_740_000), Duration::ZERO);
        assert_eq!(
            owed(&mut breather, 1_007_000_000, 1_005_740_000),
            Duration::from_millis(1)
        );
        assert_eq!(
            owed(&mut breather, 1_010_000_000, 1_005_740_000),
            Duration::ZERO,
            "no debt is carried on"
        );
    }

    #[test]
    fn processor_time_passes_while_working_only() {
        let before = processor_time();
        std::thread::sleep(Duration::from_millis(20));
        let slept = processor_time();
        assert!(slept - before < 10_000_000, "{}", slept - before);
        while processor_time() < slept + 1_000_000 {}
    }
}
