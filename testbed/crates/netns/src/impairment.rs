//! What a direction of a link does to packets, and the kernel's queues that do it.

use std::time::Duration;

use crate::error::NetnsError;
use crate::tc::netem::Emulator;
use crate::tc::tbf::TokenBucket;

/// Bytes of an Ethernet header, which the kernel counts as part of every packet, with a VLAN tag.
const ETHERNET: u32 = 18;
/// The smallest Ethernet frame without its checksum, in bytes.
const SMALLEST_FRAME: u64 = 60;
/// How late the kernel's timer may be without a loss of rate: what could have been sent meanwhile goes out at once.
const LATENESS: Duration = Duration::from_millis(2);
/// How long a queue in front of a rate is unless given, as `latency` in many tbf examples.
const QUEUE: Duration = Duration::from_millis(50);
/// The shortest queue in front of a rate unless given, in bytes: ten full frames, as in the user-space backend.
const SHORTEST_QUEUE: u32 = 10 * 1514;
/// Packets per second that are assumed to enter a delay when the link has no rate; a machine that does more has no time left for
/// anything else.
const MOST_PACKETS: u64 = 1_000_000;
/// How much more than its rate a link is assumed to be offered.
const OVERLOAD: u64 = 4;
/// Room for packets besides those that the delay holds.
const SPARE_PACKETS: u64 = 1000;
/// The kernel computes with the jitter in 32 bits, signed nanoseconds.
const MOST_JITTER: Duration = Duration::from_nanos(i32::MAX as u64);
/// A rate that makes no packet wait (a full frame takes 12 ns), but lets netem keep packets in order: without a rate it sends each
/// packet when its own delay is over.
const ORDER_KEEPING_RATE: u64 = 125_000_000_000;

/// What one direction of a link does to packets. The default passes everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelImpairment {
    /// Added to every packet.
    pub delay: Duration,
    /// Largest deviation from `delay`, up and down, evenly distributed; packets stay in order unless `reorder` is set.
    pub jitter: Duration,
    /// Probability (0 to 1) of losing a packet.
    pub loss: f64,
    /// Probability (0 to 1) of sending a packet twice.
    pub duplicate: f64,
    /// Probability (0 to 1) of flipping one bit of a packet.
    pub corrupt: f64,
    /// Probability (0 to 1) of sending a packet at once, ahead of those that wait.
    pub reorder: f64,
    /// Bits per second, counted with Ethernet headers; none for no limit.
    pub rate: Option<u64>,
    /// Bytes added to each frame before the rate counts it (preamble, gap and checksum of real Ethernet are 24).
    pub overhead: u16,
    /// Bytes that may wait for the rate; none for 50 ms worth, at least ten full frames.
    pub queue_bytes: Option<u32>,
    /// Start of the random numbers, for kernels that can be given one (6.6 and later).
    pub seed: Option<u64>,
}

impl Default for KernelImpairment {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            reorder: 0.0,
            rate: None,
            overhead: 0,
            queue_bytes: None,
            seed: None,
        }
    }
}

impl KernelImpairment {
    /// Whether the kernel needs netem for it.
    #[must_use]
    pub fn needs_netem(&self) -> bool {
        let chances = [self.loss, self.duplicate, self.corrupt, self.reorder];
        !self.delay.is_zero() || !self.jitter.is_zero() || chances.iter().any(|chance| *chance > 0.0)
    }

    /// The queues for it on an interface with that MTU.
    pub(crate) fn queues(&self, interface: &str, mtu: u32) -> Result<Queues, NetnsError> {
        self.check().map_err(|reason| NetnsError::InvalidImpairment {
            interface: interface.into(),
            reason,
        })?;
        Ok(Queues {
            emulator: self.needs_netem().then(|| self.emulator()),
            bucket: self.rate.map(|rate| self.bucket(rate, mtu)),
        })
    }

    fn check(&self) -> Result<(), String> {
        let chances = [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("corrupt", self.corrupt),
            ("reorder", self.reorder),
        ];
        for (name, chance) in chances {
            if !(0.0..=1.0).contains(&chance) {
                return Err(format!("{name} is {chance}, not between 0 and 1"));
            }
        }
        if self.jitter > MOST_JITTER {
            return Err(format!(
                "jitter is {:?}, the kernel's limit is {MOST_JITTER:?}",
                self.jitter
            ));
        }
        if self.rate.is_some_and(|rate| rate < 8) {
            return Err("rate is less than 8 bit/s".into());
        }
        Ok(())
    }

    fn emulator(&self) -> Emulator {
        let keeps_order = !self.jitter.is_zero() && self.reorder == 0.0;
        Emulator {
            delay: self.delay,
            jitter: self.jitter,
            loss: self.loss,
            duplicate: self.duplicate,
            corrupt: self.corrupt,
            reorder: self.reorder,
            limit: self.delayed_packets(),
            rate: keeps_order.then_some(ORDER_KEEPING_RATE),
            seed: self.seed,
        }
    }

    /// How many packets a delay must be able to hold: the kernel's own 1000 would lose packets of a fast link with a long delay.
    fn delayed_packets(&self) -> u32 {
        let per_second = self.rate.map_or(MOST_PACKETS, |rate| {
            (rate / 8)
                .saturating_mul(OVERLOAD)
                .div_ceil(SMALLEST_FRAME)
                .min(MOST_PACKETS)
        });
        let held = self.delay.saturating_add(self.jitter);
        let packets = held.as_nanos() * u128::from(per_second) / 1_000_000_000;
        let packets = u64::try_from(packets)
            .unwrap_or(u64::MAX)
            .saturating_add(SPARE_PACKETS);
        u32::try_from(packets).unwrap_or(u32::MAX)
    }

