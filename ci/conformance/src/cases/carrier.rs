//! Black holes, carriers, the longest packet.

use std::time::{Duration, Instant};

use dfaas_control::LinkChange;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use crate::bench::{Bench, End, Refusal, TestLink};
use crate::table::Row;
use crate::traffic::{Stream, send};

const FEW: Stream = Stream {
    count: 20,
    length: 100,
    gap: Duration::from_millis(1),
};

pub(super) fn blackhole(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let link = bench.link("blackhole: true")?;
    let (sender, receiver) = link.pair()?;
    let there = send(sender, &receiver, FEW)?.came.len() as f64;
    let (sender, receiver) = (link.udp(End::B, 0)?, link.udp(End::A, 4001)?);
    sender.connect((link.address(End::A), 4001))?;
    let back = send(sender, &receiver, FEW)?.came.len() as f64;
    drop(receiver);
    link.close()?;
    Ok(vec![
        Row::between("of 20, passed there", 0, there, [0.0, 0.0]),
        Row::between("of 20, passed back", 20, back, [20.0, 20.0]),
    ])
}

/// Whether the interface of an end has a carrier.
fn has_carrier(link: &TestLink, end: End) -> Result<bool, Refusal> {
    link.at(end, || {
        let mut all = getifaddrs()?;
        Ok(all.any(|it| {
            !it.flags.contains(InterfaceFlags::IFF_LOOPBACK) && it.flags.contains(InterfaceFlags::IFF_RUNNING)
        }))
    })
}

/// As [`has_carrier`], once that is as expected: the kernel tells of carriers at most once in a second.
fn settled_carrier(link: &TestLink, end: End, expected: bool) -> Result<bool, Refusal> {
    let begin = Instant::now();
    loop {
        let measured = has_carrier(link, end)?;
        if measured == expected || begin.elapsed() > Duration::from_secs(3) {
            return Ok(measured);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(super) fn down(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let mut link = bench.link("delay: 1ms")?;
    let mut rows = Vec::new();
    for up in [true, false, true] {
        link.change(&LinkChange {
            up: Some(up),
            ..LinkChange::default()
        })?;
        for end in [End::A, End::B] {
            let measured = settled_carrier(&link, end, up)?;
            let what = format!("carrier of {}, {}", end.name(), if up { "up" } else { "down" });
            rows.push(Row::holds(&what, up, measured, measured == up));
        }
    }
    let (sender, receiver) = link.pair()?;
    let passed = send(sender, &receiver, FEW)?.came.len() as f64;
    drop(receiver);
    link.close()?;
    rows.push(Row::between("of 20, passed, up again", 20, passed, [20.0, 20.0]));
    Ok(rows)
}

pub(super) fn mtu(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let link = bench.topology(1, "mtu: 1300, forward: { delay: 1ms }")?;
    let (sender, receiver) = link.pair()?;
    // 1272 bytes and 28 of headers are one packet of 1300; a longer one travels in two fragments.
    let longest = send(sender.try_clone()?, &receiver, Stream { length: 1272, ..FEW })?
        .came
        .len() as f64;
    let interface = link.at(End::A, || std::fs::read_to_string("/proc/thread-self/net/snmp"))?;
    let before = fragments(&interface);
    let longer = send(sender, &receiver, Stream { length: 1273, ..FEW })?
        .came
        .len() as f64;
    let interface = link.at(End::A, || std::fs::read_to_string("/proc/thread-self/net/snmp"))?;
    let created = fragments(&interface) - before;
    drop(receiver);
    link.close()?;
    Ok(vec![
        Row::between("of 20 of 1300 bytes, whole", 20, longest, [20.0, 20.0]),
        Row::between("fragments of those before", 0, before, [0.0, 0.0]),
        Row::between("of 20 of 1301 bytes", 20, longer, [20.0, 20.0]),
        Row::between("fragments of these", 40, created, [40.0, 40.0]),
    ])
}

/// `FragCreates` of IPv4 in /proc/net/snmp.
fn fragments(snmp: &str) -> f64 {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Ip:"));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let place = names.split_whitespace().position(|name| name == "FragCreates");
    let value = place.and_then(|place| values.split_whitespace().nth(place));
    value.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}
