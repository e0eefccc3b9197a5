//! What a link does to the packets of one direction.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest delay or jitter a link may have. Longer ones are mistakes in a unit, not networks.
pub const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// One of the two directions of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the first interface of the link to the second.
    Forward,
    /// From the second interface of the link to the first.
    Backward,
}

impl Direction {
    /// Both directions, forward first.
    pub const BOTH: [Direction; 2] = [Direction::Forward, Direction::Backward];

    /// The place of the interface that packets of this direction come from: 0 or 1.
    pub(crate) fn source(self) -> usize {
        match self {
            Direction::Forward => 0,
            Direction::Backward => 1,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Direction::Forward => "forward",
            Direction::Backward => "backward",
        })
    }
}

/// How jitter is spread around the delay. Whatever the distribution, packets keep their order and never
/// leave before they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JitterDistribution {
    /// Evenly between `delay - jitter` and `delay + jitter`.
    #[default]
    Uniform,
    /// Normal with mean `delay` and standard deviation `jitter`, cut at four deviations.
    Normal,
}

/// What one direction of a link does to its packets, in the order of the fields. The default lets
/// everything pass at once.
///
/// Packets are counted as they would be on a real wire: a segmentation-offload frame is as many packets as
/// it has segments.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Impairment {
    /// Black hole: every packet offered is dropped. Packets already on the way still arrive.
    pub down: bool,
    /// Probability, 0 to 1, that a packet is lost. Each packet is judged by itself.
    pub loss: f64,
    /// Room for waiting packets, in bytes as `rate` counts them. Only used with a rate. Without either queue
    /// limit, [`Impairment::effective_queue_bytes`] says what applies.
    pub queue_bytes: Option<u64>,
    /// Room for waiting packets, as a number of packets. Only used with a rate.
    pub queue_packets: Option<u32>,
    /// Rate in bits per second over bytes as `tc` counts them: the frame with its Ethernet header, without
    /// preamble and check sequence. None is no limit.
    pub rate: Option<u64>,
    /// Bytes added to (or taken from) the size of each packet where the rate and `queue_bytes` count it; 24
    /// makes it the time on a physical Ethernet wire.
    pub overhead: i32,
    /// Time from the end of the packet's transmission to its arrival.
    pub delay: Duration,
    /// Spread of the delay; see [`JitterDistribution`].
    pub jitter: Duration,
    /// Shape of the jitter.
    pub jitter_distribution: JitterDistribution,
}

impl Impairment {
    /// Only a delay.
    pub fn delayed(delay: Duration) -> Impairment {
        Impairment {
            delay,
            ..Impairment::default()
        }
    }

    /// The limit of the queue before the rate, in bytes, when only the packet limit or no limit is given:
    /// none with a packet limit, else 50 ms at the given rate, but no less than ten full frames.
    pub fn effective_queue_bytes(&self) -> u64 {
        const FULL_FRAME: u64 = 1514;
        match (self.queue_bytes, self.queue_packets, self.rate) {
            (Some(bytes), _, _) => bytes,
            (None, Some(_), _) | (None, None, None) => u64::MAX,
            (None, None, Some(rate)) => (rate / 8 / 20).max(10 * FULL_FRAME),
        }
    }

    /// Says what is wrong with the values, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.loss) {
            return Err(format!("loss {} is not a probability between 0 and 1", self.loss));
        }
        if self.rate == Some(0) {
            return Err("a rate of 0 bit/s never sends anything; use `down` for a dead link".to_owned());
        }
        if self.queue_bytes == Some(0) || self.queue_packets == Some(0) {
            return Err("a queue limit of 0 holds no packet".to_owned());
        }
        for (name, value) in [("delay", self.delay), ("jitter", self.jitter)] {
            if value > LONGEST_DELAY {
                return Err(format!("{name} {value:?} is more than an hour"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_values_no_link_can_have() {
        let base = Impairment::default;
        for (wrong, part) in [
            (Impairment { loss: 1.5, ..base() }, "loss 1.5"),
            (
                Impairment {
                    loss: f64::NAN,
                    ..base()
                },
                "loss NaN",
            ),
            (
                Impairment {
                    rate: Some(0),
                    ..base()
                },
                "rate of 0",
            ),
            (
                Impairment {
                    queue_packets: Some(0),
                    ..base()
                },
                "queue limit of 0",
            ),
            (
                Impairment {
                    delay: Duration::from_secs(4000),
                    ..base()
                },
                "delay 4000s",
            ),
        ] {
            let reason = wrong.check().expect_err("must be refused");
            assert!(reason.contains(part), "{reason}");
        }
        assert_eq!(base().check(), Ok(()));
        assert_eq!(
            Impairment {
                loss: 1.0,
                rate: Some(1),
                ..base()
            }
            .check(),
            Ok(())
        );
    }

    #[test]
    fn default_queue_follows_the_rate() {
        let with_rate = |rate| Impairment {
            rate: Some(rate),
            ..Impairment::default()
        };
        assert_eq!(with_rate(1_000_000_000).effective_queue_bytes(), 6_250_000);
        assert_eq!(with_rate(100_000).effective_queue_bytes(), 15_140);
        let packets = Impairment {
            queue_packets: Some(3),
            ..with_rate(1000)
        };
        assert_eq!(packets.effective_queue_bytes(), u64::MAX);
        let bytes = Impairment {
            queue_bytes: Some(9),
            ..with_rate(1000)
        };
        assert_eq!(bytes.effective_queue_bytes(), 9);
    }
}
