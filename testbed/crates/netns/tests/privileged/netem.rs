//! Impairments that need netem: what the kernel makes of them, counted and read back. They also hold on an emulated machine, where
//! times are far off: nothing here asserts an upper bound of a time.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use dfaas_netns::{DirectionCounters, KernelImpairment, KernelLoss, KernelQueue, Network};

use crate::support::{Guard, SOON, assert_passes, joined_star, midpoint, privileged, skip, udp};

const NOTHING: fn() -> KernelImpairment = KernelImpairment::default;

fn with_netem() -> Option<Guard> {
    let guard = privileged()?;
    if !guard.features.netem {
        skip("netem", "this kernel has no netem");
        return None;
    }
    Some(guard)
}

/// n1 and n2, joined through a switch; what n1 sends is impaired.
struct Link {
    network: Network,
    from: UdpSocket,
    to: UdpSocket,
}

impl Link {
    fn new(impairment: &KernelImpairment) -> Self {
        let network = joined_star(2);
        let (from, to) = (udp(&network, "n1", "10.0.0.1"), udp(&network, "n2", "10.0.0.2"));
        // So that the two know each other's hardware addresses.
        assert_passes(&from, &to);
        let link = Self { network, from, to };
        link.set(impairment);
        link
    }

    fn set(&self, impairment: &KernelImpairment) {
        self.network
            .reshape(midpoint("n1"), midpoint("s1"), impairment, &NOTHING())
            .unwrap();
    }

    fn counters(&self) -> DirectionCounters {
        let counters = self.network.counters("wire", true).unwrap();
        self.network
            .direction_counters(&counters, midpoint("n1"), midpoint("s1"))
    }

    /// Sends numbered packets of so many bytes.
    fn send(&self, packets: u32, bytes: usize) {
        let target = self.to.local_addr().unwrap();
        for number in 0..packets {
            let mut payload = vec![0; bytes];
            payload[..4].copy_from_slice(&number.to_be_bytes());
            self.from.send_to(&payload, target).unwrap();
        }
    }

    /// The numbers of the packets that arrive until none has for a while.
    fn receive(&self) -> Vec<u32> {
        self.to
            .set_read_timeout(Some(Duration::from_millis(700)))
            .unwrap();
        let mut buffer = [0; 2000];
        std::iter::from_fn(|| {
            let length = self.to.recv(&mut buffer).ok()?;
            Some(u32::from_be_bytes(buffer[..length.min(4)].try_into().unwrap()))
        })
        .collect()
    }

    /// How many of so many small packets arrive, sent in portions that no socket buffer overflows with.
    fn pass(&self, packets: u32) -> Vec<u32> {
        (0..packets.div_ceil(100))
            .flat_map(|_| {
                self.send(100, 4);
                self.receive_some(100)
            })
            .collect()
    }

    /// As [`Link::receive`], but does not wait once so many have come.
    fn receive_some(&self, packets: usize) -> Vec<u32> {
        self.to
            .set_read_timeout(Some(Duration::from_millis(150)))
            .unwrap();
        let mut buffer = [0; 4];
        std::iter::from_fn(|| self.to.recv(&mut buffer).ok().map(|_| u32::from_be_bytes(buffer)))
            .take(packets)
            .collect()
    }

    fn close(self) {
        drop((self.from, self.to));
        self.network.close(SOON).unwrap();
    }
}

/// Packets that the kernel has sent besides ours: it may look for a neighbour, and report multicast groups late.
fn others(counters: &DirectionCounters, ours: u64) -> u64 {
    counters.offered.packets - ours
}

#[test]
fn losses_come_in_bursts() {
    let Some(_guard) = with_netem() else { return };
    // A quarter of all packets, in bursts of five on average.
    let loss = KernelLoss::GilbertElliott {
        p: 1.0 / 15.0,
        r: 0.2,
        bad: 1.0,
        good: 0.0,
    };
    let link = Link::new(&KernelImpairment { loss, ..NOTHING() });
    let arrived = link.pass(2000).len() as u64;
    let counters = link.counters();
    let missing = 2000 - arrived;
    let all = missing..=missing + others(&counters, 2000);
    assert!(all.contains(&counters.lost), "{missing}: {counters:?}");
    // One standard deviation of the share is 3 % of all packets here, since losses are not independent.
    assert!((200..=800).contains(&counters.lost), "{counters:?}");
    link.close();
}

#[test]
fn duplicates_arrive_twice() {
    let Some(_guard) = with_netem() else { return };
    let link = Link::new(&KernelImpairment {
        duplicate: 1.0,
        ..NOTHING()
    });
    link.send(50, 4);
    let mut arrived = link.receive();
    assert_eq!(arrived.len(), 100);
    arrived.dedup();
    assert_eq!(arrived, (0..50).collect::<Vec<_>>());
    link.close();
}

