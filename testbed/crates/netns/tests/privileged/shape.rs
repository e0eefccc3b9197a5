//! The kernel's link backend.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use dfaas_netns::{KernelImpairment, KernelLoss, NetnsError, Network, QueueStatistics, probe_kernel};

use crate::support::{Guard, SOON, assert_passes, joined_star, midpoint, privileged, skip, star, udp};

/// Bytes of a UDP payload, and of its frame: Ethernet, IPv4 and UDP headers come on top.
const PAYLOAD: usize = 1000;
const FRAME: usize = PAYLOAD + 42;

fn rate(bits: u64) -> KernelImpairment {
    KernelImpairment {
        rate: Some(bits),
        ..KernelImpairment::default()
    }
}

/// n1 and n2, with the impairment on what n1 sends.
fn impaired(impairment: &KernelImpairment) -> Network {
    let network = joined_star(2);
    let nothing = KernelImpairment::default();
    network
        .reshape(midpoint("n1"), midpoint("s1"), impairment, &nothing)
        .unwrap();
    network
}

fn pair(network: &Network) -> (UdpSocket, UdpSocket) {
    (udp(network, "n1", "10.0.0.1"), udp(network, "n2", "10.0.0.2"))
}

/// The queues on the midpoint that sends what n1 sent.
fn queues(network: &Network) -> Vec<QueueStatistics> {
    let index = network.interface_index("wire", "s1").unwrap();
    let all = network.queue_statistics("wire").unwrap();
    all.into_iter()
        .filter(|queue| queue.interface == index && queue.kind != "clsact")
        .collect()
}

