//! How many requests per second one load process can send on time: prints, for growing rates, how late requests were
//! sent and what the generator cost. The server is another thread of this program, so the figures need two cores.
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
use nix::sys::resource::{UsageWho, getrusage};
use tokio::sync::watch;

const SECONDS: u64 = 5;

fn main() {
    let server = common::Server::start(|_| async { common::reply(200, "Hello DFaaS world!") });
    println!(
        "{:>8} {:>8} {:>9} {:>10} {:>10} {:>10} {:>8} {:>8}",
        "asked/s", "sent", "answered", "late p50", "late p99", "late max", "core", "latency"
    );
    for rate in [1_000, 5_000, 10_000, 15_000, 20_000] {
        measure(server.address, rate);
    }
}

fn measure(target: std::net::SocketAddr, rate: u32) {
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
    let plan = LoadPlan {
        start_unix_nanoseconds: start,
        in_flight_limit: 10_000,
        flows: vec![flow],
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(8)
        .build()
        .unwrap();
    let (sender, rows) = channel();
    let (_set_phase, phase) = watch::channel(Phase::Sending);
    let before = processor_seconds();
    runtime.block_on(generate(&plan, sender, &phase)).unwrap();
    let core = (processor_seconds() - before) / SECONDS as f64;
    let rows: Vec<LoadRow> = rows.into_iter().collect();
    let quantile = |values: &mut Vec<u64>, share: f64| {
        values.sort_unstable();
        values[((values.len() - 1) as f64 * share) as usize] as f64 / 1e3
    };
    let mut late: Vec<u64> = rows.iter().map(|row| row.sent_after).collect();
    let mut latency: Vec<u64> = rows.iter().map(|row| row.latency).collect();
    println!(
        "{rate:>8} {:>8} {:>9} {:>7.0} us {:>7.0} us {:>7.0} us {:>6.0} % {:>5.0} us",
        rows.iter().filter(|row| row.sent).count(),
        rows.iter().filter(|row| row.code == 200).count(),
        quantile(&mut late, 0.5),
        quantile(&mut late, 0.99),
        quantile(&mut late, 1.0),
        core * 100.0,
        quantile(&mut latency, 0.5),
    );
}

/// Processor time of this thread, which is the generator's.
fn processor_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}
