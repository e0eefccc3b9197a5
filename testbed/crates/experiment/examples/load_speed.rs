//! How many requests per second one load process can send on time: prints, for growing rates, how late requests were
//! sent and what the generator cost. The server is another thread of this program, so the figures need two cores that
//! are otherwise idle; "starved" is the share of the time in which the generator wanted a core and got none.
//!
//! `cargo run --release -p dfaas-experiment --example load_speed`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement for developers"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::mpsc::channel;
use std::time::Duration;

use dfaas_experiment::load::{Arrivals, LoadFlow, LoadPlan, LoadRow, Phase, generate};
use tokio::sync::watch;

const SECONDS: u64 = 5;

fn main() {
    println!(
        "asked/s  answered  not sent   late p50   late p99   late max   latency p50   core  starved  first error"
    );
    for rate in [1_000, 2_000, 5_000, 7_500, 10_000, 15_000] {
        let server = common::Server::start(|_| async { common::reply(200, "Hello DFaaS world!") });
        let (rows, [core, starved]) = measure(server.address, rate);
        report(rate, &rows, core, starved);
    }
}

fn plan(target: std::net::SocketAddr, rate: u32) -> LoadPlan {
    let flow = LoadFlow {
        name: "speed".to_owned(),
        target,
        host: "speed".to_owned(),
        path: "/function/figlet".to_owned(),
        method: "POST".to_owned(),
        headers: Vec::new(),
        body: b"Hello DFaaS world!".to_vec(),
        start: Duration::ZERO,
        duration: Duration::from_secs(SECONDS),
        arrivals: Arrivals::Constant {
            per_second: f64::from(rate),
        },
        timeout: Duration::from_secs(5),
        max_connections: None,
        recorded_headers: vec!["X-Server".to_owned()],
    };
    let start = jiff::Timestamp::now().as_nanosecond() as i64 + 200_000_000;
    LoadPlan {
        start_unix_nanoseconds: start,
        in_flight_limit: 10_000,
        flows: vec![flow],
    }
}

/// The rows, and the shares of the time in which this thread ran and in which it waited for a core.
fn measure(target: std::net::SocketAddr, rate: u32) -> (Vec<LoadRow>, [f64; 2]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(8)
        .build()
        .unwrap();
    let (sender, rows) = channel();
    let (_set_phase, phase) = watch::channel(Phase::Sending);
    let before = schedule_statistics();
    runtime
        .block_on(generate(&plan(target, rate), sender, &phase))
        .unwrap();
    let after = schedule_statistics();
    let share = |index: usize| after[index].saturating_sub(before[index]) as f64 / 1e9 / SECONDS as f64;
    (rows.into_iter().collect(), [share(0), share(1)])
}

fn report(rate: u32, rows: &[LoadRow], core: f64, starved: f64) {
    let quantile = |values: &mut Vec<u64>, share: f64| {
        values.sort_unstable();
        values[((values.len() - 1) as f64 * share) as usize] as f64 / 1e3
    };
    let mut late: Vec<u64> = rows.iter().map(|row| row.sent_after).collect();
    let mut latency: Vec<u64> = rows.iter().map(|row| row.latency).collect();
    println!(
        "{rate:>7}  {:>8}  {:>8}  {:>6.0} us  {:>6.0} us  {:>6.0} us  {:>9.0} us  {:>3.0} %  {:>5.0} %  {}",
        rows.iter().filter(|row| row.code == 200).count(),
        rows.iter().filter(|row| !row.sent).count(),
        quantile(&mut late, 0.5),
        quantile(&mut late, 0.99),
        quantile(&mut late, 1.0),
        quantile(&mut latency, 0.5),
        core * 100.0,
        starved * 100.0,
        rows.iter()
            .find(|row| !row.error.is_empty())
            .map_or("-", |row| &row.error),
    );
}

/// Nanoseconds this thread has run and has waited for a core.
fn schedule_statistics() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or(0));
    [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)]
}
