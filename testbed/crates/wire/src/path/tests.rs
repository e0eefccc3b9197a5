//! The pipeline under a virtual clock.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::frame::tests::frame;
use crate::frame::{NEEDS_CHECKSUM, Offload};
use crate::{GilbertElliott, JitterDistribution, Loss, QueueDiscipline, QueueLimit};

mod effects;
mod rates;
mod replays;

const MILLISECOND: Nanoseconds = 1_000_000;
const SECOND: Nanoseconds = 1_000_000_000;

struct Bench {
    path: Path,
    pool: Pool,
}

impl Bench {
    fn new(seed: u64, impairment: Impairment) -> Bench {
        let path = Path::new(seed, "a--b", Direction::Forward, impairment);
        Bench {
            path,
            pool: Pool::new(64 << 20),
        }
    }

    /// Offers a frame that carries `number` in its first bytes.
    fn offer(&mut self, at: Nanoseconds, number: u32, length: usize) {
        let mut bytes = vec![0; length];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        self.path
            .offer(at, frame(Offload::default(), &bytes), &mut self.pool);
    }

    fn set(&mut self, now: Nanoseconds, impairment: Impairment) {
        self.path.set(now, impairment, &mut self.pool);
    }

    /// Takes out all that is due: moment, number, length.
    fn release(&mut self, now: Nanoseconds) -> Vec<(Nanoseconds, u32, usize)> {
        let mut out = Vec::new();
        while let Some(departure) = self.path.release(now, &mut self.pool) {
            let frame = departure.packet.frame;
            let number = u32::from_le_bytes(frame.ethernet()[..4].try_into().unwrap());
            out.push((departure.due, number, frame.ethernet().len()));
            self.pool.discard(frame);
        }
        out
    }

    fn numbers(&mut self) -> Vec<u32> {
        self.release(Nanoseconds::MAX)
            .into_iter()
            .map(|(_, number, _)| number)
            .collect()
    }

    fn drops(&self) -> crate::Drops {
        self.path.statistics.drops
    }
}