/// Offers packets evenly for two seconds; returns how many were sent and how many arrived.
fn offer(from: &UdpSocket, to: &UdpSocket, per_second: u32) -> (u32, u32) {
    let target = to.local_addr().unwrap();
    let receiver = to.try_clone().unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let counter = std::thread::spawn(move || {
        let mut buffer = [0; PAYLOAD];
        std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).fold(0, |count, _| count + 1)
    });
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < Duration::from_secs(2) {
        let due = (start.elapsed().as_secs_f64() * f64::from(per_second)) as u32;
        while sent < due {
            from.send_to(&[0; PAYLOAD], target).unwrap();
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    (sent, counter.join().unwrap())
}

#[test]
fn a_link_offered_twice_its_rate_loses_half() {
    let Some(_guard) = privileged() else { return };
    // Slow, so that the time of a packet is long compared with the lateness of timers on an emulated machine.
    let bits = 2_000_000;
    let network = impaired(&rate(bits));
    let (from, to) = pair(&network);
    assert_passes(&from, &to);
    let packets_per_second = u32::try_from(bits).unwrap() / 8 / u32::try_from(FRAME).unwrap();
    let (sent, received) = offer(&from, &to, 2 * packets_per_second);
    let lost = 1.0 - f64::from(received) / f64::from(sent);
    assert!((0.4..0.6).contains(&lost), "{sent} sent, {received} received");
    let bucket = queues(&network)
        .into_iter()
        .find(|queue| queue.kind == "tbf")
        .unwrap();
    assert_eq!(bucket.drops, sent - received, "{bucket:?}");
    drop((from, to));
    network.close(SOON).unwrap();
}

#[test]
fn changes_are_made_in_place() {
    let Some(_guard) = privileged() else { return };
    let network = impaired(&rate(1_000_000));
    let (from, to) = pair(&network);
    for _ in 0..10 {
        assert_passes(&from, &to);
    }
    let before = queues(&network);
    let nothing = KernelImpairment::default();
    network
        .reshape(midpoint("n1"), midpoint("s1"), &rate(2_000_000), &nothing)
        .unwrap();
    let after = queues(&network);
    // A queue that was exchanged would count from zero.
    assert!(before[0].packets >= 10, "{before:?}");
    assert!(after[0].packets >= before[0].packets, "{before:?} {after:?}");
    assert_eq!(after[0].handle, before[0].handle);
    network
        .reshape(midpoint("n1"), midpoint("s1"), &nothing, &nothing)
        .unwrap();
    assert!(queues(&network).iter().all(|queue| queue.kind == "noqueue"));
    assert_passes(&from, &to);
    drop((from, to));
    network.close(SOON).unwrap();
}

#[test]
fn shaping_again_adds_nothing() {
    let Some(_guard) = privileged() else { return };
    let network = joined_star(2);
    let nothing = KernelImpairment::default();
    for _ in 0..2 {
        network
            .shape(midpoint("n1"), midpoint("s1"), &nothing, &nothing)
            .unwrap();
    }
    let (from, to) = pair(&network);
    assert_passes(&from, &to);
    // A second filter would have sent it twice.
    to.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(to.recv(&mut [0; 16]).is_err());
    drop((from, to));
    network.close(SOON).unwrap();
}

#[test]
fn the_probe_says_what_shaping_can_do() {
    let Some(_guard) = privileged() else { return };
    let features = probe_kernel().unwrap();
    let network = Network::create(&star(1)).unwrap();
    let delay = KernelImpairment {
        delay: Duration::from_millis(1),
        ..KernelImpairment::default()
    };
    for (impairment, possible) in [
        (KernelImpairment::default(), true),
        (rate(1_000_000), features.tbf),
        (delay, features.netem),
    ] {
        let shaped = network.shape(midpoint("n1"), midpoint("s1"), &impairment, &impairment);
        assert_eq!(
            shaped.is_ok(),
            features.can_join() && possible,
            "{impairment:?}: {shaped:?}"
        );
    }
    network.close(SOON).unwrap();
}

fn with_netem() -> Option<Guard> {
    let guard = privileged()?;
    if !guard.features.netem {
        skip("netem", "this kernel has no netem");
        return None;
    }
    Some(guard)
}

#[test]
fn a_delay_delays_and_keeps_the_order() {
    let Some(_guard) = with_netem() else { return };
    let (delay, jitter) = (Duration::from_millis(30), Duration::from_millis(10));
    let network = impaired(&KernelImpairment {
        delay,
        jitter,
        ..KernelImpairment::default()
    });
    let (from, to) = pair(&network);
    assert_passes(&from, &to);
    let start = Instant::now();
    for number in 0..100_u8 {
        from.send_to(&[number], to.local_addr().unwrap()).unwrap();
    }
    let mut buffer = [0; 1];
    for number in 0..100_u8 {
        to.recv(&mut buffer).unwrap();
        assert_eq!(buffer[0], number);
    }
    assert!(start.elapsed() >= delay - jitter);
    drop((from, to));
    network.close(SOON).unwrap();
}

#[test]
fn delay_and_rate_are_changed_independently() {
    let Some(_guard) = with_netem() else { return };
    let delay = KernelImpairment {
        delay: Duration::from_millis(1),
        ..KernelImpairment::default()
    };
    let both = KernelImpairment {
        rate: Some(10_000_000),
        ..delay.clone()
    };
    let nothing = KernelImpairment::default();
    let network = impaired(&nothing);
    let (from, to) = pair(&network);
    for (impairment, expected) in [
        (&both, vec!["netem", "tbf"]),
        (&delay, vec!["netem"]),
        (&both, vec!["netem", "tbf"]),
        (&rate(10_000_000), vec!["tbf"]),
        (&delay, vec!["netem"]),
        (&nothing, vec!["noqueue"]),
    ] {
        network
            .reshape(midpoint("n1"), midpoint("s1"), impairment, &nothing)
            .unwrap();
        let mut kinds: Vec<String> = queues(&network).into_iter().map(|queue| queue.kind).collect();
        kinds.sort();
        assert_eq!(kinds, expected);
        assert_passes(&from, &to);
    }
    drop((from, to));
    network.close(SOON).unwrap();
}

#[test]
fn certain_loss_loses_everything() {
    let Some(_guard) = with_netem() else { return };
    let nothing = KernelImpairment::default();
    let network = impaired(&nothing);
    let (from, to) = pair(&network);
    // So that the two know each other's hardware addresses.
    assert_passes(&from, &to);
    let loss = KernelImpairment {
        loss: KernelLoss::Independent(1.0),
        ..nothing.clone()
    };
    network
        .reshape(midpoint("n1"), midpoint("s1"), &loss, &nothing)
        .unwrap();
    to.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    from.send_to(b"ping", to.local_addr().unwrap()).unwrap();
    assert!(to.recv(&mut [0; 16]).is_err());
    assert_passes(&to, &from);
    drop((from, to));
    network.close(SOON).unwrap();
}

#[test]
fn a_link_that_is_taken_apart_passes_nothing_and_can_be_joined_again() {
    let Some(_guard) = privileged() else { return };
    let network = impaired(&rate(10_000_000));
    let (from, to) = pair(&network);
    assert_passes(&from, &to);
    network.unshape(midpoint("n1"), midpoint("s1")).unwrap();
    to.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    from.send_to(b"lost", to.local_addr().unwrap()).unwrap();
    assert!(to.recv(&mut [0; 16]).is_err(), "a packet got through");
    assert!(
        queues(&network).iter().all(|queue| queue.kind != "tbf"),
        "{:?}",
        queues(&network)
    );
    let nothing = KernelImpairment::default();
    let again = network.unshape(midpoint("n1"), midpoint("s1")).unwrap_err();
    assert!(matches!(again, NetnsError::NotShaped { .. }), "{again}");
    network
        .shape(midpoint("n1"), midpoint("s1"), &nothing, &nothing)
        .unwrap();
    assert_passes(&from, &to);
    drop((from, to));
    network.close(SOON).unwrap();
}
