//! Round trip times of one peer.

use crate::p2p::ping::EARLY_PINGS;
use crate::strategy::Compatibility;
use std::collections::VecDeque;
use std::time::Duration;

/// The original's latency strategy pings three times and takes the mean.
const KEPT: usize = EARLY_PINGS;

/// The last few round trip times.
#[derive(Debug, Default)]
pub(super) struct RoundTrips(VecDeque<Duration>);

impl RoundTrips {
    /// Takes another one, and gives what those kept say of the way to the peer.
    ///
    /// A ping is as long as the way and whatever else it met: both ends may have been busy, or have waited for a
    /// processor while they started. That only ever adds, so the smallest comes closest. The mean, which the original
    /// takes, would make a near peer a far one for as long as one slow ping is remembered.
    pub(super) fn note(&mut self, time: Duration, compatibility: Compatibility) -> Duration {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(time);
        match compatibility {
            Compatibility::Ours => self.0.iter().copied().min().unwrap_or(time),
            Compatibility::Upstream => {
                self.0.iter().sum::<Duration>() / u32::try_from(self.0.len()).unwrap_or(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(times: &[u64], compatibility: Compatibility) -> Vec<u128> {
        let mut kept = RoundTrips::default();
        let note = |time: &u64| kept.note(Duration::from_millis(*time), compatibility).as_millis();
        times.iter().map(note).collect()
    }

    #[test]
    fn one_slow_ping_does_not_make_a_near_peer_far() {
        let times = noted(&[400, 12, 10, 11, 300], Compatibility::Ours);
        assert_eq!(times, [400, 12, 10, 10, 10]);
    }

    #[test]
    fn a_way_that_became_longer_is_noticed() {
        let times = noted(&[10, 10, 10, 80, 81, 82], Compatibility::Ours);
        assert_eq!(times, [10, 10, 10, 10, 10, 80]);
    }

    #[test]
    fn the_original_takes_the_mean_of_the_last_three() {
        assert_eq!(
            noted(&[30, 60, 90, 120], Compatibility::Upstream),
            [30, 45, 60, 90]
        );
    }
}
