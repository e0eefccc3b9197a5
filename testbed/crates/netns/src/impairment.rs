//! What a direction of a link does to packets, in the kernel's terms.

use std::sync::Arc;
use std::time::Duration;

use crate::error::NetnsError;
use crate::queues::Queues;

/// The kernel computes with the jitter in 32 bits, signed nanoseconds.
const MOST_JITTER: Duration = Duration::from_nanos(i32::MAX as u64);
/// The most deviations in a table (`NETEM_DIST_MAX`).
const MOST_DEVIATIONS: usize = 16384;

/// What one direction of a link does to packets. The default passes everything.
///
/// A packet meets, in this order: the black hole, loss, duplication, corruption, the queue and its rate, the delay.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelImpairment {
    /// Every packet that comes is dropped. Those on their way still arrive.
    pub blackhole: bool,
    /// How packets are lost.
    pub loss: KernelLoss,
    /// Probability (0 to 1) of sending a packet twice. The kernel may lose the second one as well, so not besides a loss.
    pub duplicate: f64,
    /// Probability (0 to 1) of flipping one bit of a packet.
    pub corrupt: f64,
    /// Bits per second, counted with Ethernet headers; none for no limit.
    pub rate: Option<u64>,
    /// Bytes that may leave at once after a pause; none for as few as the kernel's timers allow.
    pub burst: Option<u32>,
    /// Whether a packet that finds the queue empty is held for its own time at the rate, too, as on a real line. Else it leaves at
    /// once, since the token bucket is full.
    pub transmission_time: bool,
    /// Bytes by which the rate and the queue count each frame longer or shorter (preamble, gap and checksum of real Ethernet are 24).
    pub overhead: i32,
    /// What may wait for the rate.
    pub queue: KernelQueue,
    /// Added to every packet.
    pub delay: Duration,
    /// Deviation from `delay`: the largest, up and down, evenly distributed; or what 8192 stands for in `jitter_table`.
    pub jitter: Duration,
    /// Deviations to draw from, each as likely: in 8192ths of the jitter, 1 to 16384 of them.
    pub jitter_table: Option<Arc<[i16]>>,
    /// Whether packets keep their order although their delays differ.
    pub ordered: bool,
    /// Probability (0 to 1) of sending a packet at once, ahead of those that are delayed.
    pub reorder: f64,
    /// Start of the random numbers, for kernels that can be given one (6.6 and later).
    pub seed: Option<u64>,
}

/// How packets are lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KernelLoss {
    /// Each on its own, with this probability (0 to 1).
    Independent(f64),
    /// By a channel with a good and a bad state (Gilbert 1960, Elliott 1963), which starts in the good one. All from 0 to 1.
    GilbertElliott {
        /// Chance per packet to turn from good to bad.
        p: f64,
        /// Chance per packet to turn from bad to good.
        r: f64,
        /// Share of packets lost in the bad state.
        bad: f64,
        /// Share of packets lost in the good state.
        good: f64,
    },
}

impl KernelLoss {
    /// Whether any packet can be lost.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        match *self {
            Self::Independent(chance) => chance > 0.0,
            Self::GilbertElliott { p, bad, good, .. } => good > 0.0 || (p > 0.0 && bad > 0.0),
        }
    }
}

/// What may wait for a rate, and what happens to the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KernelQueue {
    /// 50 ms worth of bytes, at least ten full frames; what comes beyond is dropped.
    #[default]
    Standard,
    /// So many bytes; what comes beyond is dropped.
    Bytes(u32),
    /// So many packets; what comes beyond is dropped.
    Packets(u32),
    /// CoDel (RFC 8289) with a target of 5 ms and an interval of 100 ms.
    Codel {
        /// The most packets; none for 1000.
        packets: Option<u32>,
        /// Whether packets whose transport understands it (RFC 3168) are marked and not dropped.
        ecn: bool,
    },
}

impl Default for KernelImpairment {
    fn default() -> Self {
        Self {
            blackhole: false,
            loss: KernelLoss::Independent(0.0),
            duplicate: 0.0,
            corrupt: 0.0,
            rate: None,
            burst: None,
            transmission_time: false,
            overhead: 0,
            queue: KernelQueue::Standard,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            jitter_table: None,
            ordered: true,
            reorder: 0.0,
            seed: None,
        }
    }
}

impl KernelImpairment {
    /// Whether the kernel needs netem for it.
    #[must_use]
    pub fn needs_netem(&self) -> bool {
        self.decides_about_packets()
            || self.delays_packets()
            || (self.rate.is_some() && self.transmission_time)
    }

    /// Whether the kernel needs CoDel for it.
    #[must_use]
    pub fn needs_codel(&self) -> bool {
        self.rate.is_some() && matches!(self.queue, KernelQueue::Codel { .. })
    }

    /// The queues for it on an interface with that MTU.
    pub(crate) fn queues(&self, interface: &str, mtu: u32) -> Result<Queues, NetnsError> {
        self.check().map_err(|reason| NetnsError::InvalidImpairment {
            interface: interface.into(),
            reason,
        })?;
        Ok(Queues::new(self, mtu))
    }

    /// What happens to a packet before it waits for the rate.
    pub(crate) fn decides_about_packets(&self) -> bool {
        self.loss.is_possible() || self.duplicate > 0.0 || self.corrupt > 0.0
    }

    /// What happens to a packet after the rate.
    pub(crate) fn delays_packets(&self) -> bool {
        !self.delay.is_zero() || !self.jitter.is_zero() || self.reorder > 0.0
    }

