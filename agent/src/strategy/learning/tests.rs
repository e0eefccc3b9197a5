use super::*;
use crate::strategy::{Answers, NodeId, Peer};
use crate::strategy::{PeerAddress, Strategy};
use proptest::prelude::{any, prop, prop_assert_eq, proptest};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

struct Around {
    now: Duration,
    peers: BTreeMap<NodeId, Peer>,
    functions: BTreeMap<FunctionName, u32>,
    rates: BTreeMap<FunctionName, f64>,
    answers: Answers,
}

impl Around {
    fn new(functions: &[&str]) -> Self {
        Self {
            now: Duration::ZERO,
            peers: BTreeMap::new(),
            functions: functions.iter().map(|name| ((*name).to_owned(), 10)).collect(),
            rates: BTreeMap::new(),
            answers: Answers::default(),
        }
    }

    fn view(&self) -> View<'_> {
        View {
            now: self.now,
            peers: &self.peers,
            functions: &self.functions,
            user_rates: &self.rates,
            answers: &self.answers,
        }
    }

    /// A second later, in this stage, after this many users' requests of every function so far, a tenth of them
    /// without success.
    fn observe(&mut self, second: u64, stage: Option<u32>, requests: u64) {
        self.now = Duration::from_secs(second);
        let server = ServerSample {
            requests,
            succeeded: requests * 9 / 10,
            milliseconds: 12.0,
        };
        let sample = FunctionSample {
            local: server,
            peers: BTreeMap::from([("n2".to_owned(), server)]),
            requests,
            replicas: 2,
        };
        self.answers = Answers {
            observed: Some(Observed {
                at: self.now,
                stage,
                processor: (second * 25, second * 100),
                functions: self
                    .functions
                    .keys()
                    .map(|name| (name.clone(), sample.clone()))
                    .collect(),
            }),
            ..Answers::default()
        };
    }

    /// Takes a step, answering with this action; what the model was asked.
    fn step(&mut self, strategy: &mut Learning, action: &Action) -> Vec<(FunctionName, Value)> {
        match strategy.step1(&self.view()) {
            Ok(_) => Vec::new(),
            Err(Need::Actions(questions)) => {
                let actions = questions
                    .iter()
                    .map(|(function, _)| (function.clone(), action.clone()));
                self.answers.actions = actions.collect();
                strategy.step1(&self.view()).unwrap();
                questions
            }
            Err(need) => panic!("{need:?}"),
        }
    }
}

fn strategy(compatibility: Compatibility) -> Learning {
    let mut strategy = Learning::new(LearningSettings {
        own_id: "n1".to_owned(),
        explore: false,
        period: Duration::from_secs(5),
        port: 80,
        compatibility,
    });
    let address = PeerAddress {
        host: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
        port: 80,
    };
    let functions = ["f", "g"].map(str::to_owned).into();
    strategy.receive(
        Duration::from_secs(1000),
        "n2",
        Some(address),
        &Word::Functions(functions),
    );
    strategy
}

fn action() -> Action {
    Action {
        local: 0.5,
        reject: 0.125,
        peers: BTreeMap::from([("n2".to_owned(), 0.375)]),
    }
}

fn weights(strategy: &Learning, around: &Around) -> (u32, u32, u32) {
    let routing = strategy.routing(&around.view());
    let own = routing.own["f"];
    (
        own.local,
        own.reject,
        routing.weights["f"].get("n2").copied().unwrap_or(0),
    )
}

#[test]
fn a_reading_comes_first() {
    let mut strategy = strategy(Compatibility::Ours);
    assert_eq!(
        strategy.step1(&Around::new(&["f"]).view()),
        Err(Need::Observation)
    );
}

