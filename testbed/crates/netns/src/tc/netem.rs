//! netem: loss, duplication, corruption, delay, jitter and reordering.

use std::sync::Arc;
use std::time::Duration;

use super::{Place, TCA_KIND, TCA_OPTIONS, put_overhead, put_queue};
use crate::attribute::{Attributes, find, read_text, read_u64};
use crate::impairment::KernelLoss;
use crate::netlink::Request;

// From linux/pkt_sched.h.
const TCA_NETEM_CORR: u16 = 1;
const TCA_NETEM_DELAY_DIST: u16 = 2;
const TCA_NETEM_REORDER: u16 = 3;
const TCA_NETEM_CORRUPT: u16 = 4;
const TCA_NETEM_LOSS: u16 = 5;
const TCA_NETEM_RATE: u16 = 6;
const TCA_NETEM_RATE64: u16 = 8;
const TCA_NETEM_LATENCY64: u16 = 10;
const TCA_NETEM_JITTER64: u16 = 11;
/// Where the seed of the random numbers is, since Linux 6.6; older kernels ignore it.
const TCA_NETEM_PRNG_SEED: u16 = 14;
/// Inside `TCA_NETEM_LOSS`: a channel with two states.
const NETEM_LOSS_GE: u16 = 2;
/// Says that an attribute holds attributes.
const NESTED: u16 = 0x8000;
/// Length of `struct tc_netem_qopt`, which the other options follow.
const FIXED: usize = 24;
/// Length of `struct tcmsg`.
const HEADER: usize = 20;
/// A tick of packet scheduling is 64 ns.
const TICK: u128 = 64;

/// The parameters the kernel gets. Probabilities are from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Emulator {
    /// Added to every packet.
    pub(crate) delay: Duration,
    /// Largest deviation of the delay, in both directions; even, unless there is a table.
    pub(crate) jitter: Duration,
    /// Deviations to draw from, in 8192ths of the jitter.
    pub(crate) table: Option<Arc<[i16]>>,
    /// How packets are lost.
    pub(crate) loss: KernelLoss,
    /// Of sending a packet twice.
    pub(crate) duplicate: f64,
    /// Of flipping one bit.
    pub(crate) corrupt: f64,
    /// Of sending a packet at once, before those that wait.
    pub(crate) reorder: f64,
    /// Packets that may wait.
    pub(crate) limit: u32,
    /// Bytes per second at which packets leave; none for at once. With a rate, packets never overtake one another.
    pub(crate) rate: Option<u64>,
    /// Bytes added to every packet before the rate counts it.
    pub(crate) overhead: i32,
    /// Bytes that every packet is counted longer (or shorter) in the queues inside.
    pub(crate) counted: i32,
    /// Start of the random numbers.
    pub(crate) seed: Option<u64>,
}

/// Creates the queue or changes its parameters; packets in it stay.
///
/// Every option is sent every time, since the kernel keeps some of those that are left out and resets the others. The exception is
/// the table, which the kernel keeps: after one table, only another one brings even jitter back ([`even_table`]).
pub(crate) fn put(index: u32, place: Place, emulator: &Emulator, operation: String) -> Request {
    let fill = |attributes: &mut Attributes| {
        attributes.nest_after(TCA_OPTIONS, &fixed(emulator), |options| extend(options, emulator));
        put_overhead(attributes, emulator.counted);
    };
    put_queue(index, place, "netem", fill, operation)
}

