//! What chance does to packets: bursts of loss, copies, damage, overtaking, jitter out of order.

use super::*;

fn with(change: impl FnOnce(&mut Impairment)) -> Impairment {
    let mut impairment = Impairment::default();
    change(&mut impairment);
    impairment
}

/// Lengths of the runs of numbers missing from 0 to `count`.
fn bursts(came: &[u32], count: u32) -> Vec<u32> {
    let edges = [u32::MAX].into_iter().chain(came.iter().copied()).chain([count]);
    let edges: Vec<u32> = edges.collect();
    edges
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]) - 1)
        .filter(|&length| length > 0)
        .collect()
}

#[test]
fn a_channel_loses_in_bursts_of_the_asked_length() {
    // 5 % in bursts of 8: r = 1/8, p = 0.05 / (8 · 0.95).
    let channel = GilbertElliott {
        p: 0.05 / 7.6,
        r: 0.125,
        bad: 1.0,
        good: 0.0,
    };
    let mut bench = Bench::new(4, with(|it| it.loss = Loss::GilbertElliott(channel)));
    let count = 100_000;
    (0..count).for_each(|number| bench.offer(0, number, 60));
    let bursts = bursts(&bench.numbers(), count);
    let lost: u32 = bursts.iter().sum();
    let (number, mean) = (bursts.len() as f64, f64::from(lost) / bursts.len() as f64);
    // Lengths are geometric: their deviation is the root of 8 · 7. The number of bursts is close to binomial.
    assert!(
        (mean - 8.0).abs() < 2.576 * (56.0 / number).sqrt(),
        "{mean} in {number} bursts"
    );
    let expected = f64::from(count) * 0.05 / 8.0;
    assert!(
        (number - expected).abs() < 2.576 * expected.sqrt(),
        "{number} bursts, {expected} expected"
    );
}

#[test]
fn a_channel_loses_in_both_states_by_its_parameters() {
    let channel = GilbertElliott {
        p: 0.2,
        r: 0.3,
        bad: 0.5,
        good: 0.1,
    };
    let mut bench = Bench::new(4, with(|it| it.loss = Loss::GilbertElliott(channel)));
    (0..100_000).for_each(|number| bench.offer(0, number, 60));
    // Two fifths of the time in the bad state. States of neighbours are alike (0.5), so the interval is wider than
    // that of independent losses, by the root of three at most.
    let difference = bench.drops().loss as f64 - 100_000.0 * (0.4 * 0.5 + 0.6 * 0.1);
    let interval = binomial_interval(100_000.0, 0.26) * 3_f64.sqrt();
    assert!(difference.abs() < interval, "{difference}");
}

#[test]
fn copies_follow_their_originals() {
    let mut bench = Bench::new(6, with(|it| it.duplicate = 0.2));
    (0..10_000).for_each(|number| bench.offer(u64::from(number), number, 60));
    let numbers = bench.numbers();
    let copies = bench.path.statistics.duplicated;
    assert_eq!(numbers.len() as u64, 10_000 + copies);
    assert!(numbers.is_sorted());
    assert!(
        (copies as f64 - 2000.0).abs() <= binomial_interval(10_000.0, 0.2),
        "{copies}"
    );
    assert_eq!(bench.pool.held(), 0);
}

#[test]
fn a_copied_segment_leaves_its_frame_and_the_others_stay_together() {
    let mut bench = Bench::new(6, with(|it| it.duplicate = 0.05));
    bench.path.offer(0, offloaded(0, 60), &mut bench.pool);
    let mut numbers = Vec::new();
    let mut frames = 0;
    while let Some(departure) = bench.path.release(0, &mut bench.pool) {
        numbers.extend(segment_numbers(&departure.packet.frame));
        frames += 1;
    }
    let copies = bench.path.statistics.duplicated;
    assert!(
        copies > 0 && frames < 4 * copies + 2,
        "{frames} frames, {copies} copies"
    );
    assert!(numbers.is_sorted());
    numbers.dedup();
    assert_eq!(numbers, (0..60).collect::<Vec<_>>());
}

#[test]
fn corruption_flips_one_bit_of_its_share_of_packets() {
    let mut bench = Bench::new(6, with(|it| it.corrupt = 0.1));
    (0..5000).for_each(|_| bench.path.offer(0, offloaded(0, 1), &mut bench.pool));
    let untouched = offloaded(0, 1);
    let mut damaged = 0;
    while let Some(departure) = bench.path.release(0, &mut bench.pool) {
        let frame = departure.packet.frame;
        if frame.offload().flags & NEEDS_CHECKSUM != 0 {
            assert_eq!(frame.ethernet(), untouched.ethernet());
        } else {
            damaged += 1;
        }
    }
    assert_eq!(bench.path.statistics.corrupted, damaged);
    assert!(
        (damaged as f64 - 500.0).abs() <= binomial_interval(5000.0, 0.1),
        "{damaged}"
    );
}

