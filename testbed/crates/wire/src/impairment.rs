//! What a link does to the packets of one direction.

use std::fmt;
use std::sync::Arc;
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

/// How jitter is spread around the delay. Whatever the distribution, packets never leave before they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum JitterDistribution {
    /// Evenly between `delay - jitter` and `delay + jitter`.
    #[default]
    Uniform,
    /// From a table of deviations, each as likely as the others; [`JitterDistribution::SCALE`] is one `jitter`.
    Table(Arc<[i16]>),
}

impl JitterDistribution {
    /// What stands for one `jitter` in a table; that of netem's tables.
    pub const SCALE: i64 = 8192;
}

/// How packets are lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Each packet by itself, with this probability.
    Independent(f64),
    /// By a channel with two states.
    GilbertElliott(GilbertElliott),
}

impl Default for Loss {
    fn default() -> Loss {
        Loss::Independent(0.0)
    }
}

/// A channel with a good and a bad state (Gilbert 1960, Elliott 1963). It starts in the good one. A packet is judged by
/// the state it finds, then the state may change; so does netem. All values are probabilities, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GilbertElliott {
    /// To turn from good to bad.
    pub p: f64,
    /// To turn from bad to good.
    pub r: f64,
    /// That a packet is lost in the bad state.
    pub bad: f64,
    /// That a packet is lost in the good state.
    pub good: f64,
}

/// Room for packets that wait for the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueLimit {
    /// This many packets.
    Packets(u32),
    /// This many bytes, as the rate counts them.
    Bytes(u64),
    /// What the rate sends in this time, but one full frame at least.
    Time(Duration),
}

/// Which packets a filling queue drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueueDiscipline {
    /// Those that come when it is full.
    #[default]
    DropTail,
    /// Also those that have waited for long (CoDel, RFC 8289).
    CoDel {
        /// Marks packets that say that their transport understands (RFC 3168) in place of dropping them.
        ecn: bool,
    },
}

/// What one direction of a link does to its packets, in the order of the fields. The default lets
/// everything pass at once.
///
/// Packets are counted as they would be on a real wire: a segmentation-offload frame is as many packets as
/// it has segments. A *correlation* is the probability with which a packet shares the random number of the
/// packet before it, so it leaves frequencies and distributions as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Impairment {
    /// Every packet offered is dropped. Packets already on the way still arrive.
    pub blackhole: bool,
    /// How packets are lost.
    pub loss: Loss,
    /// Probability, 0 to 1, that a packet is sent twice, the copy right behind it. From here on each goes its
    /// own way.
    pub duplicate: f64,
    /// Probability, 0 to 1, that one bit of a packet is flipped, somewhere behind its Ethernet header. A checksum
    /// left to the network card is completed before, so that the receiver can notice.
    pub corrupt: f64,
    /// Room for waiting packets. Only used with a rate; None is 50 ms at the given rate, but no less than ten
    /// full frames.
    pub queue: Option<QueueLimit>,
    /// Which packets the queue drops.
    pub queue_discipline: QueueDiscipline,
    /// Rate in bits per second over bytes as `tc` counts them: the frame with its Ethernet header, without
    /// preamble and check sequence. None is no limit.
    pub rate: Option<u64>,
    /// Bytes that may pass at once after a pause (a token bucket, as tbf). None makes each packet take its time
    /// at the rate, as on a wire.
    pub burst: Option<u64>,
    /// Bytes added to (or taken from) the size of each packet where rate, burst and a queue in bytes count it; 24
    /// makes it the time on a physical Ethernet wire.
    pub overhead: i32,
    /// Probability, 0 to 1, that a packet is not delayed and so overtakes those that are.
    pub reorder: f64,
    /// Correlation of the overtaking.
    pub reorder_correlation: f64,
    /// Time from the end of the packet's transmission to its arrival.
    pub delay: Duration,
    /// Spread of the delay; see [`JitterDistribution`].
    pub jitter: Duration,
    /// Shape of the jitter.
    pub jitter_distribution: JitterDistribution,
    /// Correlation of the jitter.
    pub delay_correlation: f64,
    /// Whether a packet waits for those before it when jitter would let it overtake.
    pub ordered: bool,
}

impl Default for Impairment {
    fn default() -> Impairment {
        Impairment {
            blackhole: false,
            loss: Loss::default(),
            duplicate: 0.0,
            corrupt: 0.0,
            queue: None,
            queue_discipline: QueueDiscipline::default(),
            rate: None,
            burst: None,
            overhead: 0,
            reorder: 0.0,
            reorder_correlation: 0.0,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            jitter_distribution: JitterDistribution::default(),
            delay_correlation: 0.0,
            ordered: true,
        }
    }
}

/// Bytes of a full Ethernet frame.
const FULL_FRAME: u64 = 1514;
/// How much may wait unless given.
const QUEUE: Duration = Duration::from_millis(50);

