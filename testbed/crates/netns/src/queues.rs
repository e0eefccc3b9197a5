//! Which of the kernel's queues carry an impairment out, and with which parameters.

use std::time::Duration;

use crate::impairment::{KernelImpairment, KernelLoss, KernelQueue};
use crate::tc::leaf::Leaf;
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
/// What CoDel holds at most unless given, in packets, as the kernel.
const CODEL_PACKETS: u32 = 1000;
/// Packets per second that are assumed to enter a delay when the link has no rate; a machine that does more has no time left for
/// anything else.
const MOST_PACKETS: u64 = 1_000_000;
/// How much more than its rate a link is assumed to be offered.
const OVERLOAD: u64 = 4;
/// Room for packets besides those that the delay and the queue hold.
const SPARE_PACKETS: u64 = 1000;
/// A rate that makes no packet wait (a full frame takes 12 ns), but lets netem keep packets in order: without a rate it sends each
/// packet when its own delay is over.
const ORDER_KEEPING_RATE: u64 = 125_000_000_000;
/// What stands for one jitter in a table of deviations.
const DEVIATION: f64 = 8192.0;

/// The queues of one interface. With both, the emulator is the interface's queue and the bucket is inside it: what leaves the
/// emulator waits for its turn.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Egress {
    /// Loss, delay and the like.
    pub(crate) emulator: Option<Emulator>,
    /// Rate and queue.
    pub(crate) bucket: Option<(TokenBucket, Leaf)>,
}

impl Egress {
    /// Both, where packets before and in the bucket are counted as so many bytes more than they have.
    fn new(emulator: Option<Emulator>, bucket: Option<(TokenBucket, Leaf)>, overhead: i32) -> Self {
        let counted = if bucket.is_some() { overhead } else { 0 };
        // The outermost queue sets what a packet counts for all of them.
        let inside = if emulator.is_some() { 0 } else { counted };
        Self {
            emulator: emulator.map(|emulator| Emulator { counted, ..emulator }),
            bucket: bucket.map(|(bucket, leaf)| {
                let bucket = TokenBucket {
                    overhead: inside,
                    ..bucket
                };
                (bucket, leaf)
            }),
        }
    }
}

/// The queues of one direction.
///
/// A constant delay before a rate gives the same times and the same drops as one behind it, so one emulator with a bucket inside does
/// for most links, and what waits for the rate is limited apart from what is merely under way. But delays that differ, or the time
/// that a packet itself takes, must come after the rate. Then the rate has an interface of its own before the midpoint.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Queues {
    /// On the interface before the midpoint, if there must be one.
    pub(crate) before: Option<Egress>,
    /// On the midpoint.
    pub(crate) midpoint: Egress,
}

impl Queues {
    /// The queues for an impairment that has been checked, for packets of at most `mtu` bytes.
    pub(crate) fn new(impairment: &KernelImpairment, mtu: u32) -> Self {
        let bucket = impairment.rate.map(|rate| bucket(impairment, rate, mtu));
        let delays_differ = !impairment.jitter.is_zero() || impairment.reorder > 0.0;
        if bucket.is_some() && (delays_differ || impairment.transmission_time) {
            let first = impairment.decides_about_packets();
            let room = SPARE_PACKETS.saturating_add(queued(bucket.as_ref()));
            let emulator = first.then(|| decisions(impairment, room));
            let before = Egress::new(emulator, bucket, impairment.overhead);
            let own_stream = Emulator {
                // With the seed of the first, it would draw the same numbers, and so delay by what was decided about the loss.
                seed: impairment.seed.map(|seed| seed ^ 1),
                ..Emulator::default()
            };
            let midpoint = Egress {
                emulator: Some(delays(impairment, own_stream)),
                bucket: None,
            };
            return Self {
                before: Some(before),
                midpoint,
            };
        }
        let needed = impairment.decides_about_packets() || impairment.delays_packets();
        let emulator = needed.then(|| delays(impairment, decisions(impairment, queued(bucket.as_ref()))));
        Self {
            before: None,
            midpoint: Egress::new(emulator, bucket, impairment.overhead),
        }
    }
}

/// The emulator that loses, doubles and corrupts.
fn decisions(impairment: &KernelImpairment, limit: u64) -> Emulator {
    Emulator {
        loss: impairment.loss,
        duplicate: impairment.duplicate,
        corrupt: impairment.corrupt,
        limit: saturated(limit),
        seed: impairment.seed,
        ..Emulator::default()
    }
}

