//! What scenarios mean.

use std::time::Duration;

use dfaas_model::{Arrivals, Bound, EventAction, Experiment, Metric, NodeAction, RateStage, Statistic};

use crate::common::{rendered, scenario};

const LAB: &str = "seed: 5
nodes:
  n1: { kind: dfaas, functions: { figlet: {} } }
  n2: { kind: dfaas, functions: { figlet: {} }, agent: { recalc_period: 20s } }
  user1: { kind: client }
  s1: { kind: switch }
links:
  - { endpoints: [n1, s1], delay: 5ms }
  - { endpoints: [n2, s1] }
  - { endpoints: [user1, s1] }
";

const RUN: &str = r#"
topology: lab.yaml
params: { T: 5s, R: 50/s, least: 99%, whom: n1, length: 8T }
set: { defaults.dfaas.agent.recalc_period: T, nodes.n2.agent.recalc_period: 2T, nodes.n1.cpus: 0.5 }
repeat: 3
warmup: 1T
load:
  - { name: users, from: user1, to: whom, function: figlet, body: "T", rate: R, start: 0.5T, duration: length }
  - { from: user1, to: n2, function: figlet, rate: 1/s, duration: 40s, timeout: 2s, port: 8080, path: "/function/figlet?q", method: PUT, headers: { X-Id: 7 } }
events:
  - { at: 6T, node: n2, do: kill, for: 1T }
  - { at: 3T, link: s1--n1, set: { delay: 200ms, backward: { loss: 1% } } }
  - { at: 4T, partition: [[n1, user1], [n2]], for: 1T }
  - { at: 7T, link: n2--s1, do: down }
expect:
  - { metric: success_rate, of: users, at_least: least }
  - { metric: served_by, of: users, node: n2, from: 3T, to: 6T, between: [15/s, 17/s] }
  - { metric: latency, of: users, statistic: p99.9, at_most: 0.2T }
  - { metric: responses, of: user1-n2, status: 503, at_most: 0.5/s }
report: { title: A title }
"#;

