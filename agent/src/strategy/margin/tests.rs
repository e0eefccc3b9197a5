use super::*;
use crate::strategy::{Answers, Peer};
use proptest::prelude::{any, prop, prop_assert, proptest};
use std::net::{IpAddr, Ipv4Addr};

const PERIOD: Duration = Duration::from_secs(5);
/// The original's defaults.
const THRESHOLDS: Usage = Usage {
    cpu: 120.0,
    ram: 5.5e9,
    power: 2.1e6,
};

fn settings(service: bool) -> MarginSettings {
    MarginSettings {
        node_type: NodeType::Mid,
        thresholds: THRESHOLDS,
        groups: Groups::default(),
        service,
    }
}

struct Around {
    peers: BTreeMap<NodeId, Peer>,
    functions: BTreeMap<FunctionName, u32>,
    rates: BTreeMap<FunctionName, f64>,
    answers: Answers,
}

impl Around {
    fn new(rates: &[(&str, f64)]) -> Self {
        Self {
            peers: BTreeMap::new(),
            functions: rates.iter().map(|(name, _)| ((*name).to_owned(), 10)).collect(),
            rates: rates
                .iter()
                .map(|(name, rate)| ((*name).to_owned(), *rate))
                .collect(),
            answers: Answers::default(),
        }
    }

    fn view(&self) -> View<'_> {
        View {
            now: Duration::ZERO,
            peers: &self.peers,
            functions: &self.functions,
            user_rates: &self.rates,
            answers: &self.answers,
        }
    }
}

/// A mid node that says this of itself.
fn hear(strategy: &mut Margin, peer: &str, functions: &[&str], margin: f64, load: Load) {
    let address = PeerAddress {
        host: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
        port: 80,
    };
    let word = Word::Node {
        node_type: 1,
        maxima: THRESHOLDS,
        functions: functions.iter().map(|name| (*name).to_owned()).collect(),
    };
    strategy.receive(Duration::ZERO, peer, Some(address), &word);
    strategy.receive(Duration::ZERO, peer, None, &Word::Margin { margin, load });
}

fn weights(strategy: &Margin, around: &Around, function: &str) -> (u32, Vec<u32>) {
    let routing = strategy.routing(&around.view());
    let peers = routing
        .weights
        .get(function)
        .map(|peers| peers.values().copied().collect());
    let own = routing.own.get(function).copied().unwrap_or_default();
    (own.local, peers.unwrap_or_default())
}

fn margin_of(words: &[Word]) -> Option<f64> {
    words.iter().find_map(|word| match word {
        Word::Margin { margin, .. } => Some(*margin),
        _ => None,
    })
}

#[test]
fn a_node_with_room_says_how_much_and_keeps_its_requests() {
    let around = Around::new(&[("figlet", 100.0)]);
    let mut strategy = Margin::new(settings(false), PERIOD, Compatibility::Ours);
    let words = strategy.step1(&around.view()).unwrap();
    assert_eq!(margin_of(&words), None, "to nobody");
    hear(&mut strategy, "n2", &["figlet"], 0.0, Load::default());
    hear(&mut strategy, "n3", &["figlet", "ocr"], 0.0, Load::default());
    let words = strategy.step1(&around.view()).unwrap();
    // 114.69 of 120 %, 4.591e9 of 5.5e9 B, 522137 of 2.1e6 µW: 67.97 % used, the rest for two.
    let margin = margin_of(&words).unwrap();
    assert!((margin - 16.01).abs() < 0.01, "{margin}");
    assert_eq!(weights(&strategy, &around, "figlet"), (100, vec![0, 0]));
    assert!(strategy.overloaded().is_empty());
    // A function that only a neighbour has goes to it.
    assert_eq!(weights(&strategy, &around, "ocr"), (0, vec![100]));
}

