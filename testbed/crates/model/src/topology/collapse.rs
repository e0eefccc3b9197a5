//! `mode: collapsed`: switches and routers vanish, and each pair of hosts gets one link with what its path did.
//!
//! A path is the one packets would take in the full lab: least delay, then fewest hops. Along it delays add up, jitters
//! add as the square root of the sum of their squares, losses as 1 − Π(1 − loss), and the smallest rate and MTU hold (the
//! rules of Kollaps: Gouveia et al., EuroSys 2020). What is lost: flows of different pairs no longer share a bottleneck.
//!
//! A uniform jitter has the standard deviation jitter / √3. Where all jitters of a path are uniform the result is called
//! uniform too and has the right deviation; else it is normal with the deviation of the sum.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::time::Duration;

use super::distribution::JitterDistribution;
use super::impairment::Impairment;
use super::topology::{Backend, Endpoint, Link, NodeKind, Topology};
use crate::document::count::LIMIT;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::plan::names::InterfaceNames;

/// Largest packet of a link that does not say.
const DEFAULT_MTU: u32 = 1_500;

/// A link on a path, and whether it is passed from its first end to its second.
type Passage = (usize, bool);

/// Which links take part, where each was written, and where the mode was.
pub(super) struct Wish {
    pub(super) links: HashSet<usize>,
    pub(super) places: Vec<Span>,
    pub(super) mode: Span,
}

/// Composes the wished links of `topology` into paths.
pub(super) fn collapse(topology: &mut Topology, wish: &Wish, problems: &mut Problems) {
    let hubs = hubs(topology, wish);
    check(topology, wish, &hubs, problems);
    if !problems.is_empty() {
        return;
    }
    let hosts: Vec<usize> = (0..topology.nodes.len())
        .filter(|node| {
            !hubs.contains(node) && links_of(topology, *node).any(|link| wish.links.contains(&link))
        })
        .collect();
    if (hosts.len() * hosts.len().saturating_sub(1) / 2) as u64 > LIMIT {
        problems.add(
            Problem::new(Fault::TooMany { limit: LIMIT }, wish.mode).label("one link per pair of hosts"),
        );
        return;
    }
    let paths: BTreeMap<usize, Vec<Option<Vec<Passage>>>> = hosts
        .iter()
        .map(|host| (*host, paths_from(*host, topology, wish)))
        .collect();
    let mut links = Vec::new();
    for (place, one) in hosts.iter().enumerate() {
        for other in &hosts[place + 1..] {
            let way = |from: usize, to: usize| paths.get(&from)?.get(to)?.as_deref();
            let (Some(there), Some(back)) = (way(*one, *other), way(*other, *one)) else {
                continue;
            };
            links.push(compose(topology, [*one, *other], there, back));
        }
    }
    replace(topology, wish, &hubs, links);
}

/// Switches and routers with a wished link.
fn hubs(topology: &Topology, wish: &Wish) -> HashSet<usize> {
    let is_hub = |node: usize| {
        let kind = topology.nodes.get_index(node).map(|(_, node)| node.kind);
        matches!(kind, Some(NodeKind::Switch | NodeKind::Router))
    };
    (0..topology.nodes.len())
        .filter(|node| is_hub(*node) && links_of(topology, *node).any(|link| wish.links.contains(&link)))
        .collect()
}

fn links_of(topology: &Topology, node: usize) -> impl Iterator<Item = usize> {
    let name = topology.nodes.get_index(node).map(|(name, _)| name.as_str());
    let ends_here = move |link: &Link| link.endpoints.iter().any(|end| Some(end.node.as_str()) == name);
    let links = topology.links.iter().enumerate();
    links
        .filter(move |(_, link)| ends_here(link))
        .map(|(place, _)| place)
}

