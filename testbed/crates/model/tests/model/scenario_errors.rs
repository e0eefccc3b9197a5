//! What people see when a scenario is wrong. Each message has its snapshot, as the command line renders it.

use crate::common::{files, rendered, scenario};
use dfaas_model::load_scenario;
use insta::assert_snapshot;

const LAB: &str = "nodes:
  n1: { kind: dfaas, functions: { figlet: { maxrate: 10 } } }
  n2: { kind: dfaas, functions: { figlet: { maxrate: 20 } } }
  user1: { kind: client }
  far: { kind: client }
  s1: { kind: switch }
links:
  - { endpoints: [n1, s1], delay: 5ms }
  - { endpoints: [n2, s1] }
  - { endpoints: [user1, s1] }
";

/// A scenario that is right, and ends where a case goes on.
fn with(more: &str) -> String {
    format!(
        "topology: lab.yaml\nparams: {{ T: 5s }}\nload:\n  - {{ name: users, from: user1, to: n1, function: figlet, \
         rate: 50/s, duration: 5T }}\n{more}"
    )
}

/// What [`with`] says of the rate.
const STEADY: &str = "rate: 50/s, duration: 5T";

fn error(text: &str, overrides: &[&str]) -> String {
    rendered(&scenario(text, LAB, overrides).unwrap_err())
}

/// One snapshot per case: name, scenario, overrides.
macro_rules! cases {
    ($($name:ident: $text:expr, $overrides:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_snapshot!(error(&$text, &$overrides));
        }
    )*};
}