impl Impairment {
    /// Only a delay.
    pub fn delayed(delay: Duration) -> Impairment {
        Impairment {
            delay,
            ..Impairment::default()
        }
    }

    /// The limits of the queue before the rate, in packets and in bytes, with what applies when none is given.
    pub(crate) fn queue_limits(&self) -> (u64, u64) {
        let bytes_in = |time: Duration| match self.rate {
            Some(rate) => {
                let bytes = u128::from(rate) * time.as_nanos() / 8_000_000_000;
                u64::try_from(bytes).unwrap_or(u64::MAX)
            }
            None => u64::MAX,
        };
        match self.queue {
            Some(QueueLimit::Packets(packets)) => (u64::from(packets), u64::MAX),
            Some(QueueLimit::Bytes(bytes)) => (u64::MAX, bytes),
            Some(QueueLimit::Time(time)) => (u64::MAX, bytes_in(time).max(FULL_FRAME)),
            None => (u64::MAX, bytes_in(QUEUE).max(10 * FULL_FRAME)),
        }
    }

    /// Says what is wrong with the values, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        let losses = match self.loss {
            Loss::Independent(loss) => vec![("loss", loss)],
            Loss::GilbertElliott(GilbertElliott { p, r, bad, good }) => {
                vec![("p", p), ("r", r), ("bad", bad), ("good", good)]
            }
        };
        let others = [
            ("duplicate", self.duplicate),
            ("corrupt", self.corrupt),
            ("reorder", self.reorder),
            ("reorder correlation", self.reorder_correlation),
            ("delay correlation", self.delay_correlation),
        ];
        for (name, value) in losses.into_iter().chain(others) {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("{name} {value} is not a probability between 0 and 1"));
            }
        }
        if self.rate == Some(0) {
            return Err(
                "a rate of 0 bit/s never sends anything; use `blackhole` for a dead direction".to_owned(),
            );
        }
        if matches!(self.queue, Some(QueueLimit::Packets(0) | QueueLimit::Bytes(0))) {
            return Err("a queue limit of 0 holds no packet".to_owned());
        }
        if self.burst == Some(0) {
            return Err("a burst of 0 bytes never lets a packet pass".to_owned());
        }
        if matches!(&self.jitter_distribution, JitterDistribution::Table(values) if values.is_empty()) {
            return Err("the table of the jitter has no values".to_owned());
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
        let channel = GilbertElliott {
            p: 0.1,
            r: 1.1,
            bad: 1.0,
            good: 0.0,
        };
        for (wrong, part) in [
            (
                Impairment {
                    loss: Loss::Independent(1.5),
                    ..base()
                },
                "loss 1.5",
            ),
            (
                Impairment {
                    loss: Loss::Independent(f64::NAN),
                    ..base()
                },
                "loss NaN",
            ),
            (
                Impairment {
                    loss: Loss::GilbertElliott(channel),
                    ..base()
                },
                "r 1.1",
            ),
            (
                Impairment {
                    duplicate: -0.1,
                    ..base()
                },
                "duplicate -0.1",
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
                    queue: Some(QueueLimit::Packets(0)),
                    ..base()
                },
                "queue limit of 0",
            ),
            (
                Impairment {
                    burst: Some(0),
                    ..base()
                },
                "burst of 0",
            ),
            (
                Impairment {
                    delay: Duration::from_secs(4000),
                    ..base()
                },
                "delay 4000s",
            ),
            (
                Impairment {
                    jitter_distribution: JitterDistribution::Table(Arc::new([])),
                    ..base()
                },
                "no values",
            ),
        ] {
            let reason = wrong.check().expect_err("must be refused");
            assert!(reason.contains(part), "{reason}");
        }
        assert_eq!(base().check(), Ok(()));
        let extreme = Impairment {
            loss: Loss::Independent(1.0),
            rate: Some(1),
            ..base()
        };
        assert_eq!(extreme.check(), Ok(()));
    }

    #[test]
    fn queue_limits_follow_the_rate() {
        let with_rate = |rate, queue| Impairment {
            rate: Some(rate),
            queue,
            ..Impairment::default()
        };
        for (rate, queue, packets, bytes) in [
            (1_000_000_000, None, u64::MAX, 6_250_000),
            (100_000, None, u64::MAX, 15_140),
            (1000, Some(QueueLimit::Packets(3)), 3, u64::MAX),
            (1000, Some(QueueLimit::Bytes(9)), u64::MAX, 9),
            (
                8_000_000,
                Some(QueueLimit::Time(Duration::from_millis(50))),
                u64::MAX,
                50_000,
            ),
            (
                8_000,
                Some(QueueLimit::Time(Duration::from_millis(50))),
                u64::MAX,
                1514,
            ),
        ] {
            assert_eq!(
                with_rate(rate, queue).queue_limits(),
                (packets, bytes),
                "{rate} {queue:?}"
            );
        }
    }
}
