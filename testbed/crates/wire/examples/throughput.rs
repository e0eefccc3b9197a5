//! Measures the engine on this machine: TCP against a raw veth pair, one-way delay under several loads, many
//! links, rates, and what starting and stopping costs. Needs root. Figures are worth comparing only within
//! one run.
//!
//! ```text
//! cargo run --release -p dfaas-wire --example throughput [part …]
//! ```
//!
//! Parts: `tcp`, `delay`, `links`, `rate`, `flood`, `cycle`; all of them if none is named. Without SCHED_FIFO:
//! `setpriv --bounding-set -sys_nice --inh-caps -sys_nice target/release/examples/throughput`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dfaas_wire::{Engine, Impairment};
use nix::sys::socket::{setsockopt, sockopt};
use support::{Network, address, receive_numbered, send_numbered};

const SECONDS: Duration = Duration::from_secs(2);
/// An odd number, so that one of them is the median.
const TCP_ROUNDS: usize = 5;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    if !support::may_make_namespaces() {
        return;
    }
    let parts: [(&str, fn()); 6] = [
        ("tcp", tcp),
        ("delay", delay),
        ("links", links),
        ("rate", rate),
        ("flood", flood),
        ("cycle", cycle),
    ];
    for (_, run) in parts.iter().filter(|(name, _)| is_wanted(name)) {
        run();
    }
}

fn five_milliseconds() -> Impairment {
    Impairment::delayed(Duration::from_millis(5))
}

fn start(network: &Network, impairment: &Impairment) -> Engine {
    network.start(1, impairment, impairment)
}

/// One flow through a raw veth pair and through the engine, in turn: single rounds differ by half on a busy machine, so what counts
/// are the medians, of rounds that had the same neighbours.
fn tcp() {
    let kinds = [
        ("raw veth", None),
        ("no delay", Some(Impairment::default())),
        ("5 ms each way", Some(five_milliseconds())),
    ];
    let mut rates = kinds.each_ref().map(|_| Vec::new());
    for round in 1..=TCP_ROUNDS {
        for ((name, impairment), rates) in kinds.iter().zip(&mut rates) {
            let (rate, detail) = match impairment {
                None => (tcp_rate(&Network::direct(), SECONDS), String::new()),
                Some(impairment) => tcp_through_engine(impairment),
            };
            println!("tcp    round {round}  {name}: {rate:.2} Gbit/s{detail}");
            rates.push(rate);
        }
    }
    let medians = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    for ((name, _), median) in kinds.iter().zip(medians) {
        let share = median / medians[0] * 100.0;
        println!("tcp    median   {name}: {median:.2} Gbit/s = {share:.0} % of raw");
    }
}

/// The rate, and what the engine says about it.
fn tcp_through_engine(impairment: &Impairment) -> (f64, String) {
    let network = Network::new(1);
    let engine = start(&network, impairment);
    let processor = engine_time();
    let rate = tcp_rate(&network, SECONDS);
    let share = (engine_time() - processor) / SECONDS.as_secs_f64();
    let link = engine.statistics().remove(0);
    let detail = format!(
        ", engine {:.0} % of a core, lateness mean {:?} p99 {:?}, {:?}, drops {}, {:?}",
        share * 100.0,
        link.forward.lateness.mean(),
        link.forward.lateness.quantile(0.99),
        engine.scheduling(),
        link.forward.drops.total() + link.backward.drops.total(),
        engine.engine_statistics(),
    );
    (rate, detail)
}

fn tcp_rate(network: &Network, time: Duration) -> f64 {
    let received = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&received);
    let listener = network
        .right
        .run(|| TcpListener::bind((address(0, 2), 5000)).unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = vec![0; 128 << 10];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            total.fetch_add(length as u64, Ordering::Relaxed);
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let client = network.left.spawn(move || {
        let mut stream = TcpStream::connect((address(0, 2), 5000)).unwrap();
        let buffer = vec![0; 128 << 10];
        while !stopped.load(Ordering::Relaxed) {
            stream.write_all(&buffer).unwrap();
        }
    });
    std::thread::sleep(Duration::from_millis(500));
    let before = received.load(Ordering::Relaxed);
    let start = Instant::now();
    std::thread::sleep(time);
    let bytes = received.load(Ordering::Relaxed) - before;
    let rate = bytes as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e9;
    stop.store(true, Ordering::Relaxed);
    client.join().unwrap();
    server.join().unwrap();
    rate
}

/// Processor time of the engine's threads so far, in seconds.
fn engine_time() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let engine = tasks.filter(|task| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("wire-"))
    });
    let nanoseconds = |task: std::fs::DirEntry| -> Option<f64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    engine.filter_map(nanoseconds).sum::<f64>() / 1e9
}