    fn bucket(&self, rate: u64, mtu: u32) -> TokenBucket {
        let rate = rate / 8;
        let frame = mtu.saturating_add(ETHERNET);
        let bytes_in = |time: Duration| {
            let bytes = u128::from(rate) * time.as_nanos() / 1_000_000_000;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        TokenBucket {
            rate,
            // One frame, since a longer packet would be dropped; and on top, what a late timer leaves unsent. Without that, each packet of a
            // slow link would cost the rate the lateness of one timer (0.1 ms in 12 ms at 1 Mbit/s).
            burst: bytes_in(LATENESS).saturating_add(frame),
            limit: self
                .queue_bytes
                .unwrap_or_else(|| bytes_in(QUEUE).max(SHORTEST_QUEUE))
                .max(frame),
            overhead: self.overhead,
        }
    }
}

/// The queues of one direction. With both, the emulator is the interface's queue and the bucket is inside it: a packet is first lost
/// or doubled, then delayed, then waits for its turn. A constant delay before a rate gives the same times and the same drops as
/// one behind it, and here the waiting packets are limited in bytes, apart from those that are merely under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Queues {
    /// Loss, delay and the like.
    pub(crate) emulator: Option<Emulator>,
    /// Rate and queue.
    pub(crate) bucket: Option<TokenBucket>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(impairment: KernelImpairment) -> Queues {
        impairment.queues("m0", 1500).unwrap()
    }

    #[test]
    fn nothing_asked_needs_no_queue() {
        let none = queues(KernelImpairment::default());
        assert_eq!((none.emulator, none.bucket), (None, None));
        assert!(
            !KernelImpairment {
                rate: Some(1000),
                ..Default::default()
            }
            .needs_netem()
        );
    }

    #[test]
    fn each_effect_alone_needs_netem() {
        let nothing = KernelImpairment::default();
        for impairment in [
            KernelImpairment {
                delay: Duration::from_micros(1),
                ..nothing
            },
            KernelImpairment {
                jitter: Duration::from_micros(1),
                ..nothing
            },
            KernelImpairment { loss: 0.1, ..nothing },
            KernelImpairment {
                duplicate: 0.1,
                ..nothing
            },
            KernelImpairment {
                corrupt: 0.1,
                ..nothing
            },
            KernelImpairment {
                reorder: 0.1,
                ..nothing
            },
        ] {
            assert!(impairment.needs_netem(), "{impairment:?}");
            assert!(queues(impairment).emulator.is_some());
        }
    }

    #[test]
    fn burst_and_queue_follow_the_rate() {
        let rate = |rate| KernelImpairment {
            rate: Some(rate),
            ..Default::default()
        };
        let fast = queues(rate(1_000_000_000)).bucket.unwrap();
        assert_eq!(
            (fast.rate, fast.burst, fast.limit),
            (125_000_000, 251_518, 6_250_000)
        );
        let slow = queues(rate(64_000)).bucket.unwrap();
        assert_eq!((slow.rate, slow.burst, slow.limit), (8_000, 1534, 15_140));
        let given = KernelImpairment {
            queue_bytes: Some(100_000),
            ..rate(1_000_000_000)
        };
        assert_eq!(queues(given).bucket.unwrap().limit, 100_000);
        // Less than a frame would drop every full frame.
        let given = KernelImpairment {
            queue_bytes: Some(10),
            ..rate(1_000_000_000)
        };
        assert_eq!(queues(given).bucket.unwrap().limit, 1518);
        let fastest = queues(rate(u64::MAX)).bucket.unwrap();
        assert_eq!((fastest.burst, fastest.limit), (u32::MAX, u32::MAX));
    }

    #[test]
    fn the_delay_holds_more_packets_than_the_kernels_default() {
        let limit = |delay, rate| {
            let delay = Duration::from_millis(delay);
            queues(KernelImpairment {
                delay,
                rate,
                ..Default::default()
            })
            .emulator
            .unwrap()
            .limit
        };
        assert_eq!(limit(20, None), 20_000 + 1000);
        // 1 Mbit/s are 2083 of the smallest packets per second, times four.
        assert_eq!(limit(1000, Some(1_000_000)), 8334 + 1000);
        assert_eq!(limit(u64::MAX, None), u32::MAX);
    }

    #[test]
    fn jitter_keeps_the_order_unless_reordering_is_asked_for() {
        let jitter = KernelImpairment {
            jitter: Duration::from_millis(1),
            ..Default::default()
        };
        assert_eq!(queues(jitter).emulator.unwrap().rate, Some(ORDER_KEEPING_RATE));
        let reorder = KernelImpairment {
            reorder: 0.1,
            ..jitter
        };
        assert_eq!(queues(reorder).emulator.unwrap().rate, None);
    }

    #[test]
    fn impossible_values_are_refused() {
        let nothing = KernelImpairment::default();
        for (impairment, expected) in [
            (
                KernelImpairment { loss: 1.5, ..nothing },
                "loss is 1.5, not between 0 and 1",
            ),
            (
                KernelImpairment {
                    corrupt: f64::NAN,
                    ..nothing
                },
                "corrupt is NaN, not between 0 and 1",
            ),
            (
                KernelImpairment {
                    rate: Some(7),
                    ..nothing
                },
                "rate is less than 8 bit/s",
            ),
            (
                KernelImpairment {
                    jitter: Duration::from_secs(3),
                    ..nothing
                },
                "jitter is 3s, the kernel's limit is 2.147483647s",
            ),
        ] {
            let text = impairment.queues("m0", 1500).unwrap_err().to_string();
            assert_eq!(text, format!("impairment of midpoint `m0`: {expected}"));
        }
    }
}