/// An emulator that also delays.
fn delays(impairment: &KernelImpairment, emulator: Emulator) -> Emulator {
    let own_time = impairment.rate.filter(|_| impairment.transmission_time);
    let keeps_order = impairment.ordered && !impairment.jitter.is_zero();
    Emulator {
        delay: impairment.delay,
        jitter: impairment.jitter,
        table: impairment
            .jitter_table
            .clone()
            .filter(|_| !impairment.jitter.is_zero()),
        reorder: impairment.reorder,
        limit: saturated(u64::from(emulator.limit).saturating_add(delayed_packets(impairment))),
        rate: match own_time {
            Some(rate) => Some(rate / 8),
            None => keeps_order.then_some(ORDER_KEEPING_RATE),
        },
        overhead: own_time.map_or(0, |_| impairment.overhead),
        ..emulator
    }
}

/// How many packets a delay must be able to hold: the kernel's own 1000 would lose packets of a fast link with a long delay.
fn delayed_packets(impairment: &KernelImpairment) -> u64 {
    let per_second = impairment.rate.map_or(MOST_PACKETS, |rate| {
        (rate / 8)
            .saturating_mul(OVERLOAD)
            .div_ceil(SMALLEST_FRAME)
            .min(MOST_PACKETS)
    });
    let largest = impairment.jitter_table.as_ref().map_or(1.0, |table| {
        f64::from(table.iter().copied().max().unwrap_or(0).max(0)) / DEVIATION
    });
    let held = impairment
        .delay
        .saturating_add(impairment.jitter.mul_f64(largest));
    let packets = held.as_nanos() * u128::from(per_second) / 1_000_000_000;
    u64::try_from(packets)
        .unwrap_or(u64::MAX)
        .saturating_add(SPARE_PACKETS)
}

/// How many packets may wait inside an emulator, which counts them as its own.
fn queued(bucket: Option<&(TokenBucket, Leaf)>) -> u64 {
    match bucket {
        None => 0,
        Some((bucket, Leaf::Bytes)) => u64::from(bucket.limit).div_ceil(SMALLEST_FRAME),
        Some((_, Leaf::Packets(packets) | Leaf::Codel { packets, .. })) => u64::from(*packets),
    }
}

fn bucket(impairment: &KernelImpairment, rate: u64, mtu: u32) -> (TokenBucket, Leaf) {
    let rate = rate / 8;
    let frame = mtu
        .saturating_add(ETHERNET)
        .saturating_add_signed(impairment.overhead.max(0));
    let bytes_in = |time: Duration| {
        let bytes = u128::from(rate) * time.as_nanos() / 1_000_000_000;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    };
    let standard = bytes_in(QUEUE).max(SHORTEST_QUEUE);
    let (limit, leaf) = match impairment.queue {
        KernelQueue::Standard => (standard, Leaf::Bytes),
        KernelQueue::Bytes(bytes) => (bytes, Leaf::Bytes),
        KernelQueue::Packets(packets) => (standard, Leaf::Packets(packets.max(1))),
        KernelQueue::Codel { packets, ecn } => {
            let packets = packets.unwrap_or(CODEL_PACKETS).max(1);
            (standard, Leaf::Codel { packets, ecn })
        }
    };
    let bucket = TokenBucket {
        rate,
        // One frame, since a longer packet would be dropped; and on top, what a late timer leaves unsent. Without that, each packet of a
        // slow link would cost the rate the lateness of one timer (0.1 ms in 12 ms at 1 Mbit/s).
        burst: impairment
            .burst
            .unwrap_or_else(|| bytes_in(LATENESS).saturating_add(frame))
            .max(frame),
        limit: limit.max(frame),
        overhead: 0,
    };
    (bucket, leaf)
}

fn saturated(packets: u64) -> u32 {
    u32::try_from(packets).unwrap_or(u32::MAX)
}

impl Default for Emulator {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            table: None,
            loss: KernelLoss::Independent(0.0),
            duplicate: 0.0,
            corrupt: 0.0,
            reorder: 0.0,
            limit: 0,
            rate: None,
            overhead: 0,
            counted: 0,
            seed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: fn() -> KernelImpairment = KernelImpairment::default;

    fn queues(impairment: KernelImpairment) -> Queues {
        impairment.queues("m0", 1500).unwrap()
    }

    fn rate(rate: u64) -> KernelImpairment {
        KernelImpairment {
            rate: Some(rate),
            ..NOTHING()
        }
    }

    fn bucket_of(impairment: KernelImpairment) -> (TokenBucket, Leaf) {
        queues(impairment).midpoint.bucket.unwrap()
    }

    fn emulator_of(impairment: KernelImpairment) -> Emulator {
        queues(impairment).midpoint.emulator.unwrap()
    }

    #[test]
    fn nothing_asked_needs_no_queue() {
        assert_eq!(queues(NOTHING()), Queues::default());
        // Dropping everything is done before the queues.
        let hole = KernelImpairment {
            blackhole: true,
            ..NOTHING()
        };
        assert_eq!(queues(hole), Queues::default());
    }