fn check(topology: &Topology, wish: &Wish, hubs: &HashSet<usize>, problems: &mut Problems) {
    let mut refuse = |what: String, reason: &str, span: Span| {
        let reason = reason.to_owned();
        problems.add(Problem::new(Fault::CannotCollapse { what, reason }, span).label("here"));
    };
    for (place, link) in topology.links.iter().enumerate() {
        let span = wish.places.get(place).copied().unwrap_or(wish.mode);
        let at_hub = link.endpoints.iter().any(|end| {
            topology
                .nodes
                .get_index_of(&end.node)
                .is_some_and(|node| hubs.contains(&node))
        });
        if !wish.links.contains(&place) {
            if at_hub {
                let reason = "it ends at a switch or router that vanishes; give it `mode: collapsed` too";
                refuse(format!("link `{}`", link.name), reason, span);
            }
            continue;
        }
        if link.forward_trace.is_some() || link.backward_trace.is_some() {
            refuse(
                format!("link `{}`", link.name),
                "a trace has no sum with other links",
                span,
            );
        }
        if link.down || link.flap.is_some() {
            let reason = "`down` and `flap` would take the other paths down too";
            refuse(format!("link `{}`", link.name), reason, span);
        }
        for own in [&link.forward, &link.backward] {
            if !rest(own).is_none() {
                let reason = "only delay, jitter, loss, rate and queue can be composed";
                refuse(format!("link `{}`", link.name), reason, span);
            }
        }
        for end in &link.endpoints {
            let node = topology.nodes.get(&end.node);
            if node.is_some_and(|node| node.interfaces.contains_key(&end.interface)) {
                let reason = "it fixes an address, but there will be one interface per peer";
                refuse(format!("`{}` at `{}`", end.interface, end.node), reason, span);
            }
        }
    }
    for (name, node) in hubs.iter().filter_map(|hub| topology.nodes.get_index(*hub)) {
        if !node.exec.is_empty() || !node.ports.is_empty() {
            refuse(format!("`{name}`"), "it runs commands or has ports", wish.mode);
        }
    }
}

/// What composing would drop.
fn rest(own: &Impairment) -> Impairment {
    Impairment {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: 0.0,
        rate: None,
        queue: None,
        ..own.clone()
    }
}

/// For each node, the way there from `start` through nodes that pass packets on.
fn paths_from(start: usize, topology: &Topology, wish: &Wish) -> Vec<Option<Vec<Passage>>> {
    let count = topology.nodes.len();
    let mut out: Vec<Vec<(usize, Passage, u128)>> = vec![Vec::new(); count];
    for place in wish
        .links
        .iter()
        .copied()
        .collect::<std::collections::BTreeSet<usize>>()
    {
        let Some(link) = topology.links.get(place) else {
            continue;
        };
        let ends = [0, 1].map(|end| topology.nodes.get_index_of(&link.endpoints[end].node));
        if let [Some(first), Some(second)] = ends {
            out[first].push((second, (place, true), hop(link.forward.delay)));
            out[second].push((first, (place, false), hop(link.backward.delay)));
        }
    }
    let passes = |node: usize| {
        let node = topology.nodes.get_index(node).map(|(_, node)| node);
        node.is_some_and(|node| node.forward || node.kind == NodeKind::Switch)
    };
    let mut best: Vec<Option<u128>> = vec![None; count];
    let mut came: Vec<Option<(usize, Passage)>> = vec![None; count];
    let mut waiting = BinaryHeap::from([Reverse((0_u128, start))]);
    best[start] = Some(0);
    while let Some(Reverse((cost, node))) = waiting.pop() {
        if best[node] != Some(cost) || (node != start && !passes(node)) {
            continue;
        }
        for (next, passage, price) in &out[node] {
            let total = cost + price;
            if best[*next].is_none_or(|known| total < known) {
                best[*next] = Some(total);
                came[*next] = Some((node, *passage));
                waiting.push(Reverse((total, *next)));
            }
        }
    }
    (0..count).map(|node| way_to(node, start, &came)).collect()
}

/// Delay in nanoseconds above 32 bits of hop count, as the routes of a full lab weigh it.
fn hop(delay: Duration) -> u128 {
    (delay.as_nanos() << 32) + 1
}

fn way_to(node: usize, start: usize, came: &[Option<(usize, Passage)>]) -> Option<Vec<Passage>> {
    let mut way = Vec::new();
    let mut here = node;
    while here != start {
        let (before, passage) = came.get(here).copied().flatten()?;
        way.push(passage);
        here = before;
    }
    way.reverse();
    Some(way)
}

