use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use tokio::io::unix::AsyncFd;

const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// A point in time on the monotonic clock, in nanoseconds.
pub(super) type Monotonic = i64;

/// Reads the monotonic clock; a step of the wall clock during a run leaves the schedule alone.
pub(super) fn monotonic_now() -> io::Result<Monotonic> {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Places a wall-clock instant (nanoseconds since the Unix epoch) on the monotonic clock.
pub(super) fn monotonic_of(unix_nanoseconds: i64) -> io::Result<Monotonic> {
    let before = monotonic_now()?;
    let wall = read(ClockId::CLOCK_REALTIME)?;
    let after = monotonic_now()?;
    let both = before + (after - before) / 2;
    Ok(unix_nanoseconds.saturating_sub(wall).saturating_add(both))
}

fn read(clock: ClockId) -> io::Result<i64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec() * NANOSECONDS_PER_SECOND + time.tv_nsec())
}

/// A duration as signed nanoseconds; beyond 292 years it saturates.
pub(super) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

struct Descriptor(TimerFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Wakes at absolute instants with the kernel's high-resolution timers; the runtime's own timer only knows milliseconds.
pub(super) struct PreciseTimer {
    descriptor: AsyncFd<Descriptor>,
}

impl PreciseTimer {
    /// A timer of the current runtime.
    #[expect(
        deprecated,
        reason = "its successor is unsafe; this descriptor is owned and never replaced or closed"
    )]
    pub(super) fn new() -> io::Result<PreciseTimer> {
        let timer = TimerFd::new(
            TimerClock::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        Ok(PreciseTimer {
            descriptor: AsyncFd::new(Descriptor(timer))?,
        })
    }

    /// Sleeps until `instant`; returns at once when it has passed.
    pub(super) async fn sleep_until(&self, instant: Monotonic) -> io::Result<()> {
        if monotonic_now()? >= instant {
            return Ok(());
        }
        let (seconds, rest) = (instant / NANOSECONDS_PER_SECOND, instant % NANOSECONDS_PER_SECOND);
        // Setting the timer also forgets an expiration that nobody has read.
        self.descriptor.get_ref().0.set(
            Expiration::OneShot(TimeSpec::new(seconds, rest)),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        )?;
        loop {
            let mut ready = self.descriptor.readable().await?;
            ready.clear_ready();
            if monotonic_now()? >= instant {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleeps_to_the_instant_again_and_again() {
        let timer = PreciseTimer::new().unwrap();
        let begin = monotonic_now().unwrap();
        let mut errors: Vec<i64> = Vec::new();
        for step in 1..=50 {
            let instant = begin + step * 2_000_000;
            timer.sleep_until(instant).await.unwrap();
            errors.push(monotonic_now().unwrap() - instant);
        }
        errors.sort_unstable();
        assert!(errors[0] >= 0, "woke {} ns early", -errors[0]);
        // A busy machine delays wake-ups, but not all. The runtime's own timer rounds up to the next millisecond, so that
        // one in ten of its wake-ups would be less than 0.1 ms late.
        assert!(
            errors[25] < 400_000 || errors[12] < 150_000,
            "lateness in ns: {errors:?}"
        );
    }

    #[tokio::test]
    async fn a_sleep_that_was_given_up_does_not_wake_the_next_one() {
        let timer = PreciseTimer::new().unwrap();
        let begin = monotonic_now().unwrap();
        let first =
            tokio::time::timeout(Duration::from_millis(1), timer.sleep_until(begin + 5_000_000)).await;
        assert!(first.is_err());
        std::thread::sleep(Duration::from_millis(10));
        let instant = monotonic_now().unwrap() + 20_000_000;
        timer.sleep_until(instant).await.unwrap();
        assert!(monotonic_now().unwrap() >= instant);
    }

    #[test]
    fn a_wall_clock_instant_lands_where_it_should() {
        let wall = read(ClockId::CLOCK_REALTIME).unwrap();
        let in_a_second = monotonic_of(wall + NANOSECONDS_PER_SECOND).unwrap() - monotonic_now().unwrap();
        assert!(
            (in_a_second - NANOSECONDS_PER_SECOND).abs() < 50_000_000,
            "{in_a_second} ns from now"
        );
    }
}
