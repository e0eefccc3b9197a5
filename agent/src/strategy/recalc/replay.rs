//! The original's published time-lines, line by line.

use super::*;
use std::net::{IpAddr, Ipv4Addr};

const TIME_LINES: &str = include_str!("../../../testdata/recalc-2021.csv");
const PERIOD: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
struct Line<'a> {
    text: &'a str,
    agent: &'a str,
    time: &'a str,
    function: &'a str,
    count: Option<f64>,
    rate: Option<f64>,
    overload: Option<bool>,
    peer: &'a str,
    limit_in: u32,
    limit_out: f64,
    weight: u32,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> (&'a str, Self) {
        let fields: Vec<&str> = text.split(',').collect();
        let &[
            scenario,
            agent,
            time,
            _,
            function,
            count,
            rate,
            overload,
            peer,
            limit_in,
            limit_out,
            weight,
        ] = fields.as_slice()
        else {
            panic!("{text}");
        };
        let line = Self {
            text,
            agent,
            time,
            function,
            count: count.parse().ok(),
            rate: rate.parse().ok(),
            overload: (!overload.is_empty()).then_some(overload == "Overload"),
            peer,
            limit_in: limit_in.parse::<f64>().unwrap() as u32,
            limit_out: limit_out.parse().unwrap(),
            weight: weight.parse().unwrap(),
        };
        (scenario, line)
    }

    fn is_step1(&self) -> bool {
        self.time.ends_with(":00")
    }
}

fn address() -> PeerAddress {
    PeerAddress {
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 80,
    }
}

fn maximum(agent: &str) -> u32 {
    match agent {
        "node1" => 10,
        "node2" => 20,
        _ => 30,
    }
}

/// Nodes by name, in the state that the first lines show.
fn nodes(lines: &[Line<'_>]) -> BTreeMap<String, Recalc> {
    let mut nodes = BTreeMap::new();
    let begin = lines[0].time;
    for line in lines.iter().filter(|line| line.time == begin) {
        let node: &mut Recalc = nodes
            .entry(line.agent.to_owned())
            .or_insert_with(|| Recalc::new(line.agent.to_owned(), PERIOD, Compatibility::Upstream));
        let offer = BTreeMap::from([(line.function.to_owned(), line.limit_out)]);
        node.hear(
            Duration::ZERO,
            line.peer,
            address(),
            &FunctionLimits::from([(line.agent.to_owned(), offer)]),
        );
    }
    nodes
}

fn check(nodes: &BTreeMap<String, Recalc>, line: &Line<'_>) {
    let entry = nodes[line.agent].peers().get(line.peer).unwrap();
    let Share {
        limit_in,
        limit_out,
        weight,
    } = entry.known[line.function];
    assert_eq!(
        (limit_in, limit_out, weight),
        (line.limit_in, line.limit_out, line.weight),
        "{}",
        line.text
    );
}

/// Step 1 of every node that has lines at this instant. What it says is heard after all have acted.
fn step1(
    nodes: &mut BTreeMap<String, Recalc>,
    now: Duration,
    lines: &[Line<'_>],
) -> Vec<(String, FunctionLimits)> {
    let everyone: BTreeSet<NodeId> = nodes.keys().cloned().collect();
    let mut said = Vec::new();
    for (name, node) in nodes {
        let Some(line) = lines.iter().find(|line| line.agent == name) else {
            continue;
        };
        if let (Some(count), Some(rate)) = (line.count, line.rate) {
            assert!(
                (count / 30.0 - rate).abs() < 0.006,
                "over half a period: {}",
                line.text
            );
        }
        let rate = line.count.map(|count| count / 30.0).or(line.rate);
        let rates: BTreeMap<_, _> = rate
            .map(|rate| (line.function.to_owned(), rate))
            .into_iter()
            .collect();
        let mut peers = everyone.clone();
        peers.remove(name);
        let functions = BTreeMap::from([(line.function.to_owned(), maximum(name))]);
        let outputs = node.divide(
            now,
            Step1Inputs {
                peers: &peers,
                functions: &functions,
                user_rates: &rates,
            },
        );
        assert_eq!(
            Some(outputs.overloaded.contains(line.function)),
            line.overload,
            "{}",
            line.text
        );
        said.push((name.clone(), outputs.offers));
    }
    said
}

/// The nodes' clocks differed by a little: some lines of step 1 show a LimitOut that the peer sent in this very step.
fn hear_what_had_come(
    nodes: &mut BTreeMap<String, Recalc>,
    now: Duration,
    line: &Line<'_>,
    said: &[(String, FunctionLimits)],
) {
    let node = nodes.get_mut(line.agent).unwrap();
    let known = node.peers().get(line.peer).unwrap().known[line.function].limit_out;
    let new = said.iter().find(|(speaker, _)| speaker == line.peer);
    if let Some((speaker, offers)) = new.filter(|_| known != line.limit_out) {
        node.hear(now, speaker, address(), offers);
    }
}

#[test]
fn limits_and_weights_of_every_published_line() {
    let mut scenarios: Vec<(&str, Vec<Line<'_>>)> = Vec::new();
    for text in TIME_LINES
        .lines()
        .filter(|line| line.starts_with("scenario") && !line.contains("utc_time"))
    {
        let (scenario, line) = Line::parse(text);
        match scenarios.last_mut() {
            Some((name, lines)) if *name == scenario => lines.push(line),
            _ => scenarios.push((scenario, vec![line])),
        }
    }
    assert_eq!(scenarios.len(), 5);
    let mut checked = 0;
    for (_, lines) in &scenarios {
        let mut nodes = nodes(lines);
        assert_eq!(nodes.len(), 3);
        let instants: BTreeSet<&str> = lines.iter().map(|line| line.time).collect();
        for (number, instant) in (0u32..).zip(instants) {
            let now = PERIOD / 2 * number;
            let here: Vec<Line<'_>> = lines
                .iter()
                .filter(|line| line.time == instant)
                .cloned()
                .collect();
            let said = if here[0].is_step1() {
                step1(&mut nodes, now, &here)
            } else {
                nodes
                    .values_mut()
                    .for_each(|node| node.weigh(now, &BTreeMap::new()));
                Vec::new()
            };
            for line in &here {
                hear_what_had_come(&mut nodes, now, line, &said);
                check(&nodes, line);
                checked += 1;
            }
            for (speaker, offers) in &said {
                for (_, node) in nodes.iter_mut().filter(|(name, _)| *name != speaker) {
                    node.hear(now, speaker, address(), offers);
                }
            }
        }
    }
    assert_eq!(checked, 336);
}