cases! {
    no_topology: "load: []\n", [];
    missing_topology: "topology: nowhere.yaml\n", [];
    no_load: "topology: lab.yaml\n", [];
    unknown_key: with("expects: []\n"), [];
    duplicate_key: with("topology: lab.yaml\n"), [];
    bad_parameter_name: "topology: lab.yaml\nparams: { ms: 5 }\n", [];
    cyclic_parameter: with("").replace("T: 5s", "T: 2U, U: T"), [];
    unknown_parameter_in_a_time: with("").replace("5T", "5X"), [];
    bad_time: with("").replace("5T", "5sec"), [];
    unknown_parameter_override: with(""), ["TT=60s"];
    bad_parameter_override: with(""), ["T=sixty"];
    bad_topology_override: with(""), ["nodes.n3.cpus=1"];
    bad_scenario_override: with(""), ["load.users.rate=100"];
    bad_set_path: with("set: { nodes.n9.cpus: 1 }\n"), [];
    bad_set_value: with("set: { nodes.n1.cpus: T }\n"), [];
    unknown_axis: with("matrix: { strategy: [a, b] }\n"), [];
    empty_axis: with("matrix: { T: [] }\n"), [];
    too_many_cells: with("repeat: 5000\nmatrix: { T: [1s, 2s] }\n"), [];
    unknown_node: with("").replace("from: user1", "from: user2"), [];
    switch_as_source: with("").replace("from: user1", "from: s1"), [];
    client_as_target: with("").replace("to: n1", "to: far"), [];
    unreachable: with("").replace("from: user1", "from: far"), [];
    unknown_function: with("").replace("figlet", "figlit"), [];
    no_rate: with("").replace("rate: 50/s, ", ""), [];
    zero_rate: with("").replace("50/s", "0/s"), [];
    bad_rate: with("").replace("50/s", "50"), [];
    no_duration: with("").replace(", duration: 5T", ""), [];
    misspelt_arrivals: with("").replace("50/s,", "50/s, arrivals: poison,"), [];
    stages_with_a_duration: with("").replace("rate: 50/s", "stages: [{ rate: 5/s, duration: 1T }]"), [];
    stages_without_a_request: with("").replace(STEADY, "stages: [{ rate: 0/s, duration: 1T }, { rate: 5/s, duration: 0s }]"), [];
    a_stage_without_a_rate: with("").replace(STEADY, "stages: [{ duration: 1T }]"), [];
    a_trace_with_a_rate: with("").replace("50/s,", "50/s, trace: t.csv,"), [];
    a_missing_trace: with("").replace(STEADY, "trace: t.csv"), [];
    bad_header: with("").replace("50/s,", "50/s, headers: { \"a b\": c },"), [];
    duplicate_flow: with("  - { name: users, from: user1, to: n2, function: figlet, rate: 1/s, duration: 1T }\n"), [];
    unknown_flow: with("expect: [{ metric: rate, of: user, at_least: 1/s }]\n"), [];
    unknown_metric: with("expect: [{ metric: succes_rate, of: users, at_least: 99% }]\n"), [];
    wrong_bound_unit: with("expect: [{ metric: success_rate, of: users, at_least: 99/s }]\n"), [];
    no_bound: with("expect: [{ metric: rate, of: users }]\n"), [];
    two_bounds: with("expect: [{ metric: rate, of: users, at_least: 1/s, at_most: 2/s }]\n"), [];
    bound_turned_round: with("expect: [{ metric: rate, of: users, between: [2/s, 1/s] }]\n"), [];
    served_by_whom: with("expect: [{ metric: served_by, of: users, at_least: 1/s }]\n"), [];
    served_by_a_client: with("expect: [{ metric: served_by, of: users, node: user1, at_least: 1/s }]\n"), [];
    responses_of_which_status: with("expect: [{ metric: responses, of: users, at_least: 1/s }]\n"), [];
    latency_of_what: with("expect: [{ metric: latency, of: users, at_most: 5ms }]\n"), [];
    statistic_of_a_rate: with("expect: [{ metric: rate, of: users, statistic: p95, at_most: 5/s }]\n"), [];
    window_after_the_flow: with("expect: [{ metric: rate, of: users, from: 2T, to: 6T, at_least: 1/s }]\n"), [];
    empty_window: with("expect: [{ metric: rate, of: users, from: 3T, to: 2T, at_least: 1/s }]\n"), [];
    misspelt_across: with("expect: [{ metric: rate, of: users, across: average, at_least: 1/s }]\n"), [];
    unknown_link: with("events: [{ at: 1T, link: n1--s2, do: down }]\n"), [];
    link_killed: with("events: [{ at: 1T, link: n1--s1, do: kill }]\n"), [];
    node_down: with("events: [{ at: 1T, node: n1, do: down }]\n"), [];
    event_of_nothing: with("events: [{ at: 1T, do: down }]\n"), [];
    event_of_two_things: with("events: [{ at: 1T, node: n1, link: n1--s1, do: stop }]\n"), [];
    jitter_after_a_change: with("events: [{ at: 1T, link: n1--s1, set: { jitter: 9ms } }]\n"), [];
    table_in_an_event: with("events: [{ at: 1T, link: n1--s1, set: { distribution: table } }]\n"), [];
    one_group: with("events: [{ at: 1T, partition: [[n1, n2]] }]\n"), [];
    node_in_two_groups: with("events: [{ at: 1T, partition: [[n1, n2], [n2]] }]\n"), [];
    missing_reference: with("report: { reference: nowhere.csv }\n"), [];
}

fn recording_error(recording: &str) -> String {
    let text = with("").replace(STEADY, "trace: t.csv");
    let list = [
        ("run.yaml", text.as_str()),
        ("lab.yaml", LAB),
        ("t.csv", recording),
    ];
    rendered(&load_scenario("run.yaml", &files(&list), &[]).unwrap_err())
}

#[test]
fn recordings_that_are_none() {
    assert_snapshot!("recording_without_times", recording_error("when,size\n1,2\n"));
    assert_snapshot!("recording_of_nothing", recording_error("time\n"));
    assert_snapshot!("recording_with_a_hole", recording_error("size,time\n5,0\n7\n"));
    assert_snapshot!(
        "recording_that_goes_back",
        recording_error("time\n5ms\n5ms\n4ms\n")
    );
    assert_snapshot!("recording_with_a_bad_time", recording_error("time\nsoon\n"));
    assert_snapshot!("empty_recording", recording_error(""));
}

#[test]
fn an_error_in_the_topology_is_shown_there() {
    let lab = LAB.replace("endpoints: [n2, s1]", "endpoints: [n2, s2]");
    assert_snapshot!(rendered(&scenario(&with(""), &lab, &[]).unwrap_err()));
}
