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
            messages.push((node.name, node.strategy.step1(self.now, inputs).offers));
        }
        for (sender, offers) in &messages {
            let number = sender[1..].parse().unwrap();
            for node in self.nodes.iter_mut().filter(|node| node.name != *sender) {
                node.strategy.receive(self.now, sender, address(number), offers);
            }
        }
        for node in &mut self.nodes {
            node.strategy.step2(self.now + PERIOD / 2);
        }
        self.now += PERIOD;
    }

    /// LimitIn, LimitOut and weight that node `at` (from 1) has for `peer`, as in a line of the published logs.
    fn line(&self, at: usize, peer: &str) -> (u32, f64, u32) {
        let share = self.nodes[at - 1].strategy.table().get(peer).unwrap().functions["funca"];
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
            strategy.step1(Duration::ZERO, inputs).overloaded.contains("f"),
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
        let named = &strategy.table().get("n2").unwrap().functions;
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
        let entry = federation.nodes[0].strategy.table().get("n2").unwrap().clone();
        entry.functions.into_keys().collect::<Vec<_>>()
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
    let share = federation.nodes[0].strategy.table().get("n2").unwrap().functions["ocr"];
    assert_eq!((share.limit_out, share.weight), (8.0, 100));
    // Interest fades with the users.
    federation.nodes[0].rates.clear();
    federation.period();
    assert!(
        !federation.nodes[1]
            .strategy
            .table()
            .get("n1")
            .unwrap()
            .functions
            .contains_key("ocr")
    );
}

#[test]
fn a_dead_peer_is_forgotten_after_one_period_and_a_fifth() {
    let mut strategy = Recalc::new("n1".to_owned(), PERIOD, Compatibility::Ours);
    let offers = FunctionLimits::from([("n1".to_owned(), BTreeMap::from([("f".to_owned(), 4.0)]))]);
    assert_eq!(
        strategy.receive(Duration::ZERO, "n2", address(2), &offers),
        Reception::NewPeer
    );
    assert_eq!(
        strategy.receive(PERIOD, "n2", address(2), &offers),
        Reception::Updated
    );
    strategy.purge(PERIOD + Duration::from_secs(72));
    assert!(strategy.table().get("n2").is_some());
    strategy.purge(PERIOD + Duration::from_millis(72_001));
    assert!(strategy.table().get("n2").is_none());
}

#[test]
fn a_message_for_others_changes_nothing() {
    let mut strategy = Recalc::new("n1".to_owned(), PERIOD, Compatibility::Ours);
    let offers = FunctionLimits::from([("n3".to_owned(), BTreeMap::from([("f".to_owned(), 4.0)]))]);
    assert_eq!(
        strategy.receive(Duration::ZERO, "n2", address(2), &offers),
        Reception::NotForUs
    );
    assert!(strategy.table().get("n2").is_none());
}

#[test]
fn absurd_offers_are_harmless() {
    let mut strategy = Recalc::new("n1".to_owned(), PERIOD, Compatibility::Ours);
    let inputs = Step1Inputs {
        peers: &BTreeSet::new(),
        functions: &one("f", 10),
        user_rates: &BTreeMap::from([("f".to_owned(), f64::INFINITY)]),
    };
    strategy.step1(Duration::ZERO, inputs);
    for (peer, limit) in [
        ("n2", -5.0),
        ("n3", f64::NAN),
        ("n4", 1e300),
        ("n5", f64::INFINITY),
    ] {
        let offers = FunctionLimits::from([("n1".to_owned(), BTreeMap::from([("f".to_owned(), limit)]))]);
        strategy.receive(Duration::ZERO, peer, address(2), &offers);
    }
    let weights = strategy.step2(Duration::ZERO);
    assert_eq!(weights["f"].values().copied().collect::<Vec<_>>(), [0, 0, 100, 0]);
}
