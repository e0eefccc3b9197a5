//! One direction's impairments in the words of the kernel, what the kernel cannot say, and its counters.

use dfaas_model::units::QueueLimit;
use dfaas_model::{GilbertElliott, Impairment, LossModel, QueueDiscipline};
use dfaas_netns::{
    Counters, DirectionCounters, KernelFeatures, KernelImpairment, KernelLoss, KernelQueue, Midpoint,
    Network, PacketCount,
};
use dfaas_wire::{Count, DirectionStatistics, Drops, LinkStatistics};

use crate::supervisor::translate;

/// From here on, in bit/s, the time that a full frame itself takes (0.12 ms and less) is less than what timers can show, and a
/// token bucket alone does for the rate.
const FAST: u64 = 100_000_000;

/// Both directions of a link. Each has random numbers of its own, from the lab's seed.
pub(crate) fn terms(directions: [&Impairment; 2], seed: u64, link: &str) -> [KernelImpairment; 2] {
    let [forward, backward] = directions;
    [
        terms_of(forward, seed_of(seed, link, "forward")),
        terms_of(backward, seed_of(seed, link, "backward")),
    ]
}

fn terms_of(impairment: &Impairment, seed: u64) -> KernelImpairment {
    KernelImpairment {
        blackhole: impairment.blackhole,
        loss: match impairment.loss_model() {
            LossModel::Independent(chance) => KernelLoss::Independent(chance),
            LossModel::GilbertElliott(GilbertElliott { p, r, bad, good }) => {
                KernelLoss::GilbertElliott { p, r, bad, good }
            }
        },
        duplicate: impairment.duplicate,
        corrupt: impairment.corrupt,
        rate: impairment.rate,
        burst: impairment.burst.map(saturated),
        transmission_time: takes_time(impairment),
        overhead: impairment.overhead,
        queue: queue(impairment),
        delay: impairment.delay,
        jitter: impairment.jitter,
        jitter_table: impairment
            .distribution
            .table()
            .map(|table| table.values().clone()),
        ordered: impairment.ordered,
        reorder: impairment.reorder,
        seed: Some(seed),
    }
}

fn queue(impairment: &Impairment) -> KernelQueue {
    let bytes = || translate::queue_bytes(impairment).map(saturated);
    match (impairment.queue_discipline, impairment.queue) {
        (QueueDiscipline::Codel, limit) => KernelQueue::Codel {
            packets: match limit {
                Some(QueueLimit::Packets(packets)) => Some(saturated(packets)),
                _ => None,
            },
            ecn: impairment.ecn,
        },
        (QueueDiscipline::Droptail, None) => KernelQueue::Standard,
        (QueueDiscipline::Droptail, Some(QueueLimit::Packets(packets))) => {
            KernelQueue::Packets(saturated(packets))
        }
        (QueueDiscipline::Droptail, Some(_)) => bytes().map_or(KernelQueue::Standard, KernelQueue::Bytes),
    }
}