#[test]
fn overtaking_packets_are_not_delayed_and_the_others_keep_their_order() {
    let impairment = with(|it| {
        it.delay = Duration::from_millis(10);
        it.reorder = 0.25;
    });
    let mut bench = Bench::new(6, impairment);
    assert_eq!(bench.path.least_delay(), 0);
    (0..4000).for_each(|number| bench.offer(u64::from(number) * MILLISECOND, number, 60));
    let out = bench.release(Nanoseconds::MAX);
    assert!(out.is_sorted_by_key(|&(due, ..)| due));
    let delay = |&(due, number, _): &(Nanoseconds, u32, usize)| due - u64::from(number) * MILLISECOND;
    let (delayed, overtaking): (Vec<_>, Vec<_>) = out.iter().partition(|packet| delay(packet) > 0);
    assert!(delayed.iter().all(|packet| delay(packet) == 10 * MILLISECOND));
    assert!(delayed.is_sorted_by_key(|&(_, number, _)| number));
    assert_eq!(bench.path.statistics.reordered, overtaking.len() as u64);
    assert!((overtaking.len() as f64 - 1000.0).abs() <= binomial_interval(4000.0, 0.25));
}

#[test]
fn correlated_overtaking_comes_in_runs_of_the_same_share() {
    let impairment = with(|it| {
        it.delay = Duration::from_secs(100);
        it.reorder = 0.25;
        it.reorder_correlation = 0.8;
    });
    let mut bench = Bench::new(6, impairment);
    (0..50_000).for_each(|number| bench.offer(u64::from(number), number, 60));
    let came: Vec<u32> = bench
        .release(SECOND)
        .into_iter()
        .map(|(_, number, _)| number)
        .collect();
    // Correlation 0.8 leaves one independent packet in nine.
    let difference = came.len() as f64 - 12_500.0;
    assert!(
        difference.abs() <= binomial_interval(50_000.0, 0.25) * 3.0,
        "{difference}"
    );
    // The next one overtakes as well with 0.8 + 0.2 · 0.25.
    let pairs = came.windows(2).filter(|pair| pair[1] == pair[0] + 1).count() as f64 / came.len() as f64;
    assert!((pairs - 0.85).abs() < 0.02, "{pairs}");
}

#[test]
fn jitter_swaps_packets_only_where_that_is_asked_for() {
    let impairment = |ordered| {
        with(|it| {
            it.delay = Duration::from_millis(50);
            it.jitter = Duration::from_millis(50);
            it.ordered = ordered;
        })
    };
    let arrivals = |ordered| {
        let mut bench = Bench::new(5, impairment(ordered));
        (0..1000).for_each(|number| bench.offer(u64::from(number) * MILLISECOND, number, 60));
        let out = bench.release(Nanoseconds::MAX);
        assert!(out.is_sorted_by_key(|&(due, ..)| due));
        out
    };
    let (free, ordered) = (arrivals(false), arrivals(true));
    assert!(ordered.is_sorted_by_key(|&(_, number, _)| number));
    assert!(!free.is_sorted_by_key(|&(_, number, _)| number));
    // Unordered, each has the delay it drew: half of 50 ms up or down on average, nothing added by waiting for others.
    let mean = |out: &[(Nanoseconds, u32, usize)]| {
        let delays = out
            .iter()
            .map(|&(due, number, _)| due as f64 / 1e6 - f64::from(number));
        delays.sum::<f64>() / out.len() as f64
    };
    assert!(
        (mean(&free) - 50.0).abs() < 2.576 * 50.0 / 3000_f64.sqrt(),
        "{}",
        mean(&free)
    );
    assert!(mean(&ordered) > mean(&free) + 20.0);
}

#[test]
fn correlated_jitter_keeps_its_distribution() {
    let impairment = with(|it| {
        it.delay = Duration::from_millis(50);
        it.jitter = Duration::from_millis(10);
        it.delay_correlation = 0.5;
    });
    let mut bench = Bench::new(5, impairment);
    let count = 20_000_u32;
    (0..count).for_each(|number| bench.offer(u64::from(number) * SECOND, number, 60));
    let delays: Vec<f64> = (bench.release(Nanoseconds::MAX).into_iter())
        .map(|(due, number, _)| (due - u64::from(number) * SECOND) as f64 / 1e6 - 50.0)
        .collect();
    let moment = |it: &dyn Fn(&[f64]) -> f64| delays.windows(2).map(it).sum::<f64>() / f64::from(count - 1);
    let variance = moment(&|pair| pair[0] * pair[0]);
    let neighbours = moment(&|pair| pair[0] * pair[1]) / variance;
    assert!((variance - 100.0 / 3.0).abs() < 1.0, "{variance}");
    assert!((neighbours - 0.5).abs() < 0.03, "{neighbours}");
}

#[test]
fn each_effect_leaves_the_pattern_of_the_others_as_it_is() {
    let survivors = |change: fn(&mut Impairment)| {
        let mut impairment = lossy(0.3);
        change(&mut impairment);
        let mut bench = Bench::new(7, impairment);
        (0..500).for_each(|number| bench.offer(u64::from(number), number, 60));
        let mut numbers = bench.numbers();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    let reference = survivors(|_| {});
    assert_eq!(survivors(|it| it.duplicate = 0.5), reference);
    assert_eq!(survivors(|it| it.delay_correlation = 0.5), reference);
    assert_eq!(
        survivors(|it| (it.reorder, it.delay) = (0.5, Duration::from_millis(1))),
        reference
    );
}