#[test]
fn an_overloaded_node_hands_over_just_enough() {
    let around = Around::new(&[("figlet", 200.0)]);
    let mut strategy = Margin::new(settings(false), PERIOD, Compatibility::Ours);
    hear(&mut strategy, "n2", &["figlet"], 50.0, Load::default());
    hear(&mut strategy, "n3", &["figlet"], 50.0, Load::default());
    let words = strategy.step1(&around.view()).unwrap();
    assert_eq!(margin_of(&words), Some(0.0));
    assert_eq!(strategy.overloaded(), BTreeSet::from(["figlet".to_owned()]));
    // 120 % of a mid node are 126.1 requests per second: eight portions of 10 leave 120.
    assert_eq!(weights(&strategy, &around, "figlet"), (60, vec![20, 20]));
}

#[test]
fn nobody_is_given_more_than_its_margin() {
    let around = Around::new(&[("figlet", 500.0)]);
    let mut strategy = Margin::new(settings(false), PERIOD, Compatibility::Ours);
    hear(&mut strategy, "n2", &["figlet"], 12.0, Load::default());
    hear(&mut strategy, "n3", &["figlet"], 0.0, Load::default());
    strategy.step1(&around.view()).unwrap();
    let (own, peers) = weights(&strategy, &around, "figlet");
    assert_eq!(peers[1], 0, "no margin, nothing");
    assert!(peers[0] > 0 && own > 50, "{own} {peers:?}");
    let taken = f64::from(peers[0]) / 100.0 * 500.0;
    let used = |low| {
        let load = Load {
            low,
            ..Load::default()
        };
        used_percent(BuiltInForecaster.forecast(NodeType::Mid, load), THRESHOLDS)
    };
    assert!(used(taken) - used(0.0) <= 12.0, "{taken}");
}

/// Handing over what the forecast does not see never relieves a node: the original does not end.
#[test]
fn ungrouped_functions_stay() {
    let around = Around::new(&[("figlet", 200.0), ("ocr", 50.0)]);
    for compatibility in [Compatibility::Ours, Compatibility::Upstream] {
        let mut strategy = Margin::new(settings(false), PERIOD, compatibility);
        hear(&mut strategy, "n2", &["ocr"], 50.0, Load::default());
        strategy.step1(&around.view()).unwrap();
        let (own, peers) = weights(&strategy, &around, "ocr");
        match compatibility {
            Compatibility::Ours => assert_eq!((own, peers), (100, vec![0])),
            Compatibility::Upstream => {
                assert_eq!((own, peers), (0, vec![100]), "bounded, but it hands over all")
            }
        }
    }
}

#[test]
fn the_originals_mix_up_of_rates() {
    let load = Load {
        high: 1.0,
        low: 20.0,
        medium: 3.0,
    };
    for (compatibility, expected) in [
        (Compatibility::Ours, load),
        (
            Compatibility::Upstream,
            Load {
                high: 1.0,
                low: 0.0,
                medium: 20.0,
            },
        ),
    ] {
        let mut strategy = Margin::new(settings(false), PERIOD, compatibility);
        hear(&mut strategy, "n2", &["figlet"], 50.0, load);
        assert_eq!(strategy.table.get("n2").unwrap().known.load, expected);
    }
}

#[test]
fn a_margin_without_a_node_is_nothing() {
    let mut strategy = Margin::new(settings(false), PERIOD, Compatibility::Ours);
    let margin = Word::Margin {
        margin: 5.0,
        load: Load::default(),
    };
    assert_eq!(
        strategy.receive(Duration::ZERO, "n2", None, &margin),
        Reception::NotForUs
    );
    hear(&mut strategy, "n2", &["figlet"], 5.0, Load::default());
    strategy.purge(PERIOD * 2 + Duration::from_millis(1));
    assert_eq!(
        strategy.receive(PERIOD * 3, "n2", None, &margin),
        Reception::NotForUs,
        "after it was forgotten"
    );
}

