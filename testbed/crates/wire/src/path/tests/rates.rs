//! The queue and what comes after it: bursts, CoDel and marks, overtaking behind a rate.

use super::*;

/// 8 Mbit/s send 1000 bytes in a millisecond.
const RATE: u64 = 8_000_000;

fn due(bench: &mut Bench, now: Nanoseconds) -> Vec<f64> {
    let all = bench.release(now);
    all.into_iter().map(|(due, ..)| due as f64 / 1e6).collect()
}

#[test]
fn a_burst_passes_at_once_after_a_pause() {
    let impairment = Impairment {
        burst: Some(3000),
        ..limited(RATE)
    };
    let mut bench = Bench::new(1, impairment);
    (0..6).for_each(|number| bench.offer(0, number, 1000));
    assert_eq!(bench.path.next_due(), Some(0));
    assert_eq!(due(&mut bench, SECOND), [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
    // At 3 ms the bucket was empty; 1.5 ms later it has 1500 bytes.
    (0..3).for_each(|number| bench.offer(4 * MILLISECOND + 500_000, number, 1000));
    assert_eq!(due(&mut bench, SECOND), [4.5, 5.0, 6.0]);
    // A packet longer than the bucket goes when that is full, and leaves it in debt.
    bench.offer(10 * MILLISECOND, 7, 5000);
    bench.offer(10 * MILLISECOND, 8, 1000);
    assert_eq!(due(&mut bench, SECOND), [10.0, 13.0]);
}

#[test]
fn a_new_rate_fills_the_bucket_at_its_own_pace() {
    let impairment = |rate| Impairment {
        burst: Some(2000),
        ..limited(rate)
    };
    let mut bench = Bench::new(1, impairment(RATE));
    (0..4).for_each(|number| bench.offer(0, number, 1000));
    // The third packet would have its tokens at 1 ms, and has half of them at 0.5 ms; a tenth of the rate needs 5 ms more.
    bench.set(MILLISECOND / 2, impairment(RATE / 10));
    assert_eq!(due(&mut bench, SECOND), [0.0, 0.0, 5.5, 15.5]);
}

#[test]
fn packets_that_wait_for_tokens_take_room_in_the_queue() {
    for queue in [QueueLimit::Packets(2), QueueLimit::Bytes(2500)] {
        let impairment = Impairment {
            burst: Some(1000),
            queue: Some(queue),
            ..limited(RATE)
        };
        let mut bench = Bench::new(1, impairment);
        (0..5).for_each(|number| bench.offer(0, number, 1000));
        assert_eq!(bench.numbers(), [0, 1, 2]);
        assert_eq!(bench.drops().queue, 2);
    }
}

#[test]
fn a_queue_in_time_is_the_longest_wait() {
    let impairment = Impairment {
        queue: Some(QueueLimit::Time(Duration::from_millis(20))),
        ..limited(RATE)
    };
    let mut bench = Bench::new(1, impairment);
    (0..100).for_each(|number| bench.offer(0, number, 1000));
    // One in transmission, twenty behind it.
    assert_eq!(due(&mut bench, SECOND).last(), Some(&21.0));
    assert_eq!(bench.drops().queue, 79);
}

/// Offers twice the rate for a second: packets of 1000 bytes with the given traffic class. The longest time any of the
/// packets after half a second waited, in milliseconds.
fn overload(bench: &mut Bench, class: u8) -> f64 {
    let mut bytes = vec![2; 12];
    bytes.extend([8, 0, 0x45, class]);
    bytes.resize(1000, 0);
    let mut longest = 0;
    for number in 0..2000 {
        let at = number * MILLISECOND / 2;
        bytes[40..48].copy_from_slice(&at.to_be_bytes());
        bench
            .path
            .offer(at, frame(Offload::default(), &bytes), &mut bench.pool);
        while let Some(departure) = bench.path.release(at, &mut bench.pool) {
            let ethernet = departure.packet.frame.ethernet();
            let sent = Nanoseconds::from_be_bytes(ethernet[40..48].try_into().unwrap());
            if departure.due > SECOND / 2 {
                longest = longest.max(departure.due - sent);
            }
            bench.pool.discard(departure.packet.frame);
        }
    }
    longest as f64 / 1e6
}

#[test]
fn codel_drops_before_the_queue_is_full() {
    let discipline = |queue_discipline| Impairment {
        queue: Some(QueueLimit::Packets(10_000)),
        queue_discipline,
        ..limited(RATE)
    };
    let mut plain = Bench::new(1, discipline(QueueDiscipline::DropTail));
    let mut codel = Bench::new(1, discipline(QueueDiscipline::CoDel { ecn: false }));
    let (without, with) = (overload(&mut plain, 0), overload(&mut codel, 0));
    assert_eq!(plain.drops().total(), 0);
    // Against a sender that does not give way, the drops of the first second: at 100 / sqrt(n) ms, some 20 of them.
    let drops = codel.drops();
    assert_eq!((drops.codel, drops.queue), (drops.total(), 0));
    assert!((15..=30).contains(&drops.codel), "{drops:?}");
    assert!(with < without, "{with} of {without} ms");
    assert_eq!(codel.path.statistics.marked, 0);
}

#[test]
fn codel_marks_what_can_be_marked_and_drops_the_rest() {
    let impairment = Impairment {
        queue: Some(QueueLimit::Packets(10_000)),
        queue_discipline: QueueDiscipline::CoDel { ecn: true },
        ..limited(RATE)
    };
    let mut capable = Bench::new(1, impairment.clone());
    overload(&mut capable, 0b10);
    assert!(
        capable.path.statistics.marked >= 15,
        "{:?}",
        capable.path.statistics
    );
    assert_eq!(capable.drops().total(), 0);
    let mut incapable = Bench::new(1, impairment);
    overload(&mut incapable, 0);
    assert_eq!(incapable.path.statistics.marked, 0);
    assert!(incapable.drops().codel >= 15);
}

#[test]
fn packets_overtake_behind_the_rate_too() {
    let impairment = Impairment {
        delay: Duration::from_millis(50),
        reorder: 0.5,
        queue: Some(QueueLimit::Packets(100)),
        ..limited(RATE)
    };
    let mut bench = Bench::new(3, impairment);
    (0..40).for_each(|number| bench.offer(0, number, 1000));
    let mut out = Vec::new();
    // As the engine does: wakes when something is due, and only then.
    while let Some(next) = bench.path.next_due() {
        out.extend(bench.release(next).into_iter().map(|packet| (next, packet)));
    }
    assert_eq!(out.len(), 40);
    for (woken, (due, number, _)) in out {
        let end = u64::from(number + 1) * MILLISECOND;
        assert_eq!(woken, due, "packet {number} is not late");
        assert!(
            due == end || due == end + 50 * MILLISECOND,
            "packet {number} at {due}"
        );
    }
}