fn compose(topology: &Topology, ends: [usize; 2], there: &[Passage], back: &[Passage]) -> Link {
    let links = || {
        there
            .iter()
            .chain(back)
            .filter_map(|(place, _)| topology.links.get(*place))
    };
    let name = |end: usize| {
        topology
            .nodes
            .get_index(end)
            .map_or("", |(name, _)| name.as_str())
    };
    let backends: HashSet<Backend> = links()
        .map(|link| link.backend)
        .filter(|it| *it != Backend::Auto)
        .collect();
    let mtu = links().any(|link| link.mtu.is_some());
    Link {
        name: format!("{}--{}", name(ends[0]), name(ends[1])),
        number: 0,
        endpoints: ends.map(|end| Endpoint {
            node: name(end).to_owned(),
            interface: String::new(),
        }),
        forward: along(topology, there),
        backward: along(topology, back),
        forward_trace: None,
        backward_trace: None,
        presets: Vec::new(),
        down: false,
        flap: None,
        backend: if backends.len() == 1 {
            backends.into_iter().next().unwrap_or_default()
        } else {
            Backend::Auto
        },
        mtu: links()
            .map(|link| link.mtu.unwrap_or(DEFAULT_MTU))
            .min()
            .filter(|_| mtu),
    }
}

fn along(topology: &Topology, way: &[Passage]) -> Impairment {
    let passed = way.iter().filter_map(|(place, forward)| {
        let link = topology.links.get(*place)?;
        Some(if *forward { &link.forward } else { &link.backward })
    });
    let mut sum = Impairment::default();
    let (mut arrive, mut variance, mut uniform) = (1.0, 0.0, true);
    for own in passed {
        sum.delay += own.delay;
        let deviation = own.jitter.as_secs_f64();
        match own.distribution {
            JitterDistribution::Uniform => variance += deviation * deviation / 3.0,
            _ => {
                variance += deviation * deviation;
                uniform &= own.jitter.is_zero();
            }
        }
        arrive *= 1.0 - own.loss;
        if own
            .rate
            .is_some_and(|rate| sum.rate.is_none_or(|least| rate < least))
        {
            sum.rate = own.rate;
            sum.queue = own.queue;
        }
    }
    sum.loss = 1.0 - arrive;
    let jitter = if uniform {
        (variance * 3.0).sqrt()
    } else {
        variance.sqrt()
    };
    // To the microsecond: what is finer is noise of the arithmetic.
    sum.jitter = Duration::from_micros((jitter * 1e6).round() as u64).min(sum.delay);
    sum.distribution = if uniform {
        JitterDistribution::Uniform
    } else {
        JitterDistribution::Normal
    };
    sum
}

/// Takes out what vanishes and puts in the composed links, each end with an interface of its own.
fn replace(topology: &mut Topology, wish: &Wish, hubs: &HashSet<usize>, composed: Vec<Link>) {
    let mut place = 0;
    topology.links.retain(|_| {
        place += 1;
        !wish.links.contains(&(place - 1))
    });
    let mut node = 0;
    topology.nodes.retain(|_, _| {
        node += 1;
        !hubs.contains(&(node - 1))
    });
    let kept = topology.links.clone();
    let names = topology
        .nodes
        .iter()
        .map(|(name, node)| (name.as_str(), node.kind));
    let mut interfaces = InterfaceNames::new(names);
    for end in kept.iter().flat_map(|link| &link.endpoints) {
        interfaces.reserve(&end.node, &end.interface);
    }
    let mut links = kept.clone();
    let taken: HashSet<&str> = kept.iter().map(|link| link.name.as_str()).collect();
    for link in composed {
        let [first, second] = link.endpoints.each_ref().map(|end| end.node.clone());
        let ends = [(first.clone(), second.clone()), (second, first)].map(|(node, _)| Endpoint {
            interface: interfaces.choose(&node, ""),
            node,
        });
        let name = if taken.contains(link.name.as_str()) {
            format!("{}-path", link.name)
        } else {
            link.name.clone()
        };
        links.push(Link {
            name,
            endpoints: ends,
            ..link
        });
    }
    topology.links = links;
}
