//! Links that replay a recording or a pattern: what they mean, and what is said about wrong ones.

use std::time::Duration;

use dfaas_model::{Playback, Topology, Trace, load_topology, plan};
use insta::assert_snapshot;

use crate::common::{files, rendered, scenario, set, topology, topology_error};

const LAB: &str = "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - { endpoints: [a, b], delay: 5ms, trace: lte.csv }\n";

fn load(trace: &str) -> Result<Topology, String> {
    let files = files(&[("lab.yaml", LAB), ("lte.csv", trace)]);
    load_topology("lab.yaml", &files, &[]).map_err(|error| rendered(&error))
}

fn trace(text: &str) -> Trace {
    let topology = load(text).unwrap_or_else(|error| panic!("{error}"));
    let [forward, backward] = topology.traces_of(&topology.links[0]);
    assert_eq!(forward, backward);
    Trace::clone(forward.unwrap())
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn a_mahimahi_trace_is_times_and_as_long_as_its_last_one() {
    let trace = trace("# 24 Mbit/s, then nothing for 2 ms\n1\n1\n4\r\n");
    assert_eq!(trace.period, ms(4));
    assert_eq!(trace.playback, Playback::Deliveries(vec![1, 1, 4]));
    // 3 deliveries of 1500 bytes in 4 ms.
    assert_eq!(trace.at(ms(100)).rate, Some(9_000_000));
}

#[test]
fn a_table_has_units_or_plain_milliseconds_bits_and_fractions() {
    let with_units = trace("time,delay,rate,loss\n0s,20ms,10mbit,0.5%\n1s,,5mbit,\n2s,,,\n");
    let plain = trace("loss , rate,delay,time\n0.005,10000000,20,500\n,5000000,,1500\n,,,2500\n");
    assert_eq!(plain, with_units);
    assert_eq!(plain.period, Duration::from_secs(2));
    let second = plain.at(ms(3_999));
    assert_eq!(
        (second.delay, second.rate, second.loss),
        (Some(ms(20)), Some(5_000_000), Some(0.005)),
        "an empty cell is as in the row before"
    );
    assert_eq!(plain.at(ms(4_000)).rate, Some(10_000_000), "it begins again");
}

#[test]
fn without_an_end_the_last_row_lasts_as_long_as_the_one_before() {
    let trace = trace("time,rate\n0,1mbit\n100,0\n300,2mbit\n");
    assert_eq!(trace.period, ms(500));
    assert_eq!(trace.at(ms(200)).rate, Some(0), "an outage");
    assert_eq!(trace.at(ms(499)).rate, Some(2_000_000));
    assert_eq!(trace.at(ms(499)).delay, None, "as the link says");
}

#[test]
fn patterns_are_traces() {
    let text = "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n    \
                forward:\n      pattern: { every: 10s, steps: [{ at: 0s, rate: 10mbit }, { at: 5s, rate: 1mbit, loss: 1% }] }\n    \
                backward:\n      pattern: { every: 4s, shape: sine, from: { delay: 20ms }, to: { delay: 80ms } }\n";
    let topology = topology(text);
    let [forward, backward] = topology.traces_of(&topology.links[0]).map(Option::unwrap);
    assert_eq!(forward.at(ms(15_000)).rate, Some(1_000_000));
    assert_eq!(forward.at(ms(14_999)).rate, Some(10_000_000));
    assert_eq!(backward.at(ms(0)).delay, Some(ms(20)));
    assert_eq!(backward.at(ms(1_000)).delay, Some(ms(50)));
    assert_eq!(backward.at(ms(2_000)).delay, Some(ms(80)));
    let printed = plan(&topology).unwrap().to_string();
    assert!(
        printed.contains("forward trace pattern: 2 steps in 10s, rate 1mbit to 10mbit, loss 1%"),
        "{printed}"
    );
    assert!(
        printed.contains("backward trace pattern: 200 steps in 4s, delay 20ms to 80ms"),
        "{printed}"
    );
}

#[test]
fn squares_triangles_and_sawteeth() {
    let at = |shape: &str, milliseconds| {
        let text = format!(
            "nodes:\n  a: {{ kind: host }}\n  b: {{ kind: host }}\nlinks:\n  - endpoints: [a, b]\n    \
             pattern: {{ every: 1s, shape: {shape}, from: {{ rate: 10mbit }}, to: {{ rate: 20mbit }} }}\n"
        );
        let topology = topology(&text);
        topology.traces_of(&topology.links[0])[0]
            .unwrap()
            .at(ms(milliseconds))
            .rate
            .unwrap()
            / 1_000_000
    };
    assert_eq!(
        [0, 499, 500, 999].map(|time| at("square", time)),
        [10, 10, 20, 20]
    );
    assert_eq!(
        [0, 250, 500, 750].map(|time| at("triangle", time)),
        [10, 15, 20, 15]
    );
    assert_eq!(
        [0, 500, 990, 1000].map(|time| at("sawtooth", time)),
        [10, 15, 19, 10]
    );
}

#[test]
fn a_trace_is_read_once_and_kept_with_the_run() {
    let lab = "include: parts/links.yaml\nnodes:\n  a: { kind: client }\n  b: { kind: host }\n  c: { kind: host }\n";
    let links = "links:\n  - { endpoints: [a, b], trace: lte.csv }\n  - { endpoints: [b, c], trace: ../parts/lte.csv }\n";
    let files = files(&[
        ("lab.yaml", lab),
        ("parts/links.yaml", links),
        ("parts/lte.csv", "1\n"),
    ]);
    let topology = load_topology("lab.yaml", &files, &[]).unwrap();
    assert_eq!(topology.traces.len(), 1);
    assert_eq!(topology.links[1].backward_trace.as_deref(), Some("parts/lte.csv"));
    let text = serde_json::to_string(&topology).unwrap();
    assert_eq!(serde_json::from_str::<Topology>(&text).unwrap(), topology);
    // What `--set` names is relative to the topology file.
    let error = load_topology("lab.yaml", &files, &set(&["links.a--b.trace=lte.csv"])).unwrap_err();
    assert_eq!(error.to_string(), "cannot read lte.csv: no such file");
}

#[test]
fn a_direction_has_its_own_trace() {
    let text = "nodes:\n  a: { kind: host }\n  b: { kind: host }\nlinks:\n  - endpoints: [a, b]\n    trace: one\n    \
                forward: { pattern: { every: 1s, steps: [{ at: 0s, loss: 1% }] } }\n";
    let files = files(&[("lab.yaml", text), ("one", "1\n")]);
    let topology = load_topology("lab.yaml", &files, &[]).unwrap();
    assert_eq!(topology.links[0].forward_trace.as_deref(), Some("pattern"));
    assert_eq!(topology.links[0].backward_trace.as_deref(), Some("one"));
}

/// One snapshot per wrong trace file.
macro_rules! wrong_files {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_snapshot!(load($text).unwrap_err());
        }
    )*};
}