fn saturated(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Whether each packet is to be held for its own time at the rate, and that shows. With a burst, packets pass at once by intention.
fn takes_time(impairment: &Impairment) -> bool {
    impairment.burst.is_none() && impairment.rate.is_some_and(|rate| rate < FAST)
}

/// A number for one direction of one link: FNV-1a (Fowler, Noll, Vo) over all three, which spreads well enough to start a generator.
fn seed_of(seed: u64, link: &str, direction: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(link.bytes());
    let bytes = bytes.chain([0]).chain(direction.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Which part of the kernel is missing for it, if any.
pub(crate) fn missing(impairment: &Impairment, features: &KernelFeatures) -> Option<&'static str> {
    let terms = terms_of(impairment, 0);
    if terms.rate.is_some() && !features.tbf {
        Some("this kernel has no tbf (sch_tbf), which a rate needs")
    } else if terms.needs_netem() && !features.netem {
        Some(if terms.transmission_time {
            "this kernel has no netem (sch_netem), which a rate below 100 Mbit/s needs to hold each packet for its own time"
        } else {
            "this kernel has no netem (sch_netem), which delay, jitter and loss need"
        })
    } else if terms.needs_codel() && !features.codel {
        Some("this kernel has no CoDel (sch_codel)")
    } else {
        None
    }
}

/// What the kernel's queues cannot do as the file means it, if anything.
pub(crate) fn cannot_say(impairment: &Impairment) -> Option<&'static str> {
    let has_jitter = !impairment.jitter.is_zero();
    let overtakes = impairment.reorder > 0.0;
    let is_codel = impairment.queue_discipline == QueueDiscipline::Codel;
    let reasons = [
        (
            takes_time(impairment) && (has_jitter || overtakes),
            "the kernel cannot both hold each packet for its own time at a rate and spread the delays behind it",
        ),
        (
            impairment.delay_correlation > 0.0 || impairment.reorder_correlation > 0.0,
            "the kernel's correlation would change how often things happen, and how delays are distributed",
        ),
        (
            impairment.jitter.as_nanos() > i32::MAX as u128,
            "the kernel's jitter is 2.1 s at most",
        ),
        (
            impairment.duplicate > 0.0 && impairment.loses(),
            "the kernel decides about duplicates before losses",
        ),
        (
            impairment.duplicate > 0.0 && has_jitter,
            "the kernel draws another delay for a duplicate",
        ),
        (
            is_codel && !matches!(impairment.queue, Some(QueueLimit::Packets(_))),
            "the kernel's CoDel has its limit in packets only, and its own where the file says none",
        ),
    ];
    let first = reasons.into_iter().find(|(applies, _)| *applies);
    first.map(|(_, reason)| reason)
}

/// The kernel's counters of a link in the form of the engine's. There is no lateness: the kernel does not tell.
pub(crate) fn statistics(
    name: &str,
    network: &Network,
    counters: &Counters,
    [first, second]: [Midpoint<'_>; 2],
) -> LinkStatistics {
    let read = |from, to| direction_statistics(&network.direction_counters(counters, from, to));
    LinkStatistics {
        name: name.to_owned(),
        forward: read(first, second),
        backward: read(second, first),
    }
}

fn direction_statistics(counters: &DirectionCounters) -> DirectionStatistics {
    let count = |it: PacketCount| Count {
        packets: it.packets,
        bytes: it.bytes,
    };
    DirectionStatistics {
        offered: count(counters.offered),
        delivered: count(counters.delivered),
        drops: Drops {
            loss: counters.lost,
            queue: counters.overflowed,
            ..Drops::default()
        },
        queued: count(counters.queued),
        in_flight: count(counters.in_flight),
        ..DirectionStatistics::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const EVERYTHING: KernelFeatures = KernelFeatures {
        netem: true,
        netem_seed: false,
        tbf: true,
        htb: true,
        codel: true,
        clsact: true,
        u32_filter: true,
        mirred: true,
    };

    fn rate(rate: u64) -> Impairment {
        Impairment {
            rate: Some(rate),
            ..Impairment::default()
        }
    }

    #[test]
    fn a_queue_keeps_its_unit() {
        for (queue, expected) in [
            (QueueLimit::Packets(7), KernelQueue::Packets(7)),
            (QueueLimit::Bytes(9000), KernelQueue::Bytes(9000)),
            (
                QueueLimit::Time(Duration::from_millis(50)),
                KernelQueue::Bytes(50_000),
            ),
        ] {
            let impairment = Impairment {
                queue: Some(queue),
                ..rate(8_000_000)
            };
            assert_eq!(terms_of(&impairment, 1).queue, expected);
        }
    }

    #[test]
    fn every_way_to_lose_and_to_spread_arrives() {
        let impairment = Impairment {
            loss: 0.02,
            loss_burst: Some(5.0),
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(1),
            distribution: dfaas_model::JitterDistribution::Pareto,
            ordered: false,
            ..Impairment::default()
        };
        let terms = terms_of(&impairment, 1);
        assert!(matches!(
            terms.loss,
            KernelLoss::GilbertElliott {
                r: 0.2,
                bad: 1.0,
                good: 0.0,
                ..
            }
        ));
        assert_eq!(terms.jitter_table.map(|table| table.len()), Some(4096));
        assert!(!terms.ordered);
        let codel = Impairment {
            queue: Some(QueueLimit::Packets(500)),
            queue_discipline: QueueDiscipline::Codel,
            ecn: true,
            ..rate(8_000_000)
        };
        let expected = KernelQueue::Codel {
            packets: Some(500),
            ecn: true,
        };
        assert_eq!((terms_of(&codel, 1).queue, cannot_say(&codel)), (expected, None));
    }

    #[test]
    fn every_direction_has_its_own_seed() {
        let nothing = Impairment::default();
        let seeds = |link| terms([&nothing, &nothing], 7, link).map(|it| it.seed.unwrap());
        let ([a, b], [c, d]) = (seeds("n1--s1"), seeds("n2--s1"));
        let mut all = vec![a, b, c, d];
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4);
        assert_eq!(seeds("n1--s1"), [a, b]);
    }

    #[test]
    fn a_slow_rate_needs_netem_and_a_fast_one_does_not() {
        let without = KernelFeatures {
            netem: false,
            ..EVERYTHING
        };
        let reason = missing(&rate(10_000_000), &without).unwrap();
        assert!(reason.contains("below 100 Mbit/s"), "{reason}");
        assert_eq!(missing(&rate(10_000_000), &EVERYTHING), None);
        assert_eq!(missing(&rate(100_000_000), &without), None);
    }

    #[test]
    fn what_the_kernel_cannot_say_is_said() {
        let spread = |bits| Impairment {
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(1),
            ..rate(bits)
        };
        assert!(cannot_say(&spread(10_000_000)).is_some());
        let with_burst = Impairment {
            burst: Some(10_000),
            ..spread(10_000_000)
        };
        assert_eq!(cannot_say(&with_burst), None);
        let correlated = Impairment {
            delay_correlation: 0.5,
            ..spread(100_000_000)
        };
        assert!(cannot_say(&correlated).is_some_and(|reason| reason.contains("correlation")));
        let doubled = Impairment {
            duplicate: 0.1,
            loss: 0.1,
            ..Impairment::default()
        };
        assert!(cannot_say(&doubled).is_some_and(|reason| reason.contains("duplicates")));
        let redrawn = Impairment {
            duplicate: 0.1,
            ..spread(100_000_000)
        };
        assert!(cannot_say(&redrawn).is_some_and(|reason| reason.contains("another delay")));
        let far = Impairment {
            jitter: Duration::from_secs(3),
            ..Impairment::default()
        };
        assert!(cannot_say(&far).is_some_and(|reason| reason.contains("2.1 s")));
        let overtaking = Impairment {
            reorder: 0.1,
            ..spread(100_000_000)
        };
        assert_eq!(cannot_say(&overtaking), None);
        assert_eq!(cannot_say(&spread(100_000_000)), None);
        assert_eq!(cannot_say(&rate(10_000_000)), None);
    }
}
