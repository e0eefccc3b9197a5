//! How long a step of the recalc strategy takes with 100 peers and 50 functions.

#![expect(clippy::print_stdout, reason = "the measurement's result")]

use dfaas_agent::strategy::{Compatibility, PeerAddress, Recalc, Spread, Step1Inputs};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const PEERS: usize = 100;
const FUNCTIONS: usize = 50;
const RUNS: usize = 200;

fn main() {
    for (name, spread) in [
        ("recalc", Spread::Proportional),
        ("latency-aware", Spread::Nearest),
    ] {
        let (step1, step2) = measure(spread);
        println!(
            "{name:<14} {PEERS} peers, {FUNCTIONS} functions: step 1 {step1:.3} ms, step 2 {step2:.3} ms (medians of {RUNS})"
        );
    }
}

fn measure(spread: Spread) -> (f64, f64) {
    let functions: BTreeMap<String, u32> = (0..FUNCTIONS)
        .map(|number| (format!("function-{number}"), 100))
        .collect();
    let peers: BTreeSet<String> = (0..PEERS)
        .map(|number| format!("12D3KooWPeerNumber{number}"))
        .collect();
    // Every second function is overloaded.
    let rates = functions.keys().zip([50.0, 150.0].into_iter().cycle());
    let rates: BTreeMap<String, f64> = rates.map(|(function, rate)| (function.clone(), rate)).collect();
    let mut strategy =
        Recalc::new("me".to_owned(), Duration::from_secs(60), Compatibility::Ours).spreading(spread);
    let offer: BTreeMap<String, f64> = functions.keys().map(|function| (function.clone(), 5.0)).collect();
    let offers = BTreeMap::from([("me".to_owned(), offer)]);
    let address = PeerAddress {
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 80,
    };
    for peer in &peers {
        strategy.hear(Duration::ZERO, peer.as_str(), address, &offers);
    }
    let inputs = Step1Inputs {
        peers: &peers,
        functions: &functions,
        user_rates: &rates,
    };
    let links = BTreeMap::new();
    let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        let begun = Instant::now();
        std::hint::black_box(strategy.divide(Duration::ZERO, inputs));
        times[0].push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        strategy.weigh(Duration::ZERO, &links);
        std::hint::black_box(strategy.weights());
        times[1].push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let [step1, step2] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    (step1, step2)
}