wrong_files! {
    empty_trace: "# nothing\n\n";
    trace_of_length_zero: "0\n0\n";
    trace_with_a_word: "1\n2\n3x\n";
    trace_that_goes_back: "1\n5\n4\n";
    table_that_goes_back: "time,rate\n0,1mbit\n100,2mbit\n100,3mbit\n";
    table_with_unknown_column: "time,rate,los\n0,1mbit,0\n";
    table_with_a_column_twice: "time,rate,rate\n0,1,2\n";
    table_without_time: "delay,rate\n1,2\n";
    table_of_times_only: "time\n1\n2\n";
    table_with_one_row: "time,rate\n0,1mbit\n";
    table_with_bad_unit: "time,delay\n0,20ms\n100,20msec\n";
    table_with_bad_loss: "time,loss\n0,0\n100,5\n";
    table_with_too_many_cells: "time,loss\n0,0\n100,0,1\n";
    table_with_a_row_without_time: "time,loss\n0,0\n,0.5\n";
    table_with_rows_behind_its_end: "time,loss\n0,0\n10,\n20,0\n";
    table_with_an_open_quote: "time,loss\n0,\"0\n";
    too_long_a_trace: &"1\n".repeat(1_000_001);
}

/// One snapshot per wrong topology file.
macro_rules! wrong_links {
    ($($name:ident: $keys:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_snapshot!(topology_error(&format!(
                "nodes:\n  a: {{ kind: host }}\n  b: {{ kind: host }}\nlinks:\n  - endpoints: [a, b]\n    {}\n",
                $keys
            )));
        }
    )*};
}

wrong_links! {
    missing_trace: "trace: lte.csv";
    trace_and_pattern: "trace: lte.csv\n    pattern: { every: 1s, steps: [{ at: 0s, loss: 1% }] }";
    pattern_without_anything: "pattern: { every: 1s }";
    pattern_of_no_length: "pattern: { every: 0s, steps: [{ at: 0s, loss: 1% }] }";
    pattern_with_late_step: "pattern: { every: 1s, steps: [{ at: 0s, loss: 1% }, { at: 1s, loss: 0% }] }";
    pattern_that_begins_late: "pattern: { every: 1s, steps: [{ at: 100ms, loss: 1% }] }";
    pattern_that_goes_back: "pattern: { every: 1s, steps: [{ at: 0s, loss: 1% }, { at: 0s, loss: 0% }] }";
    pattern_between_different_things: "pattern: { every: 1s, shape: sine, from: { delay: 1ms }, to: { rate: 1mbit } }";
    pattern_of_unknown_shape: "pattern: { every: 1s, shape: cosine, from: { delay: 1ms }, to: { delay: 2ms } }";
    jitter_over_the_delay_of_a_trace: "delay: 5ms\n    jitter: 3ms\n    pattern: { every: 1s, steps: [{ at: 0s, delay: 2ms }] }";
}

#[test]
fn an_event_cannot_set_a_trace() {
    let lab = "nodes:\n  a: { kind: client }\n  b: { kind: dfaas, functions: { figlet: {} } }\nlinks:\n  - endpoints: [a, b]\n";
    let run = "topology: lab.yaml\nload:\n  - { name: users, from: a, to: b, function: figlet, rate: 1/s, duration: 1s }\n\
               events:\n  - { at: 1s, link: a--b, set: { trace: lte.csv } }\n\
               expect:\n  - { metric: success_rate, of: users, at_least: 1% }\n";
    assert_snapshot!(rendered(&scenario(run, lab, &[]).unwrap_err()));
}
