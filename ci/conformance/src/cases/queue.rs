//! The queue before the rate.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use crate::bench::{Bench, End, HEADERS, LATENESS, Refusal, TestLink};
use crate::statistics::quantile;
use crate::table::Row;
use crate::traffic::{Outcome, Stream, send, start};

/// Frames of 1000 bytes, 8 ms each at 1 Mbit/s.
const PAYLOAD: usize = 1000 - HEADERS;

/// Sends 100 packets at once.
fn flood(bench: &Bench, queue: &str) -> Result<Outcome, Refusal> {
    let link = bench.link(&format!("rate: 1mbit, queue: {queue}"))?;
    let (sender, receiver) = link.pair()?;
    let stream = Stream {
        count: 100,
        length: PAYLOAD,
        gap: Duration::ZERO,
    };
    let outcome = send(sender, &receiver, stream)?;
    drop(receiver);
    link.close()?;
    Ok(outcome)
}

/// One packet is in transmission besides those that wait; another one may have gone while the flood came.
fn depth(outcome: &Outcome, packets: f64) -> Vec<Row> {
    let gone = (outcome.sending_took() / 0.008).ceil();
    let longest = outcome.sorted_delays().last().copied().unwrap_or(f64::NAN);
    vec![
        Row::between(
            "of 100, passed",
            packets + 1.0,
            outcome.came.len() as f64,
            [packets, packets + 1.0 + gone],
        ),
        Row::between(
            "longest wait, ms",
            packets * 8.0 + 8.0,
            longest,
            [packets * 8.0 - 8.0, packets * 8.0 + 16.0],
        ),
    ]
}

pub(super) fn packets(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    Ok(depth(&flood(bench, "20packets")?, 20.0))
}

pub(super) fn bytes(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    Ok(depth(&flood(bench, "30000B")?, 30.0))
}

pub(super) fn time(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    // 200 ms at 1 Mbit/s are 25 frames.
    Ok(depth(&flood(bench, "200ms")?, 25.0))
}

/// A TCP flow from `a` to `b` for a while, and the delays of probes beside it, in milliseconds.
fn beside_tcp(link: &TestLink, time: Duration) -> Result<Vec<f64>, Refusal> {
    let address = SocketAddr::from((link.address(End::B), 5000));
    let listener = link.at(End::B, move || TcpListener::bind(address))?;
    let sink = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = [0; 65536];
        while stream.read(&mut buffer)? > 0 {}
        std::io::Result::Ok(())
    });
    let mut flow = link.at(End::A, move || TcpStream::connect(address))?;
    // Reno doubles its window until packets are lost. Cubic would stop as soon as it sees the queue grow.
    setsockopt(&flow, sockopt::TcpCongestion, &OsString::from("reno")).map_err(std::io::Error::from)?;
    let source = std::thread::spawn(move || {
        let begin = Instant::now();
        while begin.elapsed() < time && flow.write_all(&[7; 16384]).is_ok() {}
    });
    let (sender, receiver) = link.pair()?;
    let gap = Duration::from_millis(20);
    let count = (time.as_millis() / gap.as_millis()) as u32;
    let outcome = send(
        sender,
        &receiver,
        Stream {
            count,
            length: 60,
            gap,
        },
    )?;
    let _ = source.join();
    let _ = sink.join();
    // The second half: TCP has found the queue by then.
    let delays = outcome.delays();
    Ok(delays.get(delays.len() / 2..).unwrap_or_default().to_vec())
}

/// What a TCP flow does to the delay of others, with a given queue at 10 Mbit/s.
fn delay_under_tcp(bench: &Bench, queue: &str) -> Result<Vec<f64>, Refusal> {
    let link = bench.link(&format!("rate: 10mbit, delay: 5ms, {queue}"))?;
    let mut delays = beside_tcp(&link, Duration::from_secs(3))?;
    delays.sort_by(f64::total_cmp);
    link.close()?;
    Ok(delays)
}

pub(super) fn tcp_fills_it(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let delays = delay_under_tcp(bench, "queue: 100ms")?;
    // Full most of the time, and never more than full: a packet of each is in transmission.
    Ok(vec![
        Row::between(
            "longest wait, ms",
            105,
            quantile(&delays, 1.0),
            [80.0, 110.0 + LATENESS],
        ),
        Row::between(
            "middle wait, ms",
            "most of 105",
            quantile(&delays, 0.5),
            [40.0, 108.0],
        ),
    ])
}

pub(super) fn codel_keeps_it_short(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let delays = delay_under_tcp(bench, "queue: 500ms, queue_discipline: codel")?;
    // CoDel lets the queue stand for its target of 5 ms, and some more while TCP gives way.
    Ok(vec![Row::between(
        "middle wait, ms",
        "5 + some 5",
        quantile(&delays, 0.5),
        [5.0, 40.0],
    )])
}

/// Offers twice the rate for two seconds, with the given congestion bits. Marked and lost.
fn overload(bench: &Bench, class: i32) -> Result<(f64, f64, f64), Refusal> {
    let link = bench.link("rate: 4mbit, queue: 4000packets, queue_discipline: codel, ecn: true")?;
    let (sender, receiver) = link.pair()?;
    set_class(&sender, class)?;
    setsockopt(&receiver, sockopt::IpRecvTos, &true).map_err(std::io::Error::from)?;
    let stream = Stream {
        count: 2000,
        length: PAYLOAD,
        gap: Duration::from_millis(1),
    };
    let sending = start(sender, stream);
    let came = crate::traffic::receive(&receiver, PAYLOAD, 2000)?;
    let _ = sending.join();
    drop(receiver);
    link.close()?;
    let marked = came.iter().filter(|arrival| arrival.mark == 3).count();
    let intact = came.iter().filter(|arrival| arrival.flipped == 0).count();
    Ok((
        marked as f64,
        2000.0 - came.len() as f64,
        intact as f64 - came.len() as f64,
    ))
}

fn set_class(socket: &UdpSocket, class: i32) -> Result<(), Refusal> {
    Ok(setsockopt(socket, sockopt::Ipv4Tos, &class).map_err(std::io::Error::from)?)
}

/// The n-th mark comes 100 ms / √n after the one before: some hundred in the four seconds that the queue needs.
pub(super) fn marks(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let (marked, lost, damaged) = overload(bench, 0b10)?;
    Ok(vec![
        Row::between("marked of 2000", "some hundred", marked, [100.0, 700.0]),
        Row::between("lost", 0, lost, [0.0, 0.0]),
        Row::between("damaged", 0, damaged, [0.0, 0.0]),
    ])
}

pub(super) fn no_marks(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let (marked, lost, _) = overload(bench, 0)?;
    Ok(vec![
        Row::between("marked of 2000", 0, marked, [0.0, 0.0]),
        Row::between("lost", "some hundred", lost, [100.0, 700.0]),
    ])
}
