use super::*;
use std::net::{IpAddr, Ipv4Addr};

const PERIOD: Duration = Duration::from_secs(60);

/// Nodes that hear each other at once, as far as they are connected.
struct Federation {
    nodes: Vec<Node>,
    now: Duration,
}

struct Node {
    name: &'static str,
    strategy: Recalc,
    functions: BTreeMap<FunctionName, u32>,
    rates: BTreeMap<FunctionName, f64>,
}

fn address(last: u8) -> PeerAddress {
    PeerAddress {
        host: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
        port: 80,
    }
}

fn one(name: &str, value: u32) -> BTreeMap<FunctionName, u32> {
    BTreeMap::from([(name.to_owned(), value)])
}

impl Federation {
    /// The published experiments: three nodes, one function, 10, 20 and 30 requests per second.
    fn published(compatibility: Compatibility) -> Self {
        let node = |(name, maximum)| Node {
            name,
            strategy: Recalc::new(name.to_owned(), PERIOD, compatibility),
            functions: one("funca", maximum),
            rates: BTreeMap::new(),
        };
        Self {
            nodes: [("n1", 10), ("n2", 20), ("n3", 30)].map(node).into(),
            now: Duration::ZERO,
        }
    }

    fn rates(&mut self, rates: [f64; 3]) {
        for (node, rate) in self.nodes.iter_mut().zip(rates) {
            node.rates = BTreeMap::from([("funca".to_owned(), rate)]);
        }
    }

    /// Step 1 of every node at the same instant, then the messages, then step 2.
    fn period(&mut self) {
        let everyone: BTreeSet<NodeId> = self.nodes.iter().map(|node| node.name.to_owned()).collect();
        let mut messages = Vec::new();
        for node in &mut self.nodes {
            let mut peers = everyone.clone();
            peers.remove(node.name);
            let inputs = Step1Inputs {
                peers: &peers,
                functions: &node.functions,
                user_rates: &node.rates,
            };
            messages.push((node.name, node.strategy.divide(self.now, inputs).offers));
        }
        for (sender, offers) in &messages {
            let number = sender[1..].parse().unwrap();
            for node in self.nodes.iter_mut().filter(|node| node.name != *sender) {
                node.strategy.hear(self.now, sender, address(number), offers);
            }
        }
        for node in &mut self.nodes {
            node.strategy.weigh(self.now + PERIOD / 2, &BTreeMap::new());
        }
        self.now += PERIOD;
    }

    /// LimitIn, LimitOut and weight that node `at` (from 1) has for `peer`, as in a line of the published logs.
    fn line(&self, at: usize, peer: &str) -> (u32, f64, u32) {
        let share = self.nodes[at - 1].strategy.peers().get(peer).unwrap().known["funca"];
        (share.limit_in, share.limit_out, share.weight)
    }
}

/// Figure of the paper and "scenario 0": node 1 is asked for 49/s, the others for nothing.
#[test]
fn overload_at_one_node_as_published() {
    for compatibility in [Compatibility::Ours, Compatibility::Upstream] {
        let mut federation = Federation::published(compatibility);
        federation.period();
        federation.period();
        assert_eq!(federation.line(1, "n2"), (5, 10.0, 0));
        assert_eq!(federation.line(1, "n3"), (5, 15.0, 0));
        assert_eq!(federation.line(2, "n1"), (10, 5.0, 0));
        assert_eq!(federation.line(3, "n2"), (15, 10.0, 0));
        federation.rates([48.77, 0.0, 0.0]);
        federation.period();
        assert_eq!(federation.line(1, "n2"), (0, 10.0, 40));
        assert_eq!(federation.line(1, "n3"), (0, 15.0, 60));
        assert_eq!(federation.line(2, "n1"), (10, 0.0, 0));
        assert_eq!(federation.line(3, "n1"), (15, 0.0, 0));
        // It is over: nothing is forwarded any more.
        federation.rates([3.0, 0.0, 0.0]);
        federation.period();
        assert_eq!(federation.line(1, "n2"), (3, 10.0, 0));
        assert_eq!(federation.line(2, "n1"), (10, 3.0, 0));
    }
}

