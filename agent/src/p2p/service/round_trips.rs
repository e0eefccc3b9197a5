//! Round trip times of one peer.

use std::collections::VecDeque;
use std::time::Duration;

/// The original's latency strategy pings three times and takes the mean.
const KEPT: usize = 3;

/// The last few round trip times.
#[derive(Debug, Default)]
pub(super) struct RoundTrips(VecDeque<Duration>);

impl RoundTrips {
    /// Takes another one, and gives the mean of those kept.
    pub(super) fn note(&mut self, time: Duration) -> Duration {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(time);
        self.0.iter().sum::<Duration>() / u32::try_from(self.0.len()).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_the_last_three() {
        let mut times = RoundTrips::default();
        let means = [30, 60, 90, 120].map(|time| times.note(Duration::from_millis(time)).as_millis());
        assert_eq!(means, [30, 45, 60, 90]);
    }
}