fn run(overrides: &[&str]) -> Experiment {
    scenario(RUN, LAB, overrides).unwrap_or_else(|error| panic!("{}", rendered(&error)))
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn times_are_multiples_of_parameters() {
    let cell = &run(&[]).cells[0];
    assert_eq!(
        (cell.flows[0].start, cell.flows[0].duration),
        (Duration::from_millis(2500), 40 * SECOND)
    );
    assert_eq!(cell.warmup, 5 * SECOND);
    assert_eq!(cell.recalc_period, 10 * SECOND);
    assert_eq!(cell.duration, Duration::from_millis(42_500));
    assert_eq!(
        cell.repetitions[0].topology.nodes["n1"].agent.env["AGENT_RECALC_PERIOD"],
        "5s"
    );
    assert_eq!(
        cell.repetitions[0].topology.nodes["n2"].agent.env["AGENT_RECALC_PERIOD"],
        "10s"
    );
    let longer = &run(&["T=10s"]).cells[0];
    assert_eq!(
        (longer.flows[0].start, longer.flows[0].duration),
        (5 * SECOND, 80 * SECOND)
    );
    assert_eq!(longer.expectations[1].from, 30 * SECOND);
}

#[test]
fn flows_say_what_is_sent() {
    let cell = &run(&[]).cells[0];
    let [first, second] = cell.flows.as_slice() else {
        panic!()
    };
    assert_eq!(
        (first.to.as_str(), first.method.as_str(), first.path.as_str()),
        ("n1", "POST", "/function/figlet")
    );
    assert_eq!(
        (first.body.as_slice(), first.port, first.timeout),
        (b"T".as_slice(), 80, 10 * SECOND)
    );
    assert_eq!(
        (second.name.as_str(), second.method.as_str(), second.port),
        ("user1-n2", "PUT", 8080)
    );
    assert_eq!(
        (second.path.as_str(), second.headers["X-Id"].as_str()),
        ("/function/figlet?q", "7")
    );
    assert!(second.body.is_empty());
}

#[test]
fn events_come_in_the_order_of_time() {
    let events = &run(&[]).cells[0].events;
    let times: Vec<u64> = events.iter().map(|event| event.at.as_secs()).collect();
    assert_eq!(times, [15, 20, 30, 35]);
    let EventAction::SetLink {
        link,
        forward,
        backward,
    } = &events[0].action
    else {
        panic!()
    };
    assert_eq!(link, "n1--s1");
    assert_eq!(
        (forward.delay, forward.loss),
        (Some(Duration::from_millis(200)), None)
    );
    assert_eq!(
        (backward.delay, backward.loss),
        (Some(Duration::from_millis(200)), Some(0.01))
    );
    assert_eq!(events[1].duration, Some(5 * SECOND));
    assert_eq!(
        events[2].action,
        EventAction::Node {
            node: "n2".to_owned(),
            action: NodeAction::Kill
        }
    );
    assert_eq!(
        events[3].action,
        EventAction::RaiseLink {
            link: "n2--s1".to_owned(),
            up: false
        }
    );
}

#[test]
fn expectations_have_absolute_windows_and_bounds_in_the_metric_s_unit() {
    let expectations = &run(&[]).cells[0].expectations;
    let [success, served, latency, refused] = expectations.as_slice() else {
        panic!()
    };
    assert_eq!(success.bound, Bound::AtLeast(99.0));
    assert_eq!(
        (success.from, success.to),
        (5 * SECOND, Some(Duration::from_millis(42_500))),
        "not before the warm-up"
    );
    assert_eq!(
        (served.metric, served.bound),
        (Metric::ServedBy, Bound::Between(15.0, 17.0))
    );
    assert_eq!(
        served.text,
        "served_by n2 of users from 3T to 6T between 15/s and 17/s"
    );
    assert_eq!(
        (latency.statistic, latency.bound),
        (Some(Statistic::P999), Bound::AtMost(1000.0))
    );
    assert_eq!((refused.status, refused.of.as_str()), (Some(503), "user1-n2"));
    assert_eq!(success.text, "success_rate of users at least 99%");
}

#[test]
fn every_repetition_has_its_seed_and_its_lab() {
    let experiment = run(&[]);
    assert_eq!(
        (experiment.seed, experiment.repeat),
        (5, 3),
        "the topology's seed when the scenario has none"
    );
    let repetitions = &experiment.cells[0].repetitions;
    let seeds: std::collections::HashSet<u64> =
        repetitions.iter().map(|repetition| repetition.seed).collect();
    assert_eq!(seeds.len(), 3);
    assert!(
        repetitions
            .iter()
            .all(|repetition| repetition.topology.seed == repetition.seed)
    );
    assert_eq!(run(&[]), experiment);
    let other = run(&["seed=6", "repeat=1"]);
    assert_eq!((other.seed, other.repeat), (6, 1));
    assert_ne!(other.cells[0].repetitions[0].seed, repetitions[0].seed);
}

#[test]
fn a_matrix_has_a_cell_per_combination() {
    let text = format!("{RUN}matrix: {{ R: [10/s, 20/s], nodes.n1.cpus: [0.5, 1], T: [1s, 2s] }}\n");
    let experiment = scenario(&text, LAB, &["T=4s"]).unwrap_or_else(|error| panic!("{}", rendered(&error)));
    let cells: Vec<String> = experiment
        .cells
        .iter()
        .map(|cell| {
            let cpus = cell.repetitions[0].topology.nodes["n1"].limits.cpus.unwrap();
            format!(
                "{} {} {} {cpus}",
                cell.params["R"], cell.params["nodes.n1.cpus"], cell.params["T"]
            )
        })
        .collect();
    // An override pins its axis; an axis wins over `set:`.
    assert_eq!(
        cells,
        ["10/s 0.5 4s 0.5", "10/s 1 4s 1", "20/s 0.5 4s 0.5", "20/s 1 4s 1"]
    );
    let seeds: std::collections::HashSet<u64> = experiment
        .cells
        .iter()
        .flat_map(|cell| &cell.repetitions)
        .map(|repetition| repetition.seed)
        .collect();
    assert_eq!(seeds.len(), 12);
}

#[test]
fn overrides_reach_the_scenario_and_the_topology() {
    let experiment = run(&[
        "load.users.rate=7/s",
        "report.title=Other",
        "nodes.n1.cpus=2",
        "warmup=0s",
    ]);
    assert_eq!(experiment.title, "Other");
    let cell = &experiment.cells[0];
    assert_eq!(cell.flows[0].arrivals, Arrivals::Constant { per_second: 7.0 });
    assert_eq!(cell.warmup, Duration::ZERO);
    assert_eq!(
        cell.repetitions[0].topology.nodes["n1"].limits.cpus,
        Some(2.0),
        "wins over `set:`"
    );
}

#[test]
fn the_sources_are_kept_under_distinct_names() {
    let files = crate::common::files(&[
        (
            "s/run.yaml",
            "topology: ../t/run.yaml\nload: [{ from: a, to: n, function: f, rate: 1/s, duration: 1s }]\n",
        ),
        (
            "t/run.yaml",
            "include: more/run.yaml\nnodes:\n  n: { kind: dfaas, functions: { f: {} } }\nlinks:\n  - endpoints: [a, n]\n",
        ),
        ("t/more/run.yaml", "nodes:\n  a: { kind: client }\n"),
    ]);
    let experiment = dfaas_model::load_scenario("s/run.yaml", &files, &crate::common::set(&["repeat=2"]))
        .unwrap_or_else(|error| panic!("{}", rendered(&error)));
    assert_eq!(
        (experiment.name.as_str(), experiment.title.as_str()),
        ("run", "run")
    );
    let names: Vec<&str> = experiment.sources.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["run.yaml", "2-run.yaml", "3-run.yaml"]);
    assert!(experiment.sources[2].1.contains("kind: client"));
}