/// With a service, the step asks until it knows enough, and decides as with the same forecasts built in.
#[test]
fn a_service_answers_what_the_table_would() {
    let mut around = Around::new(&[("figlet", 200.0), ("shasum", 30.0)]);
    let mut built_in = Margin::new(settings(false), PERIOD, Compatibility::Ours);
    let mut asking = Margin::new(settings(true), PERIOD, Compatibility::Ours);
    for strategy in [&mut built_in, &mut asking] {
        hear(strategy, "n2", &["figlet", "shasum"], 50.0, Load::default());
        hear(strategy, "n3", &["figlet"], 20.0, Load::default());
    }
    let expected = built_in.step1(&around.view()).unwrap();
    let mut rounds = 0;
    let words = loop {
        match asking.step1(&around.view()) {
            Ok(words) => break words,
            Err(Need::Forecasts(questions)) => {
                rounds += 1;
                assert!(rounds < 100 && !questions.is_empty());
                for question in questions {
                    let node_type = NodeType::from_number(question.node_type).unwrap();
                    let usage = BuiltInForecaster.forecast(node_type, question.load());
                    around.answers.forecasts.insert(question, usage);
                }
            }
            Err(need) => panic!("{need:?}"),
        }
    };
    assert_eq!(words, expected);
    for function in ["figlet", "shasum"] {
        assert_eq!(
            weights(&asking, &around, function),
            weights(&built_in, &around, function)
        );
    }
}

proptest! {
    /// Whatever is asked and said, a local function's weights are percentages, and a margin is one too.
    #[test]
    fn weights_and_margins_stay_within_bounds(
        rates in prop::collection::btree_map("figlet|nmap|curl|ocr", any::<f64>(), 0..4),
        said in prop::collection::vec(
            (prop::collection::vec(prop::sample::select(vec!["figlet", "nmap", "curl", "ocr", "other"]), 0..5), any::<[f64; 7]>(), -1i64..4),
            0..6,
        ),
        thresholds: [f64; 3],
        original: bool,
    ) {
        let compatibility = if original { Compatibility::Upstream } else { Compatibility::Ours };
        let [cpu, ram, power] = thresholds.map(f64::abs);
        let own = MarginSettings { thresholds: Usage { cpu, ram, power }, ..settings(false) };
        let mut strategy = Margin::new(own, PERIOD, compatibility);
        let rates: Vec<(&str, f64)> = rates.iter().map(|(name, rate)| (name.as_str(), *rate)).collect();
        let around = Around::new(&rates);
        for (place, (functions, [margin, high, low, medium, cpu, ram, power], node_type)) in said.into_iter().enumerate() {
            let name = format!("n{place}");
            hear(&mut strategy, &name, &functions, margin, Load { high, low, medium });
            let address = Some(PeerAddress { host: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 80 });
            let word = Word::Node {
                node_type,
                maxima: Usage { cpu, ram, power },
                functions: functions.iter().map(|name| (*name).to_owned()).collect(),
            };
            strategy.receive(Duration::ZERO, &name, address, &word);
        }
        let words = strategy.step1(&around.view()).unwrap();
        if let Some(margin) = margin_of(&words) {
            prop_assert!((0.0..=100.0).contains(&margin), "{}", margin);
        }
        for function in around.functions.keys() {
            let (own, peers) = weights(&strategy, &around, function);
            let sum = own + peers.iter().sum::<u32>();
            // The original rounds each by itself.
            let slack = if original { 6 } else { 0 };
            prop_assert!(sum.abs_diff(100) <= slack, "{} {:?}", own, peers);
        }
    }
}

#[test]
fn thousands_of_peers_are_refused() {
    let mut strategy = Margin::new(settings(false), PERIOD, Compatibility::Ours);
    let load = Load {
        high: 0.0,
        low: 1.0,
        medium: 0.0,
    };
    for number in 0..2000 {
        hear(&mut strategy, &format!("p{number:04}"), &["figlet"], 1e300, load);
    }
    assert_eq!(strategy.table().len(), Table::<()>::MOST);
    let around = Around::new(&[("figlet", 1e12)]);
    strategy.step1(&around.view()).unwrap();
    let (own, peers) = weights(&strategy, &around, "figlet");
    assert_eq!(own + peers.iter().sum::<u32>(), 100, "{own} {peers:?}");
}