/// One-way delay for 5 ms asked: idle, with all processors busy, and beside 2 Gbit/s of TCP.
fn delay() {
    let network = Network::new(2);
    let engine = start(&network, &five_milliseconds());
    report_delay(&network, &engine, "idle");
    let stop = Arc::new(AtomicBool::new(false));
    let hogs: Vec<_> = (0..std::thread::available_parallelism().map_or(2, |count| count.get() + 1))
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {})
        })
        .collect();
    report_delay(&network, &engine, "all processors busy");
    stop.store(true, Ordering::Relaxed);
    for hog in hogs {
        hog.join().unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let load = paced_tcp(&network, 2e9, &stop);
    report_delay(&network, &engine, "beside 2 Gbit/s");
    stop.store(true, Ordering::Relaxed);
    load.join().unwrap();
}

fn paced_tcp(network: &Network, rate: f64, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let listener = network
        .right
        .run(|| TcpListener::bind((address(0, 2), 5001)).unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = vec![0; 128 << 10];
        while let Ok(1..) = stream.read(&mut buffer) {}
    });
    let stop = Arc::clone(stop);
    network.left.spawn(move || {
        let mut stream = TcpStream::connect((address(0, 2), 5001)).unwrap();
        let buffer = vec![0; 32 << 10];
        let start = Instant::now();
        let mut sent = 0.0;
        while !stop.load(Ordering::Relaxed) {
            stream.write_all(&buffer).unwrap();
            sent += buffer.len() as f64 * 8.0;
            let ahead = sent / rate - start.elapsed().as_secs_f64();
            if ahead > 0.0005 {
                std::thread::sleep(Duration::from_secs_f64(ahead));
            }
        }
    })
}

fn report_delay(network: &Network, engine: &Engine, load: &str) {
    let before = engine.statistics().remove(1).forward.lateness;
    let (sender, receiver) = network.udp_pair(1);
    let mut delays = one_way_delays(sender, &receiver, 500, Duration::from_millis(4));
    delays.sort();
    let lateness = engine.statistics().remove(1).forward.lateness.since(&before);
    let mean = delays.iter().sum::<Duration>() / delays.len() as u32;
    println!(
        "delay  {load}: asked 5 ms, {} of 500 came: mean {:.3} ms, p50 {:.3}, p99 {:.3}, max {:.3}; engine's own lateness mean {:?} p99 <= {:?}",
        delays.len(),
        milliseconds(mean),
        milliseconds(delays[delays.len() / 2]),
        milliseconds(delays[delays.len() * 99 / 100]),
        milliseconds(delays[delays.len() - 1]),
        lateness.mean(),
        lateness.quantile(0.99),
    );
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Times from just before a datagram is sent to the kernel's stamp at the other end.
fn one_way_delays(sender: UdpSocket, receiver: &UdpSocket, count: u32, gap: Duration) -> Vec<Duration> {
    let sending = send_numbered(sender, count, 60, gap);
    let came = receive_numbered(receiver, count);
    let sent = sending.join().unwrap();
    came.iter()
        .map(|&(number, stamp)| stamp.saturating_sub(sent[number as usize]))
        .collect()
}

/// 200 links: with 50 small packets per second each, and with 1 Mbit/s of full frames each.
fn links() {
    many_links("50 packets/s", 50, 100, five_milliseconds());
    let limited = Impairment {
        rate: Some(2_000_000),
        ..Impairment::delayed(Duration::from_millis(20))
    };
    // 1514 bytes of frame each: 82.6 per second are 1 Mbit/s.
    many_links("1 Mbit/s", 83, 1472, limited);
}

/// Sends evenly on 200 links, `rate` packets of `length` bytes per second on each.
fn many_links(name: &str, rate: u32, length: usize, impairment: Impairment) {
    let network = Network::new(200);
    let engine = start(&network, &impairment);
    let senders: Vec<UdpSocket> = (0..200)
        .map(|link| {
            let sender = network.left.udp((address(link, 1), 0).into());
            sender.connect((address(link, 2), 4000)).unwrap();
            sender
        })
        .collect();
    let _sink = network.right.udp(([0, 0, 0, 0], 4000).into());
    let payload = vec![0; length];
    let before = engine_time();
    let start = Instant::now();
    let mut sent = 0_u32;
    while start.elapsed() < SECONDS {
        senders[sent as usize % 200].send(&payload).unwrap();
        sent += 1;
        let due = Duration::from_secs_f64(f64::from(sent) / f64::from(rate * 200));
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    }
    let share = (engine_time() - before) / start.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_millis(50));
    let statistics = engine.statistics();
    let delivered: u64 = statistics.iter().map(|link| link.forward.delivered.packets).sum();
    let mut lateness = dfaas_wire::Lateness::default();
    statistics
        .iter()
        .for_each(|link| lateness.merge(&link.forward.lateness));
    println!(
        "links  200 x {name}: {sent} sent, {delivered} delivered, engine {:.1} % of a core, lateness mean {:?} p99 <= {:?} max {:?}, {:?}",
        share * 100.0,
        lateness.mean(),
        lateness.quantile(0.99),
        lateness.maximum(),
        engine.scheduling(),
    );
    let before = engine_time();
    std::thread::sleep(Duration::from_secs(1));
    println!(
        "links  idle engine: {:.3} % of a core",
        (engine_time() - before) * 100.0
    );
}