/// "Scenario 1": node 2 has users of its own, so its offer is floor((20 - 9) / 2) = 5.
#[test]
fn a_peer_with_users_of_its_own_offers_less_as_published() {
    let mut federation = Federation::published(Compatibility::Upstream);
    federation.rates([0.0, 4.2, 0.0]);
    federation.period();
    federation.period();
    assert_eq!(federation.line(2, "n1"), (8, 5.0, 0));
    assert_eq!(federation.line(1, "n2"), (5, 8.0, 0));
    federation.rates([49.2, 9.53, 0.0]);
    federation.period();
    assert_eq!(federation.line(2, "n1"), (5, 0.0, 0));
    assert_eq!(federation.line(1, "n2"), (0, 5.0, 25));
    assert_eq!(federation.line(1, "n3"), (0, 15.0, 75));
}

/// "Scenario 3": everybody is overloaded, nobody offers anything.
#[test]
fn overload_everywhere_as_published() {
    let mut federation = Federation::published(Compatibility::Upstream);
    federation.period();
    federation.rates([49.0, 48.0, 48.0]);
    federation.period();
    for (at, peers) in [(1, ["n2", "n3"]), (2, ["n1", "n3"]), (3, ["n1", "n2"])] {
        for peer in peers {
            assert_eq!(federation.line(at, peer), (0, 0.0, 0), "n{at} about {peer}");
        }
    }
}

/// The first period: the original offers zeros to peers that have not spoken yet, ours real limits.
#[test]
fn a_silent_peer_gets_a_limit_at_once() {
    for (compatibility, offered) in [(Compatibility::Ours, 10.0), (Compatibility::Upstream, 0.0)] {
        let mut federation = Federation::published(compatibility);
        federation.period();
        assert_eq!(federation.line(1, "n2").1, offered, "{compatibility:?}");
        assert_eq!(
            f64::from(federation.line(2, "n1").0),
            offered,
            "{compatibility:?}"
        );
    }
}

/// Overload, by the way it is defined, begins at the maximum itself.
#[test]
fn a_rate_equal_to_the_maximum_is_overload() {
    let mut strategy = Recalc::new("n1".to_owned(), PERIOD, Compatibility::Ours);
    for (rate, overloaded) in [(9.99, false), (10.0, true)] {
        let inputs = Step1Inputs {
            peers: &BTreeSet::new(),
            functions: &one("f", 10),
            user_rates: &BTreeMap::from([("f".to_owned(), rate)]),
        };
        assert_eq!(
            strategy.divide(Duration::ZERO, inputs).overloaded.contains("f"),
            overloaded
        );
    }
}

#[test]
fn different_function_sets_do_not_ping_pong() {
    let mut federation = Federation::published(Compatibility::Ours);
    federation.nodes[1].functions.insert("ocr".to_owned(), 8);
    for _ in 0..3 {
        federation.period();
        let strategy = &federation.nodes[0].strategy;
        let named = &strategy.peers().get("n2").unwrap().known;
        assert_eq!(named.keys().collect::<Vec<_>>(), ["funca", "ocr"]);
    }
    // Nobody asks for it, so nobody is counted as a sharer of it.
    assert_eq!(
        federation.nodes[1]
            .strategy
            .offers(&BTreeSet::from(["n1".to_owned()]))["n1"]["ocr"],
        0.0
    );
}

#[test]
fn the_original_echoes_only_what_the_peer_named() {
    let mut federation = Federation::published(Compatibility::Upstream);
    federation.nodes[1].functions.insert("ocr".to_owned(), 8);
    let named = |federation: &Federation| {
        let entry = federation.nodes[0].strategy.peers().get("n2").unwrap().clone();
        entry.known.into_keys().collect::<Vec<_>>()
    };
    federation.period();
    assert_eq!(named(&federation), ["funca", "ocr"]);
    federation.period();
    assert_eq!(named(&federation), ["funca"]);
}

/// A node without the function asks for a share by naming it, and forwards everything.
#[test]
fn a_function_that_only_a_peer_has_is_forwarded() {
    let mut federation = Federation::published(Compatibility::Ours);
    federation.nodes[1].functions.insert("ocr".to_owned(), 8);
    federation.nodes[0].rates = BTreeMap::from([("ocr".to_owned(), 2.0)]);
    federation.period();
    federation.period();
    let share = federation.nodes[0].strategy.peers().get("n2").unwrap().known["ocr"];
    assert_eq!((share.limit_out, share.weight), (8.0, 100));
    // Interest fades with the users.
    federation.nodes[0].rates.clear();
    federation.period();
    assert!(
        !federation.nodes[1]
            .strategy
            .peers()
            .get("n1")
            .unwrap()
            .known
            .contains_key("ocr")
    );
}

