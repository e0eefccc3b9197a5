//! How fast nodes start and end, and what they cost. Numbers are printed; only the coarse promises are checked.

use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dfaas_process::{Event, Init};

use crate::fixture::{LONG, Place};

pub(crate) const TESTS: &[crate::Test] = &[
    ("speed::fifty_nodes_in_a_second", fifty),
    ("speed::as_many_nodes_as_asked", many),
];

fn fifty() {
    let ready = measure(50);
    // On a machine that is busy with other things this process gets only its share.
    let limit = Duration::from_secs(1).mul_f64(load_per_processor().max(1.0));
    assert!(ready < limit, "50 nodes took {ready:?}, more than {limit:?}");
}

fn load_per_processor() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").expect("load");
    let load: f64 = text
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .expect("a number");
    load / std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

/// `DFAAS_NODES=1000` for a larger number.
fn many() {
    let asked = std::env::var("DFAAS_NODES")
        .ok()
        .and_then(|text| text.parse().ok());
    measure(asked.unwrap_or(100));
}

fn measure(count: usize) -> Duration {
    let place = Place::new();
    let mut specs: Vec<_> = (0..count)
        .map(|number| place.spec(&format!("n{number}")))
        .collect();
    let (sender, events) = mpsc::channel();
    let spawner = place.spawner.as_ref().expect("spawner");
    let began = Instant::now();
    let inits: Vec<Init> = specs
        .drain(..)
        .map(|spec| {
            let sender = sender.clone();
            spawner
                .spawn_init(spec, move |event| _ = sender.send(event))
                .expect("init")
        })
        .collect();
    let spawned = began.elapsed();
    inits
        .iter()
        .for_each(|init| init.wait_ready(LONG).expect("ready"));
    let ready = began.elapsed();
    drop(sender);
    assert_eq!(
        events.try_iter().filter(|event| *event == Event::Ready).count(),
        count
    );
    let (resident, own) = memory(inits[count / 2].pid());
    let began = Instant::now();
    drop(inits);
    drop(place);
    let gone = began.elapsed();
    println!(
        "  {count} nodes: started {:.0} ms, ready {:.0} ms, gone {:.0} ms; one init: {resident} KiB resident, {own} KiB its own",
        spawned.as_secs_f64() * 1e3,
        ready.as_secs_f64() * 1e3,
        gone.as_secs_f64() * 1e3
    );
    ready
}

/// Resident memory of a process, and what of it no other process shares, in KiB.
fn memory(pid: i32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("memory");
    let field = |name: &str| -> u64 {
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines
            .filter_map(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<u64>().ok())
            .sum()
    };
    (field("Rss:"), field("Private_Clean:") + field("Private_Dirty:"))
}
