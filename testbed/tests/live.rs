//! Running labs that change: links, nodes, limits, partitions, and what tells of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "live/captures.rs"]
mod captures;
#[path = "live/changes.rs"]
mod changes;
#[path = "live/events.rs"]
mod events;
#[path = "live/links.rs"]
mod links;
#[path = "live/nodes.rs"]
mod nodes;
#[path = "live/partitions.rs"]
mod partitions;
mod support;

use support::Lab;

/// Round-trip times in milliseconds that `ping` saw; one per answer.
fn ping(lab: &Lab, from: &str, to: &str, count: u32) -> Vec<f64> {
    let count = count.to_string();
    let command = ["ping", "-n", "-i", "0.05", "-W", "1", "-c", &count, to];
    let output = lab.run(&[&["exec", "-l", &lab.name, from, "--"], &command[..]].concat());
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once("time="))
        .map(|(_, rest)| rest.split(' ').next().unwrap().parse().unwrap())
        .collect()
}

/// The fastest of some round trips, in milliseconds. Tells a delay apart from the lateness of a busy machine.
fn fastest(lab: &Lab, from: &str, to: &str) -> f64 {
    let times = ping(lab, from, to, 5);
    assert!(!times.is_empty(), "{from} does not reach {to}");
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Standard error of a verb that must fail with `code`.
fn refused(lab: &Lab, code: i32, arguments: &[&str]) -> String {
    let output = lab.run(arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        support::text(&output)
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}