/// A TCP frame of `packets` segments with 1000 bytes of payload and 54 of headers each; the sequence number is
/// the number of its first segment times 1000.
fn offloaded(first: u32, packets: usize) -> Frame {
    let mut bytes = vec![2; 12];
    bytes.extend([
        8, 0, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    bytes.extend([0, 1, 0, 2]);
    bytes.extend((first * 1000).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0]);
    bytes.resize(54 + packets * 1000, 7);
    let offload = Offload {
        flags: NEEDS_CHECKSUM,
        segmentation: u8::from(packets > 1),
        header_length: 54,
        segment_size: if packets > 1 { 1000 } else { 0 },
        checksum_start: 34,
        checksum_offset: 16,
    };
    frame(offload, &bytes)
}

/// Numbers of the segments in a frame made by [`offloaded`], or carved from one.
fn segment_numbers(frame: &Frame) -> Vec<u32> {
    let bytes = frame.ethernet();
    let first = u32::from_be_bytes(bytes[38..42].try_into().unwrap()) / 1000;
    (first..first + ((bytes.len() - 54) / 1000) as u32).collect()
}

fn lossy(loss: f64) -> Impairment {
    Impairment {
        loss: Loss::Independent(loss),
        ..Impairment::default()
    }
}

fn limited(rate: u64) -> Impairment {
    Impairment {
        rate: Some(rate),
        ..Impairment::default()
    }
}

#[test]
fn without_impairment_packets_pass_at_once() {
    let mut bench = Bench::new(1, Impairment::default());
    bench.offer(5, 1, 60);
    bench.offer(7, 2, 1514);
    assert_eq!(bench.path.next_due(), Some(5));
    assert_eq!(bench.release(7), [(5, 1, 60), (7, 2, 1514)]);
    assert_eq!((bench.path.next_due(), bench.pool.held()), (None, 0));
    let statistics = &bench.path.statistics;
    assert_eq!((statistics.offered.packets, statistics.offered.bytes), (2, 1574));
    assert_eq!(statistics.in_flight.packets, 0);
}

#[test]
fn delay_counts_from_the_arrival_however_late_the_engine_looks() {
    let mut bench = Bench::new(1, Impairment::delayed(Duration::from_millis(5)));
    bench.offer(0, 1, 60);
    bench.offer(MILLISECOND, 2, 60);
    assert_eq!(bench.release(5 * MILLISECOND - 1), []);
    let late = bench.release(90 * MILLISECOND);
    assert_eq!(late, [(5 * MILLISECOND, 1, 60), (6 * MILLISECOND, 2, 60)]);
    bench.offer(2 * MILLISECOND, 3, 60);
    assert_eq!(bench.release(SECOND), [(7 * MILLISECOND, 3, 60)]);
}

#[test]
fn delay_keeps_an_offload_frame_whole() {
    let mut bench = Bench::new(1, Impairment::delayed(Duration::from_millis(5)));
    bench.path.offer(0, offloaded(0, 40), &mut bench.pool);
    let departure = bench.path.release(SECOND, &mut bench.pool).unwrap();
    assert_eq!(
        (departure.packet.packets, departure.packet.bytes),
        (40, 40 * 1054)
    );
    assert_eq!(segment_numbers(&departure.packet.frame).len(), 40);
    assert_eq!(bench.path.statistics.offered.packets, 40);
}

/// 99 % of binomial counts lie this close to their mean (normal approximation).
fn binomial_interval(count: f64, probability: f64) -> f64 {
    2.576 * (count * probability * (1.0 - probability)).sqrt()
}

#[test]
fn loss_has_its_probability() {
    for probability in [0.001, 0.05, 0.5, 0.99] {
        let mut bench = Bench::new(42, lossy(probability));
        for number in 0..20_000 {
            bench.offer(0, number, 60);
        }
        let difference = bench.drops().loss as f64 - 20_000.0 * probability;
        assert!(
            difference.abs() <= binomial_interval(20_000.0, probability),
            "{probability}: {difference}"
        );
    }
}

#[test]
fn what_is_lost_depends_on_seed_and_index_alone() {
    let survivors = |seed, impairment: Impairment, gap: u64| {
        let mut bench = Bench::new(seed, impairment);
        (0..500).for_each(|number| bench.offer(u64::from(number) * gap, number, 60));
        bench.numbers()
    };
    let reference = survivors(7, lossy(0.3), 0);
    assert_eq!(survivors(7, lossy(0.3), 12_345), reference);
    let shaped = Impairment {
        loss: Loss::Independent(0.3),
        jitter: Duration::from_millis(3),
        queue: Some(QueueLimit::Packets(1000)),
        ..limited(1_000_000)
    };
    assert_eq!(survivors(7, shaped, 1), reference);
    assert_ne!(survivors(8, lossy(0.3), 0), reference);
}

#[test]
fn losses_hit_the_same_packets_with_and_without_offload() {
    let mut single = Bench::new(3, lossy(0.1));
    let mut whole = Bench::new(3, lossy(0.1));
    (0..400).for_each(|number| single.path.offer(0, offloaded(number, 1), &mut single.pool));
    (0..10).for_each(|batch| whole.path.offer(0, offloaded(batch * 40, 40), &mut whole.pool));
    let mut frames = 0;
    let mut numbers = |bench: &mut Bench| {
        let mut all = Vec::new();
        frames = 0;
        while let Some(departure) = bench.path.release(0, &mut bench.pool) {
            let numbers = segment_numbers(&departure.packet.frame);
            assert_eq!(numbers.len() as u64, departure.packet.packets);
            assert_eq!(departure.packet.bytes, 1054 * departure.packet.packets);
            all.extend(numbers);
            frames += 1;
        }
        all
    };
    let expected = numbers(&mut single);
    assert_eq!(numbers(&mut whole), expected);
    assert!(
        frames < expected.len() / 3,
        "runs between losses stay whole: {frames} frames"
    );
    assert_eq!(single.drops(), whole.drops());
}

#[test]
fn loss_switched_on_later_finds_its_place_in_the_stream() {
    let mut from_start = Bench::new(9, lossy(0.5));
    (0..100).for_each(|number| from_start.offer(0, number, 60));
    let mut later = Bench::new(9, Impairment::default());
    (0..50).for_each(|number| later.offer(0, number, 60));
    later.set(0, lossy(0.5));
    (50..100).for_each(|number| later.offer(0, number, 60));
    let tail = |numbers: Vec<u32>| {
        numbers
            .into_iter()
            .filter(|&number| number >= 50)
            .collect::<Vec<_>>()
    };
    assert_eq!(tail(later.numbers()), tail(from_start.numbers()));
}

#[test]
fn a_black_hole_swallows_all_but_what_is_on_its_way() {
    let mut bench = Bench::new(1, Impairment::delayed(Duration::from_millis(5)));
    bench.offer(0, 1, 60);
    bench.set(
        1,
        Impairment {
            blackhole: true,
            ..Impairment::default()
        },
    );
    bench.offer(2, 2, 60);
    bench.path.offer(3, offloaded(0, 10), &mut bench.pool);
    bench.set(4, Impairment::default());
    bench.offer(5 * MILLISECOND, 3, 60);
    assert_eq!(bench.numbers(), [1, 3]);
    assert_eq!(bench.drops().blackhole, 11);
}

#[test]
fn rate_spaces_packets_by_their_bytes() {
    // 1000 bytes at 8 Mbit/s are 1 ms; 24 bytes of overhead add 24 µs.
    let mut bench = Bench::new(
        1,
        Impairment {
            queue: Some(QueueLimit::Packets(10)),
            ..limited(8_000_000)
        },
    );
    (0..3).for_each(|number| bench.offer(0, number, 1000));
    bench.set(
        0,
        Impairment {
            overhead: 24,
            queue: Some(QueueLimit::Packets(10)),
            ..limited(8_000_000)
        },
    );
    bench.offer(10 * MILLISECOND, 3, 1000);
    let times: Vec<Nanoseconds> = bench.release(SECOND).into_iter().map(|(due, ..)| due).collect();
    assert_eq!(times, [MILLISECOND, 2 * MILLISECOND, 3 * MILLISECOND, 11_024_000]);
}

#[test]
fn delay_begins_where_the_transmission_ends() {
    let impairment = Impairment {
        delay: Duration::from_millis(5),
        ..limited(8_000_000)
    };
    let mut bench = Bench::new(1, impairment);
    bench.offer(0, 1, 1000);
    bench.offer(0, 2, 1000);
    assert_eq!(bench.path.next_due(), Some(6 * MILLISECOND));
    let statistics = &bench.path.statistics;
    assert_eq!((statistics.queued.packets, statistics.in_flight.packets), (2, 0));
    assert_eq!(bench.release(6 * MILLISECOND), [(6 * MILLISECOND, 1, 1000)]);
    let statistics = &bench.path.statistics;
    assert_eq!((statistics.queued.packets, statistics.in_flight.packets), (0, 1));
    assert_eq!(bench.release(SECOND), [(7 * MILLISECOND, 2, 1000)]);
}

#[test]
fn queue_limits_leave_out_the_packet_in_transmission() {
    let packets = Impairment {
        queue: Some(QueueLimit::Packets(2)),
        ..limited(8_000_000)
    };
    let bytes = Impairment {
        queue: Some(QueueLimit::Bytes(2500)),
        ..limited(8_000_000)
    };
    for impairment in [packets, bytes] {
        let mut bench = Bench::new(1, impairment);
        (0..5).for_each(|number| bench.offer(0, number, 1000));
        // The first packet has gone by now, so there is room for one more.
        bench.offer(MILLISECOND, 5, 1000);
        bench.offer(MILLISECOND, 6, 1000);
        assert_eq!(bench.numbers(), [0, 1, 2, 5]);
        assert_eq!(bench.drops().queue, 3);
        assert_eq!(bench.pool.held(), 0);
    }
}

#[test]
fn twice_the_rate_loses_half() {
    let mut bench = Bench::new(
        1,
        Impairment {
            queue: Some(QueueLimit::Packets(20)),
            ..limited(8_000_000)
        },
    );
    (0..10_000).for_each(|number| bench.offer(u64::from(number) * MILLISECOND / 2, number, 1000));
    let came = bench.numbers().len();
    assert!((5000..=5021).contains(&came), "{came}");
}

#[test]
fn rate_takes_an_offload_frame_apart() {
    let mut bench = Bench::new(
        1,
        Impairment {
            queue: Some(QueueLimit::Packets(4)),
            ..limited(8 * 1_054_000)
        },
    );
    bench.path.offer(0, offloaded(0, 10), &mut bench.pool);
    let mut out = Vec::new();
    while let Some(departure) = bench.path.release(SECOND, &mut bench.pool) {
        out.push((departure.due, segment_numbers(&departure.packet.frame)));
    }
    let expected: Vec<_> = (0..5)
        .map(|number| (u64::from(number + 1) * MILLISECOND, vec![number]))
        .collect();
    assert_eq!(out, expected);
    assert_eq!(bench.drops().queue, 5);
}

#[test]
fn a_new_rate_drops_nothing_and_counts_from_its_moment() {
    let mut bench = Bench::new(
        1,
        Impairment {
            queue: Some(QueueLimit::Packets(10)),
            ..limited(8_000_000)
        },
    );
    (0..4).for_each(|number| bench.offer(0, number, 1000));
    // Half of the first packet has gone; the rest takes 0.05 ms at ten times the rate.
    bench.set(
        MILLISECOND / 2,
        Impairment {
            queue: Some(QueueLimit::Packets(1)),
            ..limited(80_000_000)
        },
    );
    let times: Vec<Nanoseconds> = bench.release(SECOND).into_iter().map(|(due, ..)| due).collect();
    assert_eq!(times, [550_000, 650_000, 750_000, 850_000]);
    (0..4).for_each(|number| bench.offer(SECOND, number, 1000));
    bench.set(SECOND, Impairment::default());
    assert_eq!(
        bench.release(SECOND).len(),
        2,
        "without a rate, what waits leaves at once"
    );
}

#[test]
fn a_shorter_delay_does_not_overtake() {
    let mut bench = Bench::new(1, Impairment::delayed(Duration::from_millis(5)));
    bench.offer(0, 1, 60);
    bench.set(1, Impairment::delayed(Duration::from_millis(1)));
    bench.offer(2, 2, 60);
    bench.offer(8 * MILLISECOND, 3, 60);
    let out = bench.release(SECOND);
    assert_eq!(
        out,
        [
            (5 * MILLISECOND, 1, 60),
            (5 * MILLISECOND, 2, 60),
            (9 * MILLISECOND, 3, 60)
        ]
    );
}

#[test]
fn jitter_spreads_around_the_delay() {
    // Two values of -1 and one of 2: the mean is 0 and the standard deviation the root of 2.
    let table = JitterDistribution::Table([-8192, 16384, -8192].into());
    for (distribution, expected) in [
        (JitterDistribution::Uniform, 2.0 / 3_f64.sqrt()),
        (table, 2.0 * 2_f64.sqrt()),
    ] {
        let impairment = Impairment {
            jitter: Duration::from_millis(2),
            jitter_distribution: distribution.clone(),
            ..Impairment::delayed(Duration::from_millis(20))
        };
        let mut bench = Bench::new(5, impairment);
        let least = bench.path.least_delay();
        // Far enough apart that keeping the order changes nothing.
        (0..5000).for_each(|number| bench.offer(u64::from(number) * SECOND, number, 60));
        let delays: Vec<f64> = (bench.release(Nanoseconds::MAX).into_iter())
            .map(|(due, number, _)| (due - u64::from(number) * SECOND) as f64 / 1e6)
            .collect();
        let mean = delays.iter().sum::<f64>() / 5000.0;
        let deviation = (delays.iter().map(|delay| (delay - mean).powi(2)).sum::<f64>() / 5000.0).sqrt();
        assert!((mean - 20.0).abs() < 0.13, "{distribution:?}: mean {mean}");
        assert!(
            (deviation - expected).abs() < 0.1,
            "{distribution:?}: deviation {deviation}"
        );
        assert!(delays.iter().all(|&delay| delay >= least as f64 / 1e6));
    }
}

#[test]
fn jitter_keeps_the_order_and_never_goes_back_in_time() {
    let impairment = Impairment {
        jitter: Duration::from_millis(50),
        ..Impairment::delayed(Duration::from_millis(10))
    };
    let mut bench = Bench::new(5, impairment);
    (0..1000).for_each(|number| bench.offer(u64::from(number) * MILLISECOND, number, 60));
    bench
        .path
        .offer(1000 * MILLISECOND, offloaded(0, 5), &mut bench.pool);
    let out = bench.release(Nanoseconds::MAX);
    assert_eq!(out.len(), 1005, "with jitter, segments travel alone");
    assert!(out.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    assert!(
        out.iter()
            .take(1000)
            .enumerate()
            .all(|(place, &(due, number, _))| {
                number as usize == place && due >= place as u64 * MILLISECOND
            })
    );
}

#[test]
fn memory_is_bounded() {
    let mut bench = Bench::new(1, Impairment::delayed(Duration::from_secs(10)));
    bench.pool = Pool::new(100 * 64);
    (0..1000).for_each(|number| bench.offer(0, number, 50));
    // Each frame is a buffer of 64 bytes; alone, a path gets half.
    assert_eq!((bench.drops().memory, bench.pool.held()), (950, 50 * 64));
    bench.path.clear(&mut bench.pool);
    assert_eq!(bench.pool.held(), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Offer { after: u64, length: usize },
    OfferOffloaded { packets: usize },
    Release { after: u64 },
    Set(Impairment),
}

fn losses() -> impl Strategy<Value = Loss> {
    let channel = GilbertElliott {
        p: 0.2,
        r: 0.3,
        bad: 0.9,
        good: 0.1,
    };
    prop_oneof![
        Just(Loss::default()),
        Just(Loss::Independent(0.3)),
        Just(Loss::GilbertElliott(channel)),
    ]
}

fn rates() -> impl Strategy<Value = Impairment> {
    let limit = prop_oneof![
        (1_u32..20).prop_map(QueueLimit::Packets),
        (1_u64..30_000).prop_map(QueueLimit::Bytes),
        (0_u64..50).prop_map(|time| QueueLimit::Time(Duration::from_millis(time))),
    ];
    let discipline = prop_oneof![
        Just(QueueDiscipline::DropTail),
        any::<bool>().prop_map(|ecn| QueueDiscipline::CoDel { ecn }),
    ];
    let burst = proptest::option::of(1_u64..20_000);
    let queue = proptest::option::of(limit);
    (1_000_u64..1_000_000_000, burst, queue, discipline, -100_i32..100).prop_map(
        |(rate, burst, queue, queue_discipline, overhead)| Impairment {
            rate: Some(rate),
            burst,
            queue,
            queue_discipline,
            overhead,
            ..Impairment::default()
        },
    )
}

fn impairments() -> impl Strategy<Value = Impairment> {
    let chance = || prop_oneof![3 => Just(0.0), 1 => Just(0.3)];
    let rate = prop_oneof![Just(Impairment::default()), rates()];
    let fates = (losses(), chance(), chance(), chance(), chance());
    let times = (0_u64..20, 0_u64..20, any::<bool>(), chance());
    (any::<bool>(), fates, rate, times).prop_map(
        |(blackhole, (loss, duplicate, corrupt, reorder, reorder_correlation), rate, times)| {
            let (delay, jitter, ordered, delay_correlation) = times;
            Impairment {
                blackhole,
                loss,
                duplicate,
                corrupt,
                reorder,
                reorder_correlation,
                delay: Duration::from_millis(delay),
                jitter: Duration::from_millis(jitter),
                delay_correlation,
                ordered,
                ..rate
            }
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..2_000_000, 20_usize..2000).prop_map(|(after, length)| Step::Offer { after, length }),
        1 => (2_usize..20).prop_map(|packets| Step::OfferOffloaded { packets }),
        2 => (0_u64..20_000_000).prop_map(|after| Step::Release { after }),
        1 => impairments().prop_map(Step::Set),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    /// Every packet offered, and every copy, is delivered, dropped for a reason, or still there; what leaves is in order
    /// of time, unless it may overtake, and not before its time; and nothing is due before that was said.
    #[test]
    fn no_packet_is_unaccounted_for(seed in any::<u64>(), first in impairments(), steps in steps()) {
        let overtaking = |it: &Impairment| !it.ordered || it.reorder > 0.0;
        let mut may_overtake = overtaking(&first);
        let mut bench = Bench::new(seed, first);
        let mut now = 0;
        let mut delivered = 0;
        let mut last = 0;
        for step in steps {
            match step {
                Step::Offer { after, length } => {
                    now += after;
                    bench.offer(now, 0, length);
                }
                Step::OfferOffloaded { packets } => {
                    bench.path.offer(now, offloaded(0, packets), &mut bench.pool);
                }
                Step::Release { after } => {
                    now += after;
                    loop {
                        let next = bench.path.next_due();
                        let Some(departure) = bench.path.release(now, &mut bench.pool) else {
                            prop_assert!(bench.path.next_due().is_none_or(|due| due > now));
                            break;
                        };
                        prop_assert!(next.is_some_and(|next| next <= departure.due));
                        prop_assert!(departure.due <= now);
                        prop_assert!(departure.due >= last || may_overtake);
                        last = last.max(departure.due);
                        delivered += departure.packet.packets;
                    }
                }
                Step::Set(impairment) => {
                    may_overtake |= overtaking(&impairment);
                    bench.set(now, impairment);
                }
            }
            let statistics = &bench.path.statistics;
            let inside = statistics.queued.packets + statistics.in_flight.packets;
            let came = statistics.offered.packets + statistics.duplicated;
            prop_assert_eq!(came, delivered + statistics.drops.total() + inside);
            prop_assert_eq!(inside == 0, bench.pool.held() == 0);
        }
    }
}