    #[test]
    fn burst_and_queue_follow_the_rate() {
        let (fast, _) = bucket_of(rate(1_000_000_000));
        assert_eq!(
            (fast.rate, fast.burst, fast.limit),
            (125_000_000, 251_518, 6_250_000)
        );
        let (slow, _) = bucket_of(rate(64_000));
        assert_eq!((slow.rate, slow.burst, slow.limit), (8_000, 1534, 15_140));
        let (fastest, _) = bucket_of(rate(u64::MAX));
        assert_eq!((fastest.burst, fastest.limit), (u32::MAX, u32::MAX));
    }

    #[test]
    fn burst_and_queue_are_as_given_but_hold_a_frame() {
        let with = |queue, burst| KernelImpairment {
            queue,
            burst,
            ..rate(1_000_000_000)
        };
        let (given, leaf) = bucket_of(with(KernelQueue::Bytes(100_000), Some(3000)));
        assert_eq!((given.limit, given.burst, leaf), (100_000, 3000, Leaf::Bytes));
        // Less than a frame would drop every full frame.
        let (least, _) = bucket_of(with(KernelQueue::Bytes(10), Some(10)));
        assert_eq!((least.limit, least.burst), (1518, 1518));
        let (_, packets) = bucket_of(with(KernelQueue::Packets(7), None));
        assert_eq!(packets, Leaf::Packets(7));
        let codel = KernelQueue::Codel {
            packets: None,
            ecn: true,
        };
        let expected = Leaf::Codel {
            packets: 1000,
            ecn: true,
        };
        assert_eq!(bucket_of(with(codel, None)).1, expected);
    }

    #[test]
    fn the_delay_holds_more_packets_than_the_kernels_default() {
        let limit = |delay, rate| {
            let delay = Duration::from_millis(delay);
            emulator_of(KernelImpairment {
                delay,
                rate,
                ..NOTHING()
            })
            .limit
        };
        assert_eq!(limit(20, None), 20_000 + 1000);
        // 1 Mbit/s are 2083 of the smallest packets per second, times four; and 15,140 bytes may be 253 of them.
        assert_eq!(limit(1000, Some(1_000_000)), 8334 + 253 + 1000);
        assert_eq!(limit(u64::MAX, None), u32::MAX);
        let spread = KernelImpairment {
            jitter: Duration::from_millis(10),
            jitter_table: Some([-8192, 0, 32767].into()),
            ..NOTHING()
        };
        // Four times the jitter.
        assert_eq!(emulator_of(spread).limit, 39_998 + 1000);
    }

    #[test]
    fn jitter_keeps_the_order_unless_told_otherwise() {
        let jitter = KernelImpairment {
            jitter: Duration::from_millis(1),
            ..NOTHING()
        };
        assert_eq!(emulator_of(jitter.clone()).rate, Some(ORDER_KEEPING_RATE));
        let unordered = KernelImpairment {
            ordered: false,
            ..jitter
        };
        assert_eq!(emulator_of(unordered).rate, None);
    }

    #[test]
    fn delays_that_differ_come_after_the_rate() {
        let spread = KernelImpairment {
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(1),
            loss: KernelLoss::Independent(0.1),
            seed: Some(6),
            ..rate(1_000_000_000)
        };
        let queues = queues(spread);
        let before = queues.before.unwrap();
        let (first, second) = (before.emulator.unwrap(), queues.midpoint.emulator.unwrap());
        assert!(before.bucket.is_some() && queues.midpoint.bucket.is_none());
        assert_eq!(
            (first.loss, first.delay),
            (KernelLoss::Independent(0.1), Duration::ZERO)
        );
        assert_eq!(second.loss, KernelLoss::Independent(0.0));
        assert_eq!(second.delay, Duration::from_millis(5));
        assert_eq!((first.seed, second.seed), (Some(6), Some(7)));
    }

    #[test]
    fn the_outermost_queue_counts_the_overhead() {
        let counted = |delay| {
            let impairment = KernelImpairment {
                overhead: -4,
                delay: Duration::from_millis(delay),
                ..rate(1_000_000_000)
            };
            let egress = queues(impairment).midpoint;
            let emulator = egress.emulator.map(|emulator| emulator.counted);
            (emulator, egress.bucket.unwrap().0.overhead)
        };
        assert_eq!(counted(0), (None, -4));
        assert_eq!(counted(1), (Some(-4), 0));
        let no_rate = KernelImpairment {
            overhead: 24,
            delay: Duration::from_millis(1),
            ..NOTHING()
        };
        assert_eq!(emulator_of(no_rate).counted, 0);
    }

    #[test]
    fn a_packets_own_time_comes_after_the_queue() {
        let held = KernelImpairment {
            transmission_time: true,
            overhead: 24,
            ..rate(1_000_000)
        };
        let queues = queues(held);
        let before = queues.before.unwrap();
        assert_eq!(before.emulator, None);
        assert_eq!(before.bucket.unwrap().0.overhead, 24);
        let emulator = queues.midpoint.emulator.unwrap();
        assert_eq!((emulator.rate, emulator.overhead), (Some(125_000), 24));
    }
}