#[test]
fn a_dead_peer_is_forgotten_after_one_period_and_a_fifth() {
    let mut strategy = Recalc::new("n1".to_owned(), PERIOD, Compatibility::Ours);
    let offers = FunctionLimits::from([("n1".to_owned(), BTreeMap::from([("f".to_owned(), 4.0)]))]);
    assert_eq!(
        strategy.hear(Duration::ZERO, "n2", address(2), &offers),
        Reception::NewPeer
    );
    assert_eq!(
        strategy.hear(PERIOD, "n2", address(2), &offers),
        Reception::Updated
    );
    strategy.table.purge(PERIOD + Duration::from_secs(72));
    assert!(strategy.peers().get("n2").is_some());
    strategy.table.purge(PERIOD + Duration::from_millis(72_001));
    assert!(strategy.peers().get("n2").is_none());
}

#[test]
fn a_message_for_others_changes_nothing() {
    let mut strategy = Recalc::new("n1".to_owned(), PERIOD, Compatibility::Ours);
    let offers = FunctionLimits::from([("n3".to_owned(), BTreeMap::from([("f".to_owned(), 4.0)]))]);
    assert_eq!(
        strategy.hear(Duration::ZERO, "n2", address(2), &offers),
        Reception::NotForUs
    );
    assert!(strategy.peers().get("n2").is_none());
}

#[test]
fn absurd_offers_are_harmless() {
    let mut strategy = Recalc::new("n1".to_owned(), PERIOD, Compatibility::Ours);
    let inputs = Step1Inputs {
        peers: &BTreeSet::new(),
        functions: &one("f", 10),
        user_rates: &BTreeMap::from([("f".to_owned(), f64::INFINITY)]),
    };
    strategy.divide(Duration::ZERO, inputs);
    for (peer, limit) in [
        ("n2", -5.0),
        ("n3", f64::NAN),
        ("n4", 1e300),
        ("n5", f64::INFINITY),
    ] {
        let offers = FunctionLimits::from([("n1".to_owned(), BTreeMap::from([("f".to_owned(), limit)]))]);
        strategy.hear(Duration::ZERO, peer, address(2), &offers);
    }
    strategy.weigh(Duration::ZERO, &BTreeMap::new());
    let weights = strategy.weights();
    assert_eq!(weights["f"].values().copied().collect::<Vec<_>>(), [0, 0, 100, 0]);
}

/// A peer that invents others fills the table, not the memory; and more than a hundred like peers are forwarded to.
#[test]
fn thousands_of_peers_and_functions() {
    let functions: BTreeMap<FunctionName, u32> =
        (0..200).map(|number| (format!("f{number}"), 2000)).collect();
    let offer = functions.keys().map(|function| (function.clone(), 5.0));
    let offers = FunctionLimits::from([("n1".to_owned(), offer.collect())]);
    let weights = |compatibility| {
        let mut strategy = Recalc::new("n1".to_owned(), PERIOD, compatibility);
        let heard = (0..2000)
            .map(|number| strategy.hear(Duration::ZERO, &format!("p{number:04}"), address(2), &offers));
        let refused = heard.filter(|heard| *heard == Reception::NoRoom).count();
        assert_eq!(refused, 2000 - Table::<()>::MOST);
        assert_eq!(
            strategy.hear(Duration::ZERO, "p0007", address(2), &offers),
            Reception::Updated,
            "one that is known has its place"
        );
        strategy.divide(
            Duration::ZERO,
            Step1Inputs {
                peers: &BTreeSet::new(),
                functions: &functions,
                user_rates: &BTreeMap::from([("f0".to_owned(), 1e9)]),
            },
        );
        strategy.weigh(Duration::ZERO, &BTreeMap::new());
        let weights = strategy.weights();
        // Those who are silent for long enough make room.
        let later = PERIOD * 2;
        assert_eq!(
            strategy.hear(later, "p1999", address(2), &offers),
            Reception::NewPeer
        );
        weights["f0"].values().sum::<u32>()
    };
    assert_eq!(weights(Compatibility::Ours), 100);
    assert_eq!(weights(Compatibility::Upstream), 0, "the original's floors");
}

