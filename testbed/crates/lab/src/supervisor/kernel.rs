//! One direction's impairments in the words of the kernel, what the kernel cannot say, and its counters.

use dfaas_model::units::QueueLimit;
use dfaas_model::{Impairment, JitterDistribution};
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
        loss: KernelLoss::Independent(impairment.loss),
        rate: impairment.rate,
        transmission_time: takes_time(impairment),
        queue: match impairment.queue {
            None => KernelQueue::Standard,
            Some(QueueLimit::Packets(packets)) => {
                KernelQueue::Packets(u32::try_from(packets).unwrap_or(u32::MAX))
            }
            Some(QueueLimit::Bytes(_) | QueueLimit::Time(_)) => translate::queue_bytes(impairment)
                .map_or(KernelQueue::Standard, |bytes| {
                    KernelQueue::Bytes(u32::try_from(bytes).unwrap_or(u32::MAX))
                }),
        },
        delay: impairment.delay,
        jitter: impairment.jitter,
        seed: Some(seed),
        ..KernelImpairment::default()
    }
}

/// Whether each packet is to be held for its own time at the rate, and that shows.
fn takes_time(impairment: &Impairment) -> bool {
    impairment.rate.is_some_and(|rate| rate < FAST)
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

/// What netem and tbf cannot do as the file means it, if anything.
pub(crate) fn cannot_say(impairment: &Impairment) -> Option<&'static str> {
    let has_jitter = !impairment.jitter.is_zero();
    if impairment.distribution == JitterDistribution::Normal && has_jitter {
        return Some("normally distributed jitter is done by the wire engine only");
    }
    if takes_time(impairment) && has_jitter {
        return Some(
            "the kernel cannot both hold each packet for its own time at a rate and spread the delays behind it",
        );
    }
    None
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
        assert_eq!(cannot_say(&spread(100_000_000)), None);
        assert_eq!(cannot_say(&rate(10_000_000)), None);
    }
}
