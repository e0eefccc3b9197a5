//! Experiments for the tests.

use std::time::Duration;

use dfaas_model::{
    Arrivals, Bound, Cell, Expectation, Experiment, Flow, Loader, Metric, Repetition, Topology, load_topology,
};
use indexmap::IndexMap;

const TOPOLOGY: &str = "
name: fake
nodes:
  n1: { kind: dfaas }
  n2: { kind: dfaas }
  s1: { kind: switch }
  user1: { kind: client }
  user2: { kind: client }
links:
  - { endpoints: [n1, s1] }
  - { endpoints: [n2, s1] }
  - { endpoints: [user1, s1] }
  - { endpoints: [user2, s1] }
";

struct OneFile;

impl Loader for OneFile {
    fn load(&self, _: &str) -> Result<String, String> {
        Ok(TOPOLOGY.to_owned())
    }
}

/// Two nodes and two clients; the lab is called `fake`.
pub(crate) fn topology() -> Topology {
    load_topology("fake.yaml", &OneFile, &[]).unwrap()
}

/// Requests from `from` to n1, from t = 0 on.
pub(crate) fn flow(name: &str, from: &str, port: u16, per_second: f64, duration: Duration) -> Flow {
    Flow {
        name: name.to_owned(),
        from: from.to_owned(),
        to: "n1".to_owned(),
        function: "figlet".to_owned(),
        method: "POST".to_owned(),
        path: "/function/figlet".to_owned(),
        port,
        body: b"Hello DFaaS world!".to_vec(),
        headers: IndexMap::new(),
        start: Duration::ZERO,
        duration,
        arrivals: Arrivals::Constant { per_second },
        timeout: Duration::from_secs(2),
    }
}

/// An expectation about the flow `users` over its whole time.
pub(crate) fn expectation(metric: Metric, bound: Bound) -> Expectation {
    Expectation {
        metric,
        of: "users".to_owned(),
        node: None,
        status: None,
        statistic: None,
        from: Duration::ZERO,
        to: None,
        bound,
        of_mean: false,
        text: format!("{metric} of users"),
    }
}

/// One cell with one repetition.
pub(crate) fn experiment(flows: Vec<Flow>, expectations: Vec<Expectation>) -> Experiment {
    let duration = flows
        .iter()
        .map(|flow| flow.start + flow.duration)
        .max()
        .unwrap_or_default();
    let cell = Cell {
        params: IndexMap::from([("T".to_owned(), "500ms".to_owned())]),
        repetitions: vec![Repetition {
            seed: 11,
            topology: topology(),
        }],
        recalc_period: Duration::from_millis(500),
        flows,
        events: Vec::new(),
        expectations,
        warmup: Duration::ZERO,
        duration,
    };
    Experiment {
        name: "fake-scenario".to_owned(),
        title: "A fake".to_owned(),
        seed: 7,
        repeat: 1,
        reference: None,
        cells: vec![cell],
        sources: vec![(
            "fake-scenario.yaml".to_owned(),
            "topology: fake.yaml\n".to_owned(),
        )],
    }
}
