//! Counters of the engine, per link and direction.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number of packets and their bytes (with Ethernet header; a segmentation-offload frame counts as its
/// segments would on a wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Count {
    pub(crate) fn add(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }

    pub(crate) fn remove(&mut self, packets: u64, bytes: u64) {
        self.packets = self.packets.saturating_sub(packets);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Packets dropped in one direction, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Drops {
    /// The direction was a black hole.
    pub blackhole: u64,
    /// Lost by the asked-for loss.
    pub loss: u64,
    /// The queue before the rate was full.
    pub queue: u64,
    /// They had waited for too long: CoDel dropped them.
    pub codel: u64,
    /// The engine's memory was used up. A run with such drops is not to be trusted.
    pub memory: u64,
    /// The interface to send through was down or gone.
    pub interface: u64,
    /// The kernel did not take the frame: no memory, no carrier, too long for the interface, or an offload
    /// it cannot express (tunnels inside a node). Without carrier loss or a changed MTU, not to be trusted.
    pub refused: u64,
}

impl Drops {
    /// All drops together.
    pub fn total(&self) -> u64 {
        self.blackhole + self.loss + self.queue + self.codel + self.memory + self.interface + self.refused
    }
}

/// How late packets left, against the moment they were due. Upper bounds of the buckets rise 1, 2, 5, 10 …
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lateness {
    counts: [u64; Lateness::BOUNDS.len() + 1],
    total_nanoseconds: u64,
    maximum_nanoseconds: u64,
}

impl Lateness {
    /// Upper bounds of the buckets, in nanoseconds; one more bucket takes what is above the last.
    pub const BOUNDS: [u64; 19] = [
        1_000,
        2_000,
        5_000,
        10_000,
        20_000,
        50_000,
        100_000,
        200_000,
        500_000,
        1_000_000,
        2_000_000,
        5_000_000,
        10_000_000,
        20_000_000,
        50_000_000,
        100_000_000,
        200_000_000,
        500_000_000,
        1_000_000_000,
    ];

    pub(crate) fn record(&mut self, nanoseconds: u64) {
        let bucket = Self::BOUNDS.partition_point(|&bound| bound < nanoseconds);
        self.counts[bucket] += 1;
        self.total_nanoseconds = self.total_nanoseconds.saturating_add(nanoseconds);
        self.maximum_nanoseconds = self.maximum_nanoseconds.max(nanoseconds);
    }

    /// Adds another histogram to this one.
    pub fn merge(&mut self, other: &Lateness) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total_nanoseconds = self.total_nanoseconds.saturating_add(other.total_nanoseconds);
        self.maximum_nanoseconds = self.maximum_nanoseconds.max(other.maximum_nanoseconds);
    }

    /// What was recorded since `earlier`, a copy taken from the same direction. The maximum stays that of
    /// the whole time, since it cannot be split.
    pub fn since(&self, earlier: &Lateness) -> Lateness {
        let mut difference = self.clone();
        for (count, before) in difference.counts.iter_mut().zip(&earlier.counts) {
            *count = count.saturating_sub(*before);
        }
        difference.total_nanoseconds = self.total_nanoseconds.saturating_sub(earlier.total_nanoseconds);
        difference
    }

    /// Counts of the buckets, one more than [`Lateness::BOUNDS`].
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many departures were recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Mean lateness; zero if nothing was recorded.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.total_nanoseconds.checked_div(self.count()).unwrap_or(0))
    }

    /// The largest lateness seen.
    pub fn maximum(&self) -> Duration {
        Duration::from_nanos(self.maximum_nanoseconds)
    }

    /// An upper bound for the given quantile (0 to 1): the bound of the bucket it falls in, or the maximum
    /// where that is less. Zero if nothing was recorded.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let rank = (self.count() as f64 * quantile.clamp(0.0, 1.0)).ceil() as u64;
        let mut seen = 0;
        for (count, bound) in self.counts.iter().zip(Self::BOUNDS) {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(bound.min(self.maximum_nanoseconds));
            }
        }
        self.maximum()
    }
}

/// Counters of one direction of a link, since the engine started or the link was added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DirectionStatistics {
    /// Packets that came to the link.
    pub offered: Count,
    /// Packets handed to the other end.
    pub delivered: Count,
    /// Packets dropped, by cause.
    pub drops: Drops,
    /// Packets that were sent twice; each copy is delivered or dropped like a packet that came.
    pub duplicated: u64,
    /// Packets in which a bit was flipped.
    pub corrupted: u64,
    /// Packets that were not delayed, so that they overtake.
    pub reordered: u64,
    /// Packets that CoDel marked in place of dropping them.
    pub marked: u64,
    /// Packets waiting for the rate at this moment, the one in transmission included.
    pub queued: Count,
    /// Packets past the rate that wait for their delay at this moment.
    pub in_flight: Count,
    /// How late packets were handed over.
    pub lateness: Lateness,
}

/// Counters of one link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkStatistics {
    /// The link's name.
    pub name: String,
    /// From its first interface to its second.
    pub forward: DirectionStatistics,
    /// From its second interface to its first.
    pub backward: DirectionStatistics,
}

/// Counters that belong to no single link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EngineStatistics {
    /// Frames the kernel had for the engine's sockets, dropped ones included.
    pub received: u64,
    /// Frames the kernel dropped because the engine did not read in time. The engine cannot tell whose they
    /// were; a run with such drops is not to be trusted.
    pub socket_drops: u64,
    /// Frames that could not be read: an offload the kernel cannot express, or longer than any frame may be.
    pub unreadable: u64,
    /// Bytes of memory that packets on the way hold at this moment.
    pub memory_bytes: u64,
}

impl EngineStatistics {
    pub(crate) fn merge(&mut self, other: &EngineStatistics) {
        self.received += other.received;
        self.socket_drops += other.socket_drops;
        self.unreadable += other.unreadable;
        self.memory_bytes += other.memory_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_falls_in_the_right_bucket() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.quantile(0.99), Duration::ZERO);
        for nanoseconds in [0, 1_000, 1_001, 700_000, 3_000_000_000] {
            lateness.record(nanoseconds);
        }
        assert_eq!(lateness.counts()[0], 2);
        assert_eq!(lateness.counts()[1], 1);
        assert_eq!(lateness.counts()[Lateness::BOUNDS.len()], 1);
        assert_eq!(lateness.quantile(0.0), Duration::from_micros(1));
        assert_eq!(lateness.quantile(0.6), Duration::from_micros(2));
        assert_eq!(lateness.quantile(0.8), Duration::from_millis(1));
        assert_eq!(lateness.quantile(1.0), Duration::from_secs(3));
        assert_eq!(lateness.mean(), Duration::from_nanos(3_000_702_001 / 5));
    }

    #[test]
    fn difference_and_sum_of_histograms() {
        let mut early = Lateness::default();
        early.record(10);
        let mut late = early.clone();
        late.record(30_000);
        let since = late.since(&early);
        assert_eq!(since.count(), 1);
        assert_eq!(since.mean(), Duration::from_micros(30));
        early.merge(&since);
        assert_eq!(early.counts(), late.counts());
    }
}
