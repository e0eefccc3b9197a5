//! What links do to real packets between namespaces. Timing is asserted only where it cannot fail on a busy
//! machine: no packet is early, and the middle one is not late.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use dfaas_wire::{Direction, DirectionStatistics, Engine, Impairment, JitterDistribution, Loss, QueueLimit};
use support::{Network, may_make_namespaces, receive_numbered, send_numbered};

const NO_GAP: Duration = Duration::ZERO;

fn passing() -> Impairment {
    Impairment::default()
}

/// Sends numbered datagrams from left to right through link 0; the numbers that came, in order.
fn survivors(network: &Network, count: u32) -> Vec<u32> {
    let (sender, receiver) = network.udp_pair(0);
    let sending = send_numbered(sender, count, 100, Duration::from_micros(20));
    let came = receive_numbered(&receiver, count)
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    sending.join().unwrap();
    came
}

fn forward(engine: &Engine, link: usize) -> DirectionStatistics {
    engine.statistics().swap_remove(link).forward
}

#[test]
fn the_same_seed_loses_the_same_packets() {
    if !may_make_namespaces() {
        return;
    }
    let lossy = Impairment {
        loss: Loss::Independent(0.2),
        ..passing()
    };
    let run = |seed, impairment: &Impairment| {
        let network = Network::new(1);
        let engine = network.start(seed, impairment, &passing());
        let came = survivors(&network, 2000);
        let statistics = forward(&engine, 0);
        assert_eq!(
            statistics.offered.packets, 2000,
            "nothing but the test's packets crosses the link"
        );
        assert_eq!(statistics.drops.loss + came.len() as u64, 2000);
        came
    };
    let first = run(11, &lossy);
    // 2.576 standard deviations around the mean: the 99 % interval.
    let deviation = (2000.0 * 0.2 * 0.8_f64).sqrt() * 2.576;
    let lost = 2000.0 - first.len() as f64;
    assert!((lost - 400.0).abs() <= deviation, "{lost} of 2000 lost");
    assert_eq!(
        run(
            11,
            &Impairment {
                delay: Duration::from_millis(3),
                ..lossy.clone()
            }
        ),
        first
    );
    assert!(run(12, &lossy) != first);
}

#[test]
fn delay_is_never_short_and_mostly_right() {
    if !may_make_namespaces() {
        return;
    }
    let network = Network::new(1);
    let asked = Duration::from_millis(20);
    let _engine = network.start(1, &Impairment::delayed(asked), &passing());
    let (sender, receiver) = network.udp_pair(0);
    let sending = send_numbered(sender, 300, 100, Duration::from_millis(2));
    let came = receive_numbered(&receiver, 300);
    let sent = sending.join().unwrap();
    assert_eq!(came.len(), 300);
    let mut excess: Vec<Duration> = (came.iter())
        .map(|&(number, stamp)| {
            let took = stamp - sent[number as usize];
            took.checked_sub(asked)
                .unwrap_or_else(|| panic!("packet {number} took only {took:?}"))
        })
        .collect();
    excess.sort();
    assert!(
        excess[150] < Duration::from_millis(1),
        "the middle packet is {:?} late",
        excess[150]
    );
}

#[test]
fn jitter_keeps_the_order() {
    if !may_make_namespaces() {
        return;
    }
    let lopsided = JitterDistribution::Table([-8192, 0, 32767].into());
    for jitter_distribution in [JitterDistribution::Uniform, lopsided] {
        let network = Network::new(1);
        let jittery = Impairment {
            jitter: Duration::from_millis(5),
            jitter_distribution,
            ..Impairment::delayed(Duration::from_millis(10))
        };
        let _engine = network.start(1, &jittery, &passing());
        let came = survivors(&network, 2000);
        assert_eq!(came.len(), 2000);
        assert!(came.is_sorted());
    }
}

#[test]
fn overload_is_dropped_and_the_rest_has_the_rate() {
    if !may_make_namespaces() {
        return;
    }
    let network = Network::new(1);
    let rate = 20_000_000;
    // A queue of 60 ms: that long the sender may be kept from sending without the link running idle.
    let shaped = Impairment {
        rate: Some(rate),
        queue: Some(QueueLimit::Packets(100)),
        ..passing()
    };
    let engine = network.start(1, &shaped, &passing());
    let (sender, receiver) = network.udp_pair(0);
    // 1458 bytes of payload are a frame of 1500: 0.6 ms at this rate. One each 0.3 ms is twice as much.
    let sending = send_numbered(sender, 3000, 1458, Duration::from_micros(300));
    let came = receive_numbered(&receiver, 3000);
    sending.join().unwrap();
    let statistics = forward(&engine, 0);
    assert_eq!(statistics.drops.queue + came.len() as u64, 3000);
    let lost = statistics.drops.queue as f64 / 3000.0;
    assert!((0.40..0.55).contains(&lost), "{lost} of twice the rate is lost");
    let time = came[came.len() - 1].1 - came[0].1;
    let measured = (came.len() - 1) as f64 * 1500.0 * 8.0 / time.as_secs_f64();
    assert!(
        measured <= rate as f64 * 1.01,
        "{measured} bit/s is more than the rate"
    );
}

#[test]
fn set_changes_a_running_link_and_drops_nothing() {
    if !may_make_namespaces() {
        return;
    }
    let network = Network::new(1);
    let engine = network.start(1, &Impairment::delayed(Duration::from_millis(300)), &passing());
    let (sender, receiver) = network.udp_pair(0);
    send_numbered(sender.try_clone().unwrap(), 50, 100, NO_GAP)
        .join()
        .unwrap();
    support::eventually(Duration::from_millis(200), || {
        forward(&engine, 0).in_flight.packets == 50
    });
    engine
        .set(
            "link0",
            Direction::Forward,
            Impairment {
                blackhole: true,
                ..passing()
            },
        )
        .unwrap();
    send_numbered(sender.try_clone().unwrap(), 10, 100, NO_GAP)
        .join()
        .unwrap();
    assert_eq!(receive_numbered(&receiver, 60).len(), 50);
    engine.set("link0", Direction::Forward, passing()).unwrap();
    send_numbered(sender, 10, 100, NO_GAP).join().unwrap();
    assert_eq!(receive_numbered(&receiver, 10).len(), 10);
    let statistics = forward(&engine, 0);
    assert_eq!(
        (statistics.drops.blackhole, statistics.delivered.packets),
        (10, 60)
    );
    assert_eq!(statistics.lateness.count(), 60);
}

#[test]
fn links_do_not_see_each_other() {
    if !may_make_namespaces() {
        return;
    }
    let network = Network::new(3);
    let links = vec![
        network.link(0, passing(), passing()),
        network.link(
            1,
            Impairment {
                loss: Loss::Independent(1.0),
                ..passing()
            },
            passing(),
        ),
        network.link(
            2,
            passing(),
            Impairment {
                blackhole: true,
                ..passing()
            },
        ),
    ];
    let engine = Engine::start(network.sockets(2), 1, links).unwrap();
    for (link, expected) in [(0, 20), (1, 0), (2, 20)] {
        let (sender, receiver) = network.udp_pair(link);
        send_numbered(sender, 20, 100, NO_GAP).join().unwrap();
        assert_eq!(receive_numbered(&receiver, 20).len(), expected, "link {link}");
    }
    let offered: Vec<u64> = engine
        .statistics()
        .iter()
        .map(|link| link.forward.offered.packets)
        .collect();
    assert_eq!(offered, [20, 20, 20]);
}