#[test]
fn a_corrupted_packet_does_not_arrive_whole() {
    let Some(_guard) = with_netem() else { return };
    let link = Link::new(&KernelImpairment {
        corrupt: 1.0,
        ..NOTHING()
    });
    let before = link.counters();
    link.send(50, 1000);
    // Checksums find one wrong bit anywhere but in the few header bytes that no checksum covers and nobody reads.
    let arrived = link.receive();
    assert!(arrived.len() <= 5, "{arrived:?}");
    let delivered = link.counters().delivered.packets - before.delivered.packets;
    assert!(delivered >= 50, "{delivered}");
    link.close();
}

#[test]
fn reordered_packets_overtake_and_others_do_not() {
    let Some(_guard) = with_netem() else { return };
    let link = Link::new(&KernelImpairment {
        delay: Duration::from_millis(300),
        jitter: Duration::from_millis(200),
        reorder: 0.2,
        ..NOTHING()
    });
    link.send(100, 4);
    let arrived = link.receive();
    assert_eq!(arrived.len(), 100);
    let mut latest = 0;
    let overtaken = arrived.iter().filter(|number| {
        latest = latest.max(**number);
        **number < latest
    });
    assert!(overtaken.count() > 20);
    // Those that were delayed are in order among themselves: what overtook is the rising run at the front.
    let front = arrived.windows(2).position(|pair| pair[1] < pair[0]).unwrap() + 1;
    assert!((5..=40).contains(&front), "{arrived:?}");
    assert!(arrived[front..].is_sorted(), "{arrived:?}");
    link.close();
}

#[test]
fn unordered_jitter_swaps_packets_and_ordered_jitter_does_not() {
    let Some(_guard) = with_netem() else { return };
    let table: Vec<i16> = (0..64).map(|step| 8192 - 256 * step).collect();
    let jitter = |ordered, jitter_table| KernelImpairment {
        delay: Duration::from_millis(300),
        jitter: Duration::from_millis(200),
        ordered,
        jitter_table,
        ..NOTHING()
    };
    let link = Link::new(&jitter(true, None));
    link.send(60, 4);
    assert!(link.receive().is_sorted());
    for table in [Some(table.into()), None] {
        link.set(&jitter(false, table));
        link.send(60, 4);
        assert!(!link.receive().is_sorted());
    }
    link.close();
}

#[test]
fn a_black_hole_swallows_until_it_ends() {
    let Some(_guard) = with_netem() else { return };
    let delay = KernelImpairment {
        delay: Duration::from_millis(300),
        ..NOTHING()
    };
    let link = Link::new(&delay);
    link.send(3, 4);
    link.set(&KernelImpairment {
        blackhole: true,
        ..delay.clone()
    });
    link.send(5, 4);
    // What was on its way arrives.
    assert_eq!(link.receive(), [0, 1, 2]);
    assert_passes(&link.to, &link.from);
    link.set(&delay);
    link.send(4, 4);
    assert_eq!(link.receive(), [0, 1, 2, 3]);
    link.close();
}

#[test]
fn a_queue_holds_the_packets_it_was_given() {
    let Some(_guard) = with_netem() else { return };
    // Slow enough that nothing leaves while the packets are sent; the delay keeps them apart from what waits.
    let queue = |packets| KernelImpairment {
        rate: Some(8_000),
        burst: Some(1518),
        queue: KernelQueue::Packets(packets),
        ..NOTHING()
    };
    let link = Link::new(&queue(7));
    link.send(30, 1000);
    let full = link.counters();
    assert!((7..=8).contains(&full.queued.packets), "{full:?}");
    assert!((21..=22).contains(&full.overflowed), "{full:?}");
    // What waits stays when the limit changes.
    link.set(&queue(20));
    link.send(30, 1000);
    let larger = link.counters();
    assert!((20..=21).contains(&larger.queued.packets), "{larger:?}");
    // And goes out when the rate allows it.
    link.set(&KernelImpairment {
        rate: Some(8_000_000),
        ..queue(20)
    });
    assert!(link.receive().len() >= 20);
    link.close();
}