#[test]
fn load_may_cross_routers_but_not_hosts() {
    let lab = |kind: &str| {
        format!(
            "nodes:\n  n: {{ kind: dfaas, functions: {{ f: {{}} }} }}\n  m: {{ kind: {kind} }}\n  a: {{ kind: client }}\n\
             links:\n  - endpoints: [a, m]\n  - endpoints: [m, n]\n"
        )
    };
    let text = "topology: lab.yaml\nload: [{ from: a, to: n, function: f, rate: 1/s, duration: 1s }]\n";
    assert!(scenario(text, &lab("router"), &[]).is_ok());
    assert!(scenario(text, &lab("switch"), &[]).is_ok());
    let error = scenario(text, &lab("host"), &[]).unwrap_err();
    assert_eq!(error.to_string(), "`a` cannot reach `n` through the network");
}

#[test]
fn a_node_is_reached_at_the_address_it_is_known_by() {
    // n is known by its address on the link to the lonely h, where no router leads.
    let lab = |first: &str, second: &str| {
        format!(
            "nodes:\n  n: {{ kind: dfaas, functions: {{ f: {{}} }} }}\n  h: {{ kind: host }}\n  r: {{ kind: router }}\n  \
             a: {{ kind: client }}\nlinks:\n  - endpoints: [n, {first}]\n  - endpoints: [n, {second}]\n  - endpoints: [a, r]\n"
        )
    };
    let text = "topology: lab.yaml\nload: [{ from: a, to: n, function: f, rate: 1/s, duration: 1s }]\n";
    assert!(scenario(text, &lab("r", "h"), &[]).is_ok());
    assert!(scenario(text, &lab("h", "r"), &[]).is_err());
}

#[test]
fn an_experiment_survives_json() {
    let experiment = run(&[]);
    let text = serde_json::to_string(&experiment).unwrap();
    assert_eq!(serde_json::from_str::<Experiment>(&text).unwrap(), experiment);
}

#[test]
fn a_bound_does_not_hold_for_what_could_not_be_measured() {
    assert!(Bound::Between(1.0, 2.0).holds(2.0));
    assert!(!Bound::AtLeast(0.0).holds(f64::NAN));
    assert!(!Bound::AtMost(0.0).holds(f64::NAN));
    assert!(!Bound::Between(0.0, 1.0).holds(f64::NAN));
}

fn arrivals(load: &str) -> (Arrivals, Duration) {
    let text = format!(
        "topology: lab.yaml\nparams: {{ T: 5s, R: 20/s }}\nload:\n  - {{ from: user1, to: n1, function: figlet, {load} }}\n"
    );
    let files = crate::common::files(&[
        ("s/run.yaml", text.replace("lab.yaml", "../lab.yaml").as_str()),
        ("lab.yaml", LAB),
        (
            "s/requests.csv",
            "id,Time\n# of one minute\na,1500\nb,1500\n\nc,2.5s\nd,4200\n",
        ),
    ]);
    let mut experiment = dfaas_model::load_scenario("s/run.yaml", &files, &[])
        .unwrap_or_else(|error| panic!("{}", rendered(&error)));
    assert!(load.contains("trace") == experiment.sources.iter().any(|(name, _)| name == "requests.csv"));
    let flow = experiment.cells[0].flows.remove(0);
    (flow.arrivals, flow.duration)
}

#[test]
fn requests_may_be_independent_of_each_other() {
    assert_eq!(
        arrivals("rate: R, arrivals: poisson, duration: 2T"),
        (Arrivals::Poisson { per_second: 20.0 }, 10 * SECOND)
    );
    assert_eq!(
        arrivals("rate: R, arrivals: constant, duration: 2T"),
        (Arrivals::Constant { per_second: 20.0 }, 10 * SECOND)
    );
}

#[test]
fn a_rate_may_change_in_stages() {
    let stage = |from, to, duration| RateStage { from, to, duration };
    let stages =
        "stages: [{ rate: R, duration: 1T }, { rate: 8/s, duration: 0s }, { rate: 8/s, duration: 3s }]";
    let expected = |from, poisson| Arrivals::Stages {
        stages: vec![
            stage(from, 20.0, 5 * SECOND),
            stage(20.0, 8.0, Duration::ZERO),
            stage(8.0, 8.0, 3 * SECOND),
        ],
        poisson,
    };
    assert_eq!(arrivals(stages), (expected(0.0, false), 8 * SECOND));
    assert_eq!(
        arrivals(&format!("rate: 2/s, arrivals: poisson, {stages}")),
        (expected(2.0, true), 8 * SECOND)
    );
}

#[test]
fn requests_may_follow_a_recording() {
    let times: Vec<Duration> = [0, 0, 1_000, 2_700].map(Duration::from_millis).into();
    let expected = |seconds| {
        let times = times.clone().into();
        (Arrivals::Trace { times }, Duration::from_secs(seconds))
    };
    assert_eq!(arrivals("trace: requests.csv"), expected(3));
    assert_eq!(arrivals("trace: requests.csv, duration: 2s"), expected(2));
}