/// Twice the rate of UDP through a rate: the spacing of what comes.
fn rate() {
    for megabits in [1_u64, 10, 100, 1000] {
        let network = Network::new(1);
        let shaped = Impairment {
            rate: Some(megabits * 1_000_000),
            ..Impairment::default()
        };
        let engine = network.start(1, &shaped, &Impairment::default());
        let (sender, receiver) = network.udp_pair(0);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        // Several datagrams in one call (UDP_SEGMENT), else the sender cannot reach 2 Gbit/s.
        let at_once = (megabits / 25).clamp(1, 40);
        setsockopt(&sender, sockopt::UdpGsoSegment, &1472).unwrap();
        let gap = Duration::from_nanos(6_056_000 * at_once / megabits);
        let flood = std::thread::spawn(move || {
            let payload = vec![0; 1472 * at_once as usize];
            let start = Instant::now();
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) {
                let _ = sender.send(&payload);
                sent += 1;
                std::thread::sleep((gap * sent).saturating_sub(start.elapsed()));
            }
        });
        std::thread::sleep(Duration::from_millis(300));
        let read = || (Instant::now(), engine.statistics()[0].forward.delivered.bytes);
        let (start, before) = read();
        std::thread::sleep(SECONDS * 2);
        let (end, after) = read();
        stop.store(true, Ordering::Relaxed);
        flood.join().unwrap();
        drop(receiver);
        let reached = (after - before) as f64 * 8.0 / (end - start).as_secs_f64() / 1e6;
        println!(
            "rate   {megabits} Mbit/s: {reached:.3} Mbit/s, {:+.2} %, {} queue drops, {:?}",
            (reached / megabits as f64 - 1.0) * 100.0,
            engine.statistics()[0].forward.drops.queue,
            engine.engine_statistics(),
        );
    }
}

/// Small packets at full speed on one link, beside a few on others.
fn flood() {
    let network = Network::new(9);
    let engine = start(&network, &five_milliseconds());
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, _receiver) = network.udp_pair(0);
    let flooders: Vec<_> = (0..2)
        .map(|_| {
            let (stop, sender) = (Arc::clone(&stop), sender.try_clone().unwrap());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let _ = sender.send(&[0; 20]);
                }
            })
        })
        .collect();
    let before = engine_time();
    let start = Instant::now();
    let others: Vec<_> = (1..9)
        .map(|link| {
            let (sender, receiver) = network.udp_pair(link);
            std::thread::spawn(move || one_way_delays(sender, &receiver, 300, Duration::from_millis(5)).len())
        })
        .collect();
    let came: Vec<usize> = others.into_iter().map(|other| other.join().unwrap()).collect();
    let elapsed = start.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    flooders.into_iter().for_each(|flooder| flooder.join().unwrap());
    let statistics = engine.statistics();
    let flooded = &statistics[0].forward;
    let mut lateness = dfaas_wire::Lateness::default();
    statistics[1..]
        .iter()
        .for_each(|link| lateness.merge(&link.forward.lateness));
    println!(
        "flood  {:.0} packets/s read, engine {:.0} % of a core, of 300 on other links came {came:?}, late p50 <= {:?} p99 <= {:?} max {:?}; {:?}, {:?}",
        flooded.offered.packets as f64 / elapsed,
        (engine_time() - before) / elapsed * 100.0,
        lateness.quantile(0.5),
        lateness.quantile(0.99),
        lateness.maximum(),
        flooded.drops,
        engine.engine_statistics(),
    );
}

/// Opening, starting and stopping with many links.
fn cycle() {
    for count in [1, 200, 1000] {
        let network = Network::new(count);
        let links: Vec<_> = (0..count)
            .map(|number| network.link(number, five_milliseconds(), five_milliseconds()))
            .collect();
        let opening = Instant::now();
        let sockets = network.sockets(1);
        let starting = Instant::now();
        let engine = Engine::start(sockets, 1, links).unwrap();
        let stopping = Instant::now();
        engine.stop();
        println!(
            "cycle  {count} links: open {:?}, start {:?}, stop {:?}",
            starting - opening,
            stopping - starting,
            stopping.elapsed()
        );
    }
}
