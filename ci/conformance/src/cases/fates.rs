//! Copies, damage, overtaking.

use std::time::Duration;

use crate::bench::{Bench, End, HEADERS, Refusal, TestLink};
use crate::statistics::{binomial, correlated_binomial};
use crate::table::Row;
use crate::traffic::{Outcome, Stream, flips_of, send, send_up_to};

const COUNT: u32 = 5000;

fn stream(bench: &Bench, keys: &str, stream: Stream) -> Result<Outcome, Refusal> {
    let link = bench.link(keys)?;
    let (sender, receiver) = link.pair()?;
    let outcome = send(sender, &receiver, stream)?;
    drop(receiver);
    link.close()?;
    Ok(outcome)
}

fn quick(length: usize) -> Stream {
    Stream {
        count: COUNT,
        length,
        gap: Duration::from_micros(150),
    }
}

pub(super) fn duplicate(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let link = bench.link("duplicate: 10%")?;
    let (sender, receiver) = link.pair()?;
    let outcome = send_up_to(sender, &receiver, quick(100), 2 * COUNT as usize)?;
    drop(receiver);
    link.close()?;
    let copies = outcome.came.len() as f64 - f64::from(COUNT);
    let right_behind = outcome
        .came
        .windows(2)
        .filter(|pair| pair[0].number == pair[1].number);
    Ok(vec![
        Row::between("copies", COUNT / 10, copies, binomial(f64::from(COUNT), 0.1)),
        Row::between(
            "of them right behind",
            copies,
            right_behind.count() as f64,
            [copies, copies],
        ),
        Row::between("lost", 0, outcome.lost() as f64, [0.0, 0.0]),
    ])
}

/// Some packets have one flipped bit, and the receiver notices: the checksum, which the sender leaves to its network
/// card, is right but for that bit.
pub(super) fn corrupt(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    const LENGTH: usize = 1000;
    let link = bench.link("corrupt: 10%")?;
    let (sender, receiver) = link.pair()?;
    let tap = link.tap(End::B)?;
    let errors = |link: &TestLink| link.at(End::B, || std::fs::read_to_string("/proc/thread-self/net/snmp"));
    let before = checksum_errors(&errors(&link)?);
    let outcome = send(sender, &receiver, quick(LENGTH))?;
    let noticed = checksum_errors(&errors(&link)?) - before;
    let flips = flips_of(&tap, LENGTH)?;
    drop((receiver, tap));
    link.close()?;
    let count = f64::from(COUNT);
    let hit = binomial(count, 0.1);
    // Of the flipped bits, so many are in the part of the payload that is looked at: behind the Ethernet header the frame
    // has 28 bytes more (the kernel's netem flips bits of that too), and the number takes 4 bytes.
    let seen = binomial(count, 0.1 * (LENGTH - 4) as f64 / (LENGTH + HEADERS) as f64);
    let flipped = |wanted: fn(u32) -> bool| flips.iter().filter(|&&flips| wanted(flips)).count() as f64;
    let delivered = outcome.came.iter().filter(|arrival| arrival.flipped > 0).count() as f64;
    Ok(vec![
        Row::between("frames", COUNT, flips.len() as f64, [count, count]),
        Row::between(
            "one bit of the payload",
            COUNT / 10,
            flipped(|flips| flips == 1),
            [seen[0], hit[1]],
        ),
        Row::between("more bits of it", 0, flipped(|flips| flips > 1), [0.0, 0.0]),
        Row::between("noticed by the checksum", COUNT / 10, noticed, [seen[0], hit[1]]),
        Row::between("not delivered", COUNT / 10, outcome.lost() as f64, hit),
        Row::between("damaged and delivered", 0, delivered, [0.0, 0.0]),
    ])
}

/// `InCsumErrors` of UDP in /proc/net/snmp.
fn checksum_errors(snmp: &str) -> f64 {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Udp:"));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let place = names.split_whitespace().position(|name| name == "InCsumErrors");
    let value = place.and_then(|place| values.split_whitespace().nth(place));
    value.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

fn reordered(bench: &Bench, keys: &str) -> Result<Vec<bool>, Refusal> {
    let gap = Duration::from_micros(500);
    let outcome = stream(
        bench,
        keys,
        Stream {
            count: 3000,
            length: 100,
            gap,
        },
    )?;
    Ok(outcome.delays().into_iter().map(|delay| delay < 20.0).collect())
}

fn number(packets: &[bool]) -> f64 {
    packets.iter().filter(|&&overtakes| overtakes).count() as f64
}

/// Those that overtake are not delayed; the others keep their order.
pub(super) fn reorder(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let packets = reordered(bench, "delay: 40ms, reorder: 20%")?;
    let overtaking = number(&packets);
    let pairs = packets.windows(2).filter(|pair| pair[0] && pair[1]).count() as f64;
    Ok(vec![
        Row::between("not delayed", 600, overtaking, binomial(3000.0, 0.2)),
        Row::between(
            "of them after another",
            (overtaking * 0.2).round(),
            pairs,
            binomial(overtaking, 0.2),
        ),
    ])
}

pub(super) fn reorder_correlated(bench: &Bench) -> Result<Vec<Row>, Refusal> {
    let packets = reordered(bench, "delay: 40ms, reorder: 20%, reorder_correlation: 50%")?;
    let overtaking = number(&packets);
    let pairs = packets.windows(2).filter(|pair| pair[0] && pair[1]).count() as f64;
    Ok(vec![
        Row::between(
            "not delayed",
            600,
            overtaking,
            correlated_binomial(3000.0, 0.2, 0.5),
        ),
        Row::between(
            "of them after another",
            (overtaking * 0.6).round(),
            pairs,
            binomial(overtaking, 0.6),
        ),
    ])
}