/// The nearest peer with room is filled first; recalc spreads in proportion.
#[test]
fn near_peers_are_preferred_by_the_latency_aware_variant() {
    let offers = |limit| FunctionLimits::from([("n1".to_owned(), BTreeMap::from([("f".to_owned(), limit)]))]);
    let far = |milliseconds| Peer {
        address: None,
        round_trip: Some(Duration::from_millis(milliseconds)),
    };
    let peers: BTreeMap<NodeId, Peer> = [("n2", far(100)), ("n3", far(10))]
        .map(|(name, peer)| (name.to_owned(), peer))
        .into();
    for (spread, expected) in [(Spread::Proportional, [50, 50]), (Spread::Nearest, [0, 100])] {
        let mut strategy = Recalc::new("n1".to_owned(), PERIOD, Compatibility::Ours).spreading(spread);
        strategy.hear(Duration::ZERO, "n2", address(2), &offers(40.0));
        strategy.hear(Duration::ZERO, "n3", address(3), &offers(40.0));
        let inputs = Step1Inputs {
            peers: &peers.keys().cloned().collect(),
            functions: &one("f", 10),
            user_rates: &BTreeMap::from([("f".to_owned(), 35.0)]),
        };
        strategy.divide(Duration::ZERO, inputs);
        strategy.weigh(Duration::ZERO, &peers);
        let weights = strategy.weights();
        assert_eq!(
            weights["f"].values().copied().collect::<Vec<_>>(),
            expected,
            "{spread:?}"
        );
    }
}

/// A peer that speaks to others only does not take part, so that its share is not lost.
#[test]
fn who_does_not_name_this_node_gets_no_share() {
    let mut strategy = Recalc::new("n1".to_owned(), PERIOD, Compatibility::Ours);
    let peers = ["n2", "n3"].map(str::to_owned).into();
    let functions = one("f", 10);
    let inputs = Step1Inputs {
        peers: &peers,
        functions: &functions,
        user_rates: &BTreeMap::new(),
    };
    assert_eq!(strategy.divide(Duration::ZERO, inputs).offers["n3"]["f"], 5.0);
    let others = FunctionLimits::from([("n3".to_owned(), BTreeMap::new())]);
    strategy.hear(Duration::ZERO, "n2", address(2), &others);
    assert_eq!(strategy.divide(Duration::ZERO, inputs).offers["n3"]["f"], 10.0);
    let ours = FunctionLimits::from([("n1".to_owned(), BTreeMap::from([("f".to_owned(), 1.0)]))]);
    strategy.hear(Duration::ZERO, "n2", address(2), &ours);
    assert_eq!(strategy.divide(Duration::ZERO, inputs).offers["n3"]["f"], 5.0);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn names() -> impl proptest::strategy::Strategy<Value = String> {
        "[a-d]"
    }

    fn limits() -> impl proptest::strategy::Strategy<Value = BTreeMap<FunctionName, f64>> {
        prop::collection::btree_map(names(), any::<f64>(), 0..4)
    }

    proptest! {
        /// Whatever peers say and users ask, limits do not exceed the maximum in sum, and weights are percentages.
        #[test]
        fn limits_and_weights_stay_within_bounds(
            functions in prop::collection::btree_map(names(), any::<u32>(), 0..4),
            rates in prop::collection::btree_map(names(), any::<f64>(), 0..4),
            said in prop::collection::vec(("n[2-6]", limits()), 0..12),
            times in prop::collection::vec(0u64..200, 4),
            original: bool,
            nearest: bool,
        ) {
            let compatibility = if original { Compatibility::Upstream } else { Compatibility::Ours };
            let spread = if nearest { Spread::Nearest } else { Spread::Proportional };
            let mut strategy = Recalc::new("n1".to_owned(), PERIOD, compatibility).spreading(spread);
            let peers: BTreeSet<NodeId> = (2..6).map(|number| format!("n{number}")).collect();
            let links: BTreeMap<NodeId, Peer> =
                peers.iter().map(|peer| (peer.clone(), Peer::default())).collect();
            for time in times {
                // Clocks may jump, even backwards.
                let now = Duration::from_secs(time);
                for (peer, offer) in &said {
                    let offers = FunctionLimits::from([("n1".to_owned(), offer.clone())]);
                    strategy.hear(now, peer, address(2), &offers);
                }
                let inputs = Step1Inputs { peers: &peers, functions: &functions, user_rates: &rates };
                let outputs = strategy.divide(now, inputs);
                for (function, maximum) in &functions {
                    let sum: f64 = outputs.offers.values().filter_map(|limits| limits.get(function)).sum();
                    prop_assert!(sum <= f64::from(*maximum), "{} of {}", sum, maximum);
                }
                prop_assert!(outputs.offers.values().flat_map(BTreeMap::values).all(|limit| *limit >= 0.0));
                strategy.weigh(now, &links);
                for weights in strategy.weights().values() {
                    prop_assert!(weights.values().sum::<u32>() <= 100, "{:?}", weights);
                }
            }
        }
    }
}
