//! How fast packets leave the queue.

use super::Nanoseconds;
use super::deliveries::Deliveries;
use crate::Impairment;

/// How the packet at the head of the queue gets away. Times are asked for with [`Pace::end_of`], as often as one likes,
/// and what was sent is told with [`Pace::sent`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Pace {
    /// At once.
    #[default]
    Free,
    /// It takes its time at a rate in bit/s, as on a wire.
    Wire { rate: u64 },
    /// When a bucket of tokens has enough for it, and then at once; tokens come at a rate in bit/s.
    Bucket {
        rate: u64,
        depth: u64,
        /// When the bucket will be full if nothing is sent.
        full_at: Nanoseconds,
    },
    /// When it has used as many opportunities as it needs.
    Deliveries(Deliveries),
}

/// Bytes of an Ethernet header, which delivery opportunities do not count.
const ETHERNET: u64 = 14;

impl Pace {
    /// The pace an impairment asks for from `now` on; a bucket lacks as many tokens as it did before.
    pub(super) fn changed(&self, now: Nanoseconds, impairment: &Impairment) -> Pace {
        match (impairment.rate, impairment.burst) {
            (None, _) => Pace::Free,
            (Some(rate), None) => Pace::Wire { rate },
            (Some(rate), Some(depth)) => {
                let full_at = match self {
                    Pace::Bucket {
                        rate: before,
                        full_at,
                        ..
                    } => {
                        let missing = u128::from(full_at.saturating_sub(now)) * u128::from(*before);
                        let time = missing / u128::from(rate.max(1));
                        now.saturating_add(Nanoseconds::try_from(time).unwrap_or(Nanoseconds::MAX))
                    }
                    _ => now,
                };
                Pace::Bucket { rate, depth, full_at }
            }
        }
    }

    /// Whether the first packet is on its way already and takes no room in the queue.
    pub(super) fn transmits(&self) -> bool {
        matches!(self, Pace::Wire { .. })
    }

    /// When a packet of `size` bytes is away that gets to the head of the queue at `start`.
    pub(super) fn end_of(&self, start: Nanoseconds, size: u64) -> Nanoseconds {
        match self {
            Pace::Free => start,
            Pace::Wire { rate } => start.saturating_add(time_to_send(size, *rate)),
            Pace::Deliveries(deliveries) => deliveries.end_of(start, size.saturating_sub(ETHERNET)),
            Pace::Bucket { rate, depth, full_at } => {
                // A packet longer than the bucket goes when that is full.
                let missing = time_to_send(depth.saturating_sub(size), *rate);
                start.max(full_at.saturating_sub(missing))
            }
        }
    }

    /// Takes note that a packet of `size` bytes that got to the head of the queue at `start` was away at `end`.
    pub(super) fn sent(&mut self, start: Nanoseconds, end: Nanoseconds, size: u64) {
        match self {
            Pace::Free | Pace::Wire { .. } => {}
            Pace::Bucket { rate, full_at, .. } => {
                *full_at = end.max(*full_at).saturating_add(time_to_send(size, *rate));
            }
            Pace::Deliveries(deliveries) => deliveries.sent(start, size.saturating_sub(ETHERNET)),
        }
    }
}

/// Nanoseconds that `bytes` need at `rate` bit/s, rounded to the nearest; for ever at a rate of 0.
pub(super) fn time_to_send(bytes: u64, rate: u64) -> Nanoseconds {
    const BITS_TIMES_NANOSECONDS: u128 = 8 * 1_000_000_000;
    if rate == 0 {
        return Nanoseconds::MAX;
    }
    let rate = u128::from(rate);
    let time = (u128::from(bytes) * BITS_TIMES_NANOSECONDS + rate / 2) / rate;
    Nanoseconds::try_from(time).unwrap_or(Nanoseconds::MAX)
}