/// `struct tc_netem_qopt`: delay, limit, loss, gap, duplicate, jitter.
fn fixed(emulator: &Emulator) -> [u8; FIXED] {
    // With a gap of one, every packet is a candidate for being sent at once.
    let gap = u32::from(emulator.reorder > 0.0);
    let loss = match emulator.loss {
        KernelLoss::Independent(chance) => chance,
        // Ignored beside the attribute that says more.
        KernelLoss::GilbertElliott { .. } => 0.0,
    };
    let words = [
        ticks(emulator.delay),
        emulator.limit,
        probability(loss),
        gap,
        probability(emulator.duplicate),
        ticks(emulator.jitter),
    ];
    let mut bytes = [0; FIXED];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

fn extend(options: &mut Attributes, emulator: &Emulator) {
    let rate = emulator.rate.unwrap_or(0);
    if let Some(table) = &emulator.table {
        let bytes: Vec<u8> = table
            .iter()
            .flat_map(|deviation| deviation.to_ne_bytes())
            .collect();
        options.put(TCA_NETEM_DELAY_DIST, &bytes);
    }
    // Correlations of delay, loss and duplication: none, decisions are independent.
    put_words(options, TCA_NETEM_CORR, &[0, 0, 0]);
    put_words(options, TCA_NETEM_REORDER, &[probability(emulator.reorder), 0]);
    put_words(options, TCA_NETEM_CORRUPT, &[probability(emulator.corrupt), 0]);
    if rate > u64::from(u32::MAX) {
        options.put(TCA_NETEM_RATE64, &rate.to_ne_bytes());
    }
    // struct tc_netem_rate: rate (all ones: see the 64-bit attribute), packet overhead, cell size, cell overhead.
    put_words(
        options,
        TCA_NETEM_RATE,
        &[
            u32::try_from(rate).unwrap_or(u32::MAX),
            emulator.overhead.cast_unsigned(),
            0,
            0,
        ],
    );
    // Without this attribute, the kernel goes back to independent losses.
    if let KernelLoss::GilbertElliott { p, r, bad, good } = emulator.loss {
        // struct tc_netem_gemodel: p, r, h (what is *not* lost in the bad state), 1 - k (what is lost in the good one).
        let channel = [p, r, 1.0 - bad, good].map(probability);
        options.nest(TCA_NETEM_LOSS | NESTED, |loss| {
            put_words(loss, NETEM_LOSS_GE, &channel)
        });
    }
    options.put(TCA_NETEM_LATENCY64, &nanoseconds(emulator.delay).to_ne_bytes());
    options.put(TCA_NETEM_JITTER64, &nanoseconds(emulator.jitter).to_ne_bytes());
    if let Some(seed) = emulator.seed {
        options.put(TCA_NETEM_PRNG_SEED, &seed.to_ne_bytes());
    }
}

/// The seed in the kernel's description of a netem queue; none for other queues and for kernels without it.
pub(crate) fn reported_seed(answer: &[u8]) -> Option<u64> {
    let attributes = answer.get(HEADER..)?;
    let options = find(attributes, TCA_OPTIONS)
        .filter(|_| find(attributes, TCA_KIND).is_some_and(|kind| read_text(kind) == "netem"))?;
    read_u64(find(options.get(FIXED..)?, TCA_NETEM_PRNG_SEED)?, 0)
}

/// Even jitter as a table, for an emulator that has had another one.
pub(crate) fn even_table() -> Arc<[i16]> {
    // 4096 steps of four, around zero: from -8190 to 8190.
    (0..4096_i16).map(|step| 4 * (step - 2048) + 2).collect()
}

fn put_words(options: &mut Attributes, kind: u16, words: &[u32]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    options.put(kind, &bytes);
}

/// The 32-bit time that kernels before 4.16 read; later ones prefer the 64-bit attributes.
fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_nanos() / TICK).unwrap_or(u32::MAX)
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// A probability as a fraction of 2³² - 1, as `tc` rounds it.
fn probability(value: f64) -> u32 {
    // In range after the clamp; not-a-number becomes zero.
    (value.clamp(0.0, 1.0) * f64::from(u32::MAX)).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tc::ROOT;
    use crate::tc::captured::{Captured, list, options, overhead};

    const PLACE: Place = Place {
        parent: ROOT,
        handle: 1 << 16,
    };
    fn nothing() -> Emulator {
        Emulator {
            limit: 1000,
            ..Emulator::default()
        }
    }

    /// `tc` leaves out what was not asked for. All it sends must be equal; all we send on top must be zero, apart from the times in
    /// nanoseconds, which must say the same as the times in ticks.
    fn assert_same(emulator: &Emulator, command: &str) {
        let captured = Captured::of(command);
        let request = put(2, PLACE, emulator, String::new());
        let (kind, flags, body) = request.parts();
        assert_eq!((kind, flags), (captured.kind, captured.flags));
        assert_eq!(&body[..20], captured.header());
        assert_eq!(overhead(body), overhead(&captured.body));
        let (ours, theirs) = (options(body), captured.options());
        assert_eq!(ours[..FIXED], theirs[..FIXED]);
        let ours = list(&ours[FIXED..]);
        let theirs = list(&theirs[FIXED..]);
        for item in &theirs {
            assert!(ours.contains(item), "{item:?} in {ours:?}");
        }
        for (kind, value) in ours.iter().filter(|item| !theirs.contains(item)) {
            let expected = match *kind {
                TCA_NETEM_LATENCY64 => emulator.delay.as_nanos() as i64,
                TCA_NETEM_JITTER64 => emulator.jitter.as_nanos() as i64,
                _ => {
                    assert!(value.iter().all(|byte| *byte == 0), "{kind}: {value:?}");
                    continue;
                }
            };
            assert_eq!(value.as_slice(), expected.to_ne_bytes(), "{kind}");
        }
    }

    #[test]
    fn all_effects_are_what_tc_sends() {
        let emulator = Emulator {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(2),
            loss: KernelLoss::Independent(0.005),
            duplicate: 0.001,
            corrupt: 0.002,
            limit: 21_000,
            rate: Some(125_000_000_000),
            ..nothing()
        };
        assert_same(
            &emulator,
            "tc qdisc replace dev mb root handle 1: netem limit 21000 delay 20ms 2ms loss 0.5% duplicate 0.1% corrupt 0.2% rate 1000gbit",
        );
    }

    #[test]
    fn a_delay_alone_is_what_tc_sends() {
        let emulator = Emulator {
            delay: Duration::from_millis(5),
            limit: 6000,
            ..nothing()
        };
        assert_same(
            &emulator,
            "tc qdisc replace dev mb root handle 1: netem limit 6000 delay 5ms",
        );
    }

    #[test]
    fn reordering_and_certain_loss_are_what_tc_sends() {
        let emulator = Emulator {
            delay: Duration::from_millis(5),
            loss: KernelLoss::Independent(1.0),
            reorder: 0.25,
            limit: 6000,
            ..nothing()
        };
        assert_same(
            &emulator,
            "tc qdisc replace dev mb root handle 1: netem limit 6000 delay 5ms loss 100% reorder 25%",
        );
    }

    #[test]
    fn channels_with_two_states_are_what_tc_sends() {
        let channel = |p, r, bad, good| Emulator {
            loss: KernelLoss::GilbertElliott { p, r, bad, good },
            ..nothing()
        };
        // What `tc` leaves out: it turns good with 1 - p, loses all in the bad state and none in the good one.
        for (emulator, rest) in [
            (channel(0.01, 0.99, 1.0, 0.0), "1%"),
            (channel(0.01, 0.1, 0.7, 0.001), "1% 10% 70% 0.1%"),
        ] {
            let command =
                format!("tc qdisc replace dev mb root handle 1: netem limit 1000 loss gemodel {rest}");
            assert_same(&emulator, &command);
        }
    }

    #[test]
    fn a_table_is_what_tc_sends() {
        for name in ["normal", "pareto", "paretonormal"] {
            let command = format!(
                "tc qdisc replace dev mb root handle 1: netem limit 6000 delay 50ms 10ms distribution {name} rate 1000gbit"
            );
            let captured = Captured::of(&command);
            let sent = list(&captured.options()[FIXED..]);
            let (_, bytes) = sent
                .iter()
                .find(|(kind, _)| *kind == TCA_NETEM_DELAY_DIST)
                .unwrap();
            let table: Arc<[i16]> = bytes
                .chunks(2)
                .map(|pair| i16::from_ne_bytes([pair[0], pair[1]]))
                .collect();
            assert_eq!(table.len(), 4096);
            let emulator = Emulator {
                delay: Duration::from_millis(50),
                jitter: Duration::from_millis(10),
                table: Some(table),
                limit: 6000,
                rate: Some(125_000_000_000),
                ..nothing()
            };
            assert_same(&emulator, &command);
        }
    }

    #[test]
    fn a_rate_with_overhead_is_what_tc_sends() {
        let emulator = Emulator {
            rate: Some(125_000),
            overhead: 24,
            ..nothing()
        };
        assert_same(
            &emulator,
            "tc qdisc replace dev mb root handle 1: netem limit 1000 rate 1mbit 24",
        );
    }

    #[test]
    fn counting_packets_shorter_is_what_tc_sends() {
        let emulator = Emulator {
            delay: Duration::from_millis(5),
            limit: 6000,
            counted: -10,
            ..nothing()
        };
        assert_same(
            &emulator,
            "tc qdisc replace dev mb root handle 1: stab overhead -10 netem limit 6000 delay 5ms",
        );
    }

    #[test]
    fn a_long_delay_is_what_tc_sends() {
        let emulator = Emulator {
            delay: Duration::from_secs(3),
            jitter: Duration::from_millis(1),
            ..nothing()
        };
        assert_same(
            &emulator,
            "tc qdisc replace dev mb root handle 1: netem limit 1000 delay 3s 1ms",
        );
    }

    #[test]
    fn the_even_table_is_even() {
        let table = even_table();
        assert_eq!((table.len(), table[0], table[4095]), (4096, -8190, 8190));
        assert!(table.windows(2).all(|pair| pair[1] - pair[0] == 4));
    }

    #[test]
    fn a_seed_is_sent_as_64_bits() {
        let request = put(
            2,
            PLACE,
            &Emulator {
                seed: Some(7),
                ..nothing()
            },
            String::new(),
        );
        let sent = list(&options(request.parts().2)[FIXED..]);
        assert!(sent.contains(&(TCA_NETEM_PRNG_SEED, 7_u64.to_ne_bytes().to_vec())));
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(ticks(Duration::MAX), u32::MAX);
        assert_eq!(nanoseconds(Duration::MAX), i64::MAX);
        assert_eq!(probability(f64::NAN), 0);
        assert_eq!(probability(2.0), u32::MAX);
    }
}