    fn check(&self) -> Result<(), String> {
        self.check_chances()?;
        if self.duplicate > 0.0 && self.loss.is_possible() {
            return Err("loss and duplicate together: the kernel would lose a duplicate, too, and keep a lost packet that has one".into());
        }
        if self.jitter > MOST_JITTER {
            return Err(format!(
                "jitter is {:?}, the kernel's limit is {MOST_JITTER:?}",
                self.jitter
            ));
        }
        match self.jitter_table.as_ref().map(|table| table.len()) {
            Some(0) => return Err("the table of its jitter is empty".into()),
            Some(length) if length > MOST_DEVIATIONS => {
                return Err(format!(
                    "the table of its jitter has {length} entries, the kernel's limit is {MOST_DEVIATIONS}"
                ));
            }
            _ => {}
        }
        if self.rate.is_some_and(|rate| rate < 8) {
            return Err("rate is less than 8 bit/s".into());
        }
        let is_held = self.rate.is_some() && self.transmission_time;
        if is_held && (!self.jitter.is_zero() || self.reorder > 0.0) {
            return Err("jitter or reorder behind a rate that holds each packet for its own time".into());
        }
        Ok(())
    }

    fn check_chances(&self) -> Result<(), String> {
        let of_the_loss = match self.loss {
            KernelLoss::Independent(chance) => vec![("loss", chance)],
            KernelLoss::GilbertElliott { p, r, bad, good } => vec![
                ("loss: p", p),
                ("loss: r", r),
                ("loss: bad", bad),
                ("loss: good", good),
            ],
        };
        let others = [
            ("duplicate", self.duplicate),
            ("corrupt", self.corrupt),
            ("reorder", self.reorder),
        ];
        for (name, chance) in of_the_loss.into_iter().chain(others) {
            if !(0.0..=1.0).contains(&chance) {
                return Err(format!("{name} is {chance}, not between 0 and 1"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: fn() -> KernelImpairment = KernelImpairment::default;

    #[test]
    fn each_effect_alone_needs_netem() {
        let moment = Duration::from_micros(1);
        let burst = KernelLoss::GilbertElliott {
            p: 0.1,
            r: 0.5,
            bad: 1.0,
            good: 0.0,
        };
        for impairment in [
            KernelImpairment {
                delay: moment,
                ..NOTHING()
            },
            KernelImpairment {
                jitter: moment,
                ..NOTHING()
            },
            KernelImpairment {
                loss: KernelLoss::Independent(0.1),
                ..NOTHING()
            },
            KernelImpairment {
                loss: burst,
                ..NOTHING()
            },
            KernelImpairment {
                duplicate: 0.1,
                ..NOTHING()
            },
            KernelImpairment {
                corrupt: 0.1,
                ..NOTHING()
            },
            KernelImpairment {
                reorder: 0.1,
                ..NOTHING()
            },
            KernelImpairment {
                rate: Some(1000),
                transmission_time: true,
                ..NOTHING()
            },
        ] {
            assert!(impairment.needs_netem(), "{impairment:?}");
        }
        let rate = KernelImpairment {
            rate: Some(1000),
            queue: KernelQueue::Codel {
                packets: None,
                ecn: false,
            },
            ..NOTHING()
        };
        assert!(!rate.needs_netem() && rate.needs_codel());
        assert!(!NOTHING().needs_netem() && !NOTHING().needs_codel());
    }

    #[test]
    fn impossible_values_are_refused() {
        let channel = KernelLoss::GilbertElliott {
            p: 0.1,
            r: 2.0,
            bad: 1.0,
            good: 0.0,
        };
        let lossy = KernelImpairment {
            loss: KernelLoss::Independent(0.5),
            ..NOTHING()
        };
        let held = KernelImpairment {
            rate: Some(8),
            transmission_time: true,
            ..NOTHING()
        };
        for (impairment, expected) in [
            (
                KernelImpairment {
                    loss: KernelLoss::Independent(1.5),
                    ..NOTHING()
                },
                "loss is 1.5, not between 0 and 1",
            ),
            (
                KernelImpairment {
                    loss: channel,
                    ..NOTHING()
                },
                "loss: r is 2, not between 0 and 1",
            ),
            (
                KernelImpairment {
                    corrupt: f64::NAN,
                    ..NOTHING()
                },
                "corrupt is NaN, not between 0 and 1",
            ),
            (
                KernelImpairment {
                    rate: Some(7),
                    ..NOTHING()
                },
                "rate is less than 8 bit/s",
            ),
            (
                KernelImpairment {
                    jitter: Duration::from_secs(3),
                    ..NOTHING()
                },
                "jitter is 3s, the kernel's limit is 2.147483647s",
            ),
            (
                KernelImpairment {
                    jitter_table: Some([].into()),
                    ..NOTHING()
                },
                "the table of its jitter is empty",
            ),
            (
                KernelImpairment {
                    jitter_table: Some(vec![0; 16385].into()),
                    ..NOTHING()
                },
                "the table of its jitter has 16385 entries, the kernel's limit is 16384",
            ),
            (
                KernelImpairment {
                    duplicate: 0.1,
                    ..lossy
                },
                "loss and duplicate together: the kernel would lose a duplicate, too, and keep a lost packet that has one",
            ),
            (
                KernelImpairment {
                    jitter: Duration::from_millis(1),
                    ..held
                },
                "jitter or reorder behind a rate that holds each packet for its own time",
            ),
        ] {
            let text = impairment.queues("m0", 1500).unwrap_err().to_string();
            assert_eq!(text, format!("impairment of midpoint `m0`: {expected}"));
        }
    }
}