/// Stages 0 and 1 serve here, 2 and 3 ask the model once; a run begins with the former.
#[test]
fn the_load_generators_stages() {
    let mut around = Around::new(&["f"]);
    let mut strategy = strategy(Compatibility::Ours);
    let mut asked = Vec::new();
    let mut seen = Vec::new();
    for (second, stage) in (10..).zip([2, 3, 0, 1, 2, 3, 4, 5, 6]) {
        around.observe(second, Some(stage), (second - 10) * 20);
        let questions = around.step(&mut strategy, &action());
        if !questions.is_empty() {
            asked.push((stage, questions));
        }
        seen.push(weights(&strategy, &around));
    }
    let (here, shared) = ((100, 0, 0), (50, 13, 37));
    assert_eq!(seen, [here, here, here, here, shared, shared, here, here, shared]);
    assert_eq!(asked.iter().map(|(stage, _)| *stage).collect::<Vec<_>>(), [2, 6]);

    // The first time: a window since stage 0 began, nothing before it.
    let (_, first) = &asked[0].1[0];
    let node = &first["observation"]["node_n1"];
    assert_eq!(node["input_rate"], 20.0);
    assert_eq!(node["reject_rate"], 0.1);
    assert_eq!(node["avg_resp_time_loc"], 12.0);
    assert_eq!(node["cpu_utilization"], 0.25);
    assert_eq!(node["n_replicas"], 2.0);
    assert_eq!(
        (&node["previous_input_rate"], &node["previous_n_replicas"]),
        (&0.0.into(), &1.0.into())
    );
    assert_eq!(node["previous_fwd_to_node_n2"], 0.0);
    assert_eq!(first["agent_parameters"], serde_json::json!({"explore": false}));
    // Then: between the model's action and the return to serving here.
    let (_, second) = &asked[1].1[0];
    let node = &second["observation"]["node_n1"];
    assert_eq!(node["previous_input_rate"], 20.0);
    assert_eq!(node["previous_fwd_to_node_n2"], 20.0);
    assert_eq!(node["previous_fwd_to_node_n2_rejected"], 2.0);
    assert_eq!(node["previous_avg_resp_time_fwd_to_node_n2"], 12.0);
}

#[test]
fn without_stages_the_model_is_asked_once_a_period_for_every_function() {
    let mut around = Around::new(&["f", "g"]);
    let mut strategy = strategy(Compatibility::Ours);
    let mut asked = Vec::new();
    for second in 0..12 {
        around.observe(second, None, second * 20);
        let questions = around.step(&mut strategy, &action());
        if !questions.is_empty() {
            let names: Vec<&str> = questions.iter().map(|(function, _)| function.as_str()).collect();
            assert_eq!(names, ["f", "g"]);
            assert_eq!(questions[1].1["agent_parameters"]["function"], "g");
            asked.push(second);
        }
    }
    assert_eq!(asked, [0, 5, 10]);
    assert_eq!(weights(&strategy, &around), (50, 13, 37));
}

#[test]
fn the_original_rounds_and_says_nothing() {
    let mut around = Around::new(&["f"]);
    let mut strategy = strategy(Compatibility::Upstream);
    around.observe(1, None, 0);
    around.step(&mut strategy, &action());
    assert_eq!(weights(&strategy, &around), (50, 13, 38));
    around.observe(20, None, 0);
    around.answers.actions = BTreeMap::from([("f".to_owned(), action())]);
    assert!(strategy.step1(&around.view()).unwrap().is_empty());
}

proptest! {
    #[test]
    fn weights_are_percentages_whatever_the_model_says(
        local: f64, reject: f64, peer: f64, readings in prop::collection::vec((any::<u64>(), any::<u64>(), any::<Option<u32>>()), 1..8),
    ) {
        let mut around = Around::new(&["f"]);
        let mut strategy = strategy(Compatibility::Ours);
        let action = Action { local, reject, peers: BTreeMap::from([("n2".to_owned(), peer)]) };
        for (second, requests, stage) in readings {
            around.observe(second % 1_000_000, stage, requests % (u64::MAX / 9));
            around.step(&mut strategy, &action);
            let (local, reject, peer) = weights(&strategy, &around);
            let sum = local + reject + peer;
            let positive = |part: f64| part.is_finite() && part > 0.0;
            let some = positive(action.local) || positive(action.reject) || positive(action.peers["n2"]);
            if some {
                // The peer may have been forgotten meanwhile, with its part.
                prop_assert_eq!(sum.min(100), sum);
            }
        }
    }
}
