//! Directions that change by themselves.

use super::*;
use crate::{Playback, Replay, ReplayStep};

fn steps(period: u64, steps: &[ReplayStep]) -> Replay {
    Replay {
        period: Duration::from_millis(period),
        playback: Playback::Steps(steps.into()),
    }
}

fn step(at: u64) -> ReplayStep {
    ReplayStep {
        at: Duration::from_millis(at),
        ..ReplayStep::default()
    }
}

fn replaying(impairment: Impairment, replay: &Replay) -> Bench {
    let mut bench = Bench::new(1, impairment);
    bench.path.replay(0, Some(replay), &mut bench.pool);
    bench
}

/// Releases as the engine does: looks when it was told to.
fn woken(bench: &mut Bench) -> Vec<(f64, u32)> {
    let mut out = Vec::new();
    while let Some(next) = bench.path.next_due() {
        assert!(next < Nanoseconds::MAX, "nothing would wake it");
        let released = bench.release(next).into_iter();
        out.extend(released.map(|(due, number, _)| {
            assert_eq!(due, next, "packet {number} is late");
            (due as f64 / 1e6, number)
        }));
    }
    out
}

#[test]
fn values_hold_from_their_step_to_the_next_and_come_again() {
    let delay = |at, milliseconds| ReplayStep {
        delay: Some(Duration::from_millis(milliseconds)),
        ..step(at)
    };
    let own = Impairment {
        loss: Loss::Independent(1.0),
        ..Impairment::delayed(Duration::from_secs(1))
    };
    let lossless = ReplayStep {
        loss: Some(Loss::default()),
        ..delay(0, 5)
    };
    let mut bench = replaying(
        own,
        &steps(
            100,
            &[
                lossless,
                ReplayStep {
                    loss: Some(Loss::default()),
                    ..delay(40, 8)
                },
            ],
        ),
    );
    assert_eq!(bench.path.least_delay(), 5 * MILLISECOND);
    for (number, at) in [0, 39, 40, 99, 100, 1040, 1_000_000_139].into_iter().enumerate() {
        bench.offer(at * MILLISECOND, number as u32, 60);
    }
    let delays = woken(&mut bench)
        .into_iter()
        .map(|(due, _)| due)
        .collect::<Vec<_>>();
    assert_eq!(delays, [5.0, 44.0, 48.0, 107.0, 107.0, 1048.0, 1_000_000_144.0]);
    // The link's own keys hold again when the replay ends.
    bench.path.replay(u64::MAX / 2, None, &mut bench.pool);
    bench.offer(u64::MAX / 2, 9, 60);
    assert_eq!(bench.drops().loss, 1);
}

#[test]
fn a_replay_handed_over_again_begins_at_its_beginning() {
    let delay = |at, milliseconds| ReplayStep {
        delay: Some(Duration::from_millis(milliseconds)),
        ..step(at)
    };
    let replay = steps(1000, &[delay(0, 5), delay(20, 1)]);
    let mut bench = replaying(Impairment::default(), &replay);
    let millisecond = 1_000_000;
    bench.offer(30 * millisecond, 1, 1000);
    bench
        .path
        .replay(100 * millisecond, Some(&replay), &mut bench.pool);
    bench.offer(110 * millisecond, 2, 1000);
    bench.offer(125 * millisecond, 3, 1000);
    assert_eq!(woken(&mut bench), [(31.0, 1), (115.0, 2), (126.0, 3)]);
}

#[test]
fn a_transmission_goes_on_at_the_new_rate() {
    let rate = |at, rate| ReplayStep {
        rate: Some(rate),
        ..step(at)
    };
    // 1000 bytes take 1 ms, then nothing passes, then half as fast.
    let replay = steps(1000, &[rate(0, 8_000_000), rate(2, 0), rate(10, 4_000_000)]);
    let own = Impairment {
        queue: Some(QueueLimit::Packets(10)),
        ..Impairment::default()
    };
    let mut bench = replaying(own, &replay);
    (0..4).for_each(|number| bench.offer(MILLISECOND / 2, number, 1000));
    // The second is half done at 2 ms and needs 1 ms more from 10 ms on.
    assert_eq!(woken(&mut bench), [(1.5, 0), (11.0, 1), (13.0, 2), (15.0, 3)]);
}

#[test]
fn a_change_of_the_link_leaves_the_replay_alone() {
    let replay = steps(
        100,
        &[ReplayStep {
            delay: Some(Duration::from_millis(7)),
            ..step(0)
        }],
    );
    let mut bench = replaying(Impairment::default(), &replay);
    bench.set(MILLISECOND, lossy(0.5));
    bench.set(2 * MILLISECOND, Impairment::delayed(Duration::from_millis(50)));
    bench.offer(3 * MILLISECOND, 1, 60);
    assert_eq!(woken(&mut bench), [(10.0, 1)]);
}

#[test]
fn deliveries_empty_the_queue_at_their_moments() {
    let replay = Replay {
        period: Duration::from_millis(10),
        playback: Playback::Deliveries([2, 2, 9].into()),
    };
    let mut bench = replaying(Impairment::delayed(Duration::from_millis(5)), &replay);
    // 1514 bytes of frame are 1500 of packet.
    (0..5).for_each(|number| bench.offer(0, number, 1514));
    bench.set(MILLISECOND, Impairment::delayed(Duration::from_millis(6)));
    assert_eq!(
        woken(&mut bench),
        [(8.0, 0), (8.0, 1), (15.0, 2), (18.0, 3), (18.0, 4)]
    );
    // Small packets share an opportunity.
    (0..3).for_each(|number| bench.offer(100 * MILLISECOND, number, 514));
    assert_eq!(woken(&mut bench), [(108.0, 0), (108.0, 1), (108.0, 2)]);
}

#[test]
fn impossible_replays_are_refused() {
    let none = Impairment::default();
    for (replay, part) in [
        (steps(0, &[step(0)]), "no length"),
        (steps(10, &[]), "not in order"),
        (steps(10, &[step(1)]), "not in order"),
        (steps(10, &[step(0), step(10)]), "not in order"),
        (steps(10, &[step(0), step(5), step(3)]), "not in order"),
        (
            steps(
                10,
                &[ReplayStep {
                    loss: Some(Loss::Independent(2.0)),
                    ..step(0)
                }],
            ),
            "loss 2",
        ),
        (
            Replay {
                period: Duration::from_millis(3),
                playback: Playback::Deliveries([1, 4].into()),
            },
            "deliveries",
        ),
        (
            Replay {
                period: Duration::from_millis(3),
                playback: Playback::Deliveries([].into()),
            },
            "deliveries",
        ),
    ] {
        let reason = replay.check(&none).expect_err("must be refused");
        assert!(reason.contains(part), "{reason}");
    }
    let stalled = ReplayStep {
        rate: Some(0),
        ..step(0)
    };
    assert_eq!(steps(10, &[stalled]).check(&none), Ok(()));
}