#[test]
fn codel_drops_what_has_waited_for_long() {
    let Some(guard) = with_netem() else { return };
    if !guard.features.codel {
        skip("netem", "this kernel has no CoDel");
        return;
    }
    let link = Link::new(&KernelImpairment {
        rate: Some(400_000),
        burst: Some(1518),
        queue: KernelQueue::Codel {
            packets: None,
            ecn: false,
        },
        ..NOTHING()
    });
    // One and a half seconds' worth, far below the limit of 1000 packets: only CoDel drops of these.
    link.send(75, 1000);
    let arrived = link.receive().len() as u64;
    let counters = link.counters();
    assert!(counters.overflowed >= 3, "{counters:?}");
    assert_eq!(arrived + counters.overflowed, 75, "{counters:?}");
    link.close();
}

#[test]
fn a_packet_takes_its_own_time_at_a_slow_rate() {
    let Some(_guard) = with_netem() else { return };
    // 1042 bytes at 40 kbit/s are 208 ms, even when nothing was sent before.
    let rate = KernelImpairment {
        rate: Some(40_000),
        transmission_time: true,
        ..NOTHING()
    };
    let link = Link::new(&rate);
    let time_of = |packets: u32| {
        let start = Instant::now();
        link.send(packets, 1000);
        assert_eq!(link.receive_some_late(packets), packets);
        start.elapsed()
    };
    assert!(time_of(1) >= Duration::from_millis(208));
    assert!(time_of(3) >= Duration::from_millis(624));
    // With a bucket alone, a packet leaves at once; and back. Neither loses a packet.
    for transmission_time in [false, true] {
        link.set(&KernelImpairment {
            transmission_time,
            ..rate.clone()
        });
        let elapsed = time_of(1);
        assert!(!transmission_time || elapsed >= Duration::from_millis(208));
    }
    link.close();
}

impl Link {
    /// Waits for so many packets as long as any test waits.
    fn receive_some_late(&self, packets: u32) -> u32 {
        self.to.set_read_timeout(Some(SOON)).unwrap();
        let mut buffer = [0; 2000];
        (0..packets).map_while(|_| self.to.recv(&mut buffer).ok()).count() as u32
    }
}

#[test]
fn jitter_behind_a_rate_keeps_queue_and_loss_apart() {
    let Some(_guard) = with_netem() else { return };
    let impairment = KernelImpairment {
        loss: KernelLoss::Independent(0.5),
        rate: Some(80_000),
        burst: Some(1518),
        queue: KernelQueue::Packets(5),
        delay: Duration::from_millis(100),
        jitter: Duration::from_millis(50),
        ..NOTHING()
    };
    let link = Link::new(&impairment);
    link.send(60, 1000);
    let arrived = link.receive();
    assert!(arrived.is_sorted(), "{arrived:?}");
    let counters = link.counters();
    // 30 on average, with a standard deviation of 4.
    assert!((10..=50).contains(&counters.lost), "{counters:?}");
    assert!(counters.overflowed > 0, "{counters:?}");
    let told = arrived.len() as u64 + counters.lost + counters.overflowed;
    assert!((60..=60 + others(&counters, 60)).contains(&told), "{counters:?}");
    // The two parts change together, and nothing is left waiting.
    link.set(&NOTHING());
    assert_passes(&link.from, &link.to);
    link.set(&impairment);
    link.close();
}

#[test]
fn changes_under_way_lose_and_double_nothing() {
    let Some(_guard) = with_netem() else { return };
    let impairment = |milliseconds, rate| KernelImpairment {
        delay: Duration::from_millis(milliseconds),
        jitter: Duration::from_millis(1),
        rate: Some(rate),
        burst: Some(20_000),
        queue: KernelQueue::Packets(1000),
        ..NOTHING()
    };
    let link = Link::new(&impairment(20, 50_000_000));
    let arrived = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| link.receive());
        for round in 0..40 {
            link.send(5, 100);
            link.set(&impairment(10 + round % 3 * 10, 50_000_000 + round * 1_000_000));
        }
        receiver.join().unwrap()
    });
    let counters = link.counters();
    assert_eq!(arrived.len(), 200, "{counters:?}");
    assert_eq!((counters.lost, counters.overflowed), (0, 0), "{counters:?}");
    link.close();
}

#[test]
fn a_queue_in_bytes_counts_the_overhead() {
    let Some(_guard) = with_netem() else { return };
    // 1042 bytes each as they are, 1142 as they are counted: ten and nine in the queue.
    for (overhead, waiting) in [(0, 10), (100, 9), (-42, 10)] {
        let link = Link::new(&KernelImpairment {
            rate: Some(8_000),
            burst: Some(1618),
            overhead,
            queue: KernelQueue::Bytes(10_450),
            ..NOTHING()
        });
        link.send(20, 1000);
        let counters = link.counters();
        assert_eq!(counters.queued.packets, waiting, "{overhead}: {counters:?}");
        link.set(&NOTHING());
        link.close();
    }
}
