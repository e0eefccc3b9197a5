//! Links: endpoints, names of interfaces, impairments.

use std::collections::HashMap;
use std::time::Duration;

use petgraph::unionfind::UnionFind;

use super::super::impairment::ImpairmentChange;
use super::super::link_file::{HasImpairments, ImpairmentFile, LinkDefaultsFile, LinkFile};
use super::super::preset::Direction;
use super::super::topology::{Endpoint, Flap, Link, NodeKind};
use super::impairment;
use super::names;
use super::nodes::CheckedNodes;
use super::traces::Traces;
use crate::document::spanned::Spanned;
use crate::document::tree::{Span, Tree};
use crate::error::{Fault, Problem, Problems};
use crate::plan::names::InterfaceNames;
use crate::units::TimeSpan;

/// Smallest MTU: less, and the kernel takes IPv6 away from the interface.
const LEAST_MTU: u32 = 1280;
const MOST_MTU: u32 = 65535;

/// An endpoint as written: node, interface if given, and where.
struct End<'a> {
    node: &'a str,
    interface: Option<&'a str>,
    span: Span,
}

/// Checks every link and gives each end its interface.
pub(super) fn validate(
    files: &[(&Tree, LinkFile)],
    defaults: Option<&LinkDefaultsFile>,
    nodes: &CheckedNodes,
    traces: &mut Traces<'_, '_>,
    problems: &mut Problems,
) -> Vec<Link> {
    let mut readable: Vec<(&LinkFile, [End<'_>; 2])> = Vec::with_capacity(files.len());
    for (tree, file) in files {
        let Some(ends) = problems.keep(ends(tree, file)) else {
            continue;
        };
        if known_nodes(&ends, nodes, problems) {
            readable.push((file, ends));
        }
    }
    let mut interfaces = InterfaceNames::new(
        nodes
            .iter()
            .map(|(name, checked)| (name.as_str(), checked.node.kind)),
    );
    // Given names first, so that chosen ones avoid them.
    let mut taken: HashMap<(&str, &str), Span> = HashMap::new();
    for end in readable.iter().flat_map(|(_, ends)| ends) {
        if let Some(interface) = end.interface {
            given_interface(end, interface, &mut taken, problems);
            interfaces.reserve(end.node, interface);
        }
    }
    let mut all = Vec::with_capacity(readable.len());
    let mut names: HashMap<String, Span> = HashMap::new();
    let mut loops = SwitchLoops::new(nodes);
    for (file, [first, second]) in &readable {
        let name = link_name(file, first, second, &mut names, problems);
        loops.check(&name, first, second, problems);
        let endpoints = [(first, second), (second, first)].map(|(end, peer)| Endpoint {
            node: end.node.to_owned(),
            interface: match end.interface {
                Some(interface) => interface.to_owned(),
                None => interfaces.choose(end.node, peer.node),
            },
        });
        all.push(complete(file, defaults, name, endpoints, traces, problems));
    }
    unlinked_interfaces(&all, nodes, problems);
    all
}

fn ends<'a>(tree: &Tree, file: &'a LinkFile) -> Result<[End<'a>; 2], Problem> {
    let Some(endpoints) = &file.endpoints else {
        return Err(Problem::new(
            Fault::MissingKey {
                key: "endpoints".to_owned(),
            },
            tree.span,
        )
        .label("this link joins nothing")
        .help("write it like `endpoints: [n1, s1]`"));
    };
    match endpoints.value.as_slice() {
        [first, second] => Ok([end(first)?, end(second)?]),
        others => Err(
            Problem::new(Fault::EndpointCount { count: others.len() }, endpoints.span)
                .label("must be two")
                .help("join more than two nodes with a switch"),
        ),
    }
}

fn end(text: &Spanned<String>) -> Result<End<'_>, Problem> {
    match text.value.split_once(':') {
        None => Ok(End {
            node: &text.value,
            interface: None,
            span: text.span,
        }),
        Some((node, interface)) => {
            // A quoted scalar's span begins at its quote.
            let quoted = text.span.length as usize > text.value.len();
            let place = text
                .span
                .part(node.len() + 1 + usize::from(quoted), interface.len());
            if interface.len() > names::LONGEST_INTERFACE {
                let fault = Fault::LongInterface {
                    interface: interface.to_owned(),
                    length: interface.len(),
                };
                return Err(Problem::new(fault, place).label("too long"));
            }
            if let Err(rule) = names::check_interface(interface) {
                let fault = Fault::BadName {
                    name: interface.to_owned(),
                    what: "an interface".to_owned(),
                    rule,
                };
                return Err(Problem::new(fault, place).label("here"));
            }
            Ok(End {
                node,
                interface: Some(interface),
                span: text.span,
            })
        }
    }
}

fn known_nodes(ends: &[End<'_>; 2], nodes: &CheckedNodes, problems: &mut Problems) -> bool {
    let mut known = true;
    for end in ends {
        if !nodes.contains_key(end.node) {
            known = false;
            let fault = Fault::UnknownNode {
                name: end.node.to_owned(),
            };
            let problem = Problem::new(fault, end.span).label("no node has this name");
            problems.add(problem.suggest(end.node, nodes.keys().map(String::as_str)));
        }
    }
    if known && ends[0].node == ends[1].node {
        let fault = Fault::SelfLink {
            node: ends[0].node.to_owned(),
        };
        problems.add(Problem::new(fault, ends[1].span).label("the same node again"));
        return false;
    }
    known
}

fn given_interface<'a>(
    end: &End<'a>,
    interface: &'a str,
    taken: &mut HashMap<(&'a str, &'a str), Span>,
    problems: &mut Problems,
) {
    if let Some(first) = taken.insert((end.node, interface), end.span) {
        let fault = Fault::InterfaceTaken {
            node: end.node.to_owned(),
            interface: interface.to_owned(),
        };
        problems.add(
            Problem::new(fault, end.span)
                .label("again here")
                .also(first, "first here"),
        );
    }
}

fn link_name(
    file: &LinkFile,
    first: &End<'_>,
    second: &End<'_>,
    names: &mut HashMap<String, Span>,
    problems: &mut Problems,
) -> String {
    let (name, span) = match &file.name {
        Some(name) => (name.value.clone(), name.span),
        None => (format!("{}--{}", first.node, second.node), first.span),
    };
    if let (Some(_), Err(rule)) = (&file.name, names::check_link(&name)) {
        let fault = Fault::BadName {
            name: name.clone(),
            what: "a link".to_owned(),
            rule,
        };
        problems.add(Problem::new(fault, span).label("here"));
    }
    // `A--B` and `B--A` are one name.
    let canonical = match name.split_once("--") {
        Some((left, right)) if left > right => format!("{right}--{left}"),
        _ => name.clone(),
    };
    if let Some(before) = names.insert(canonical, span) {
        let fault = Fault::DuplicateLink { name: name.clone() };
        let problem = Problem::new(fault, span)
            .label("again here")
            .also(before, "first here");
        problems.add(match file.name {
            Some(_) => problem,
            None => problem.help("parallel links need a `name:` each"),
        });
    }
    name
}

/// A loop of bridges would flood the lab: there is no spanning tree protocol in it.
struct SwitchLoops<'a> {
    numbers: HashMap<&'a str, usize>,
    joined: UnionFind<usize>,
}

impl<'a> SwitchLoops<'a> {
    fn new(nodes: &'a CheckedNodes) -> SwitchLoops<'a> {
        let switches = nodes
            .iter()
            .filter(|(_, checked)| checked.node.kind == NodeKind::Switch);
        let numbers: HashMap<&str, usize> = switches
            .enumerate()
            .map(|(number, (name, _))| (name.as_str(), number))
            .collect();
        let joined = UnionFind::new(numbers.len());
        SwitchLoops { numbers, joined }
    }

    fn check(&mut self, link: &str, first: &End<'_>, second: &End<'_>, problems: &mut Problems) {
        let numbers = (self.numbers.get(first.node), self.numbers.get(second.node));
        if let (Some(first_number), Some(second_number)) = numbers
            && !self.joined.union(*first_number, *second_number)
        {
            let fault = Fault::SwitchLoop {
                name: link.to_owned(),
            };
            problems.add(
                Problem::new(fault, second.span)
                    .label("reached already")
                    .help("switches have no spanning tree; join them without loops, or use routers"),
            );
        }
    }
}

/// What a link asks for, in layers: a direction's own keys, its preset, the link's keys, its preset, the defaults' keys,
/// their preset.
fn complete(
    file: &LinkFile,
    defaults: Option<&LinkDefaultsFile>,
    name: String,
    endpoints: [Endpoint; 2],
    traces: &mut Traces<'_, '_>,
    problems: &mut Problems,
) -> Link {
    let both = file.impairments();
    let under = defaults.map(HasImpairments::impairments);
    let mtu = file
        .mtu
        .as_ref()
        .or(defaults.and_then(|defaults| defaults.mtu.as_ref()))
        .map(|mtu| mtu.value);
    let mut presets: Vec<String> = Vec::new();
    let mut of = |own: Option<&ImpairmentFile>, direction: Direction| {
        let layers = [own, Some(&both), under.as_ref()];
        let mut change = ImpairmentChange::default();
        for layer in layers.into_iter().flatten() {
            let mut keys = impairment::change(layer, direction, problems);
            keys.distribution = traces.jitter(layer, problems).or(keys.distribution);
            change = change.or(&keys);
            let preset = impairment::preset(layer, problems).map(|preset| preset.name);
            if let Some(preset) = preset.filter(|preset| !presets.iter().any(|known| known == preset)) {
                presets.push(preset.to_owned());
            }
        }
        let impairment = change.applied_to(&super::super::Impairment::default());
        let trace = traces.of(&layers, problems);
        impairment::check(&impairment, mtu, trace.as_deref(), &layers, problems);
        (impairment, trace.map(|trace| traces.keep(trace)))
    };
    let (forward, forward_trace) = of(file.forward.as_ref(), Direction::Forward);
    let (backward, backward_trace) = of(file.backward.as_ref(), Direction::Backward);
    check_mtu(file.mtu.as_ref(), problems);
    let backend = file
        .backend
        .as_ref()
        .or(defaults.and_then(|defaults| defaults.backend.as_ref()));
    Link {
        name,
        number: 0,
        endpoints,
        forward,
        backward,
        forward_trace,
        backward_trace,
        presets,
        backend: backend.map(|backend| backend.value).unwrap_or_default(),
        mtu,
        down: file.down.as_ref().is_some_and(|down| down.value),
        flap: flap(file, problems),
    }
}

pub(super) fn check_mtu(mtu: Option<&Spanned<u32>>, problems: &mut Problems) {
    if let Some(mtu) = mtu.filter(|mtu| !(LEAST_MTU..=MOST_MTU).contains(&mtu.value)) {
        let fault = Fault::OutOfRange {
            what: "mtu".to_owned(),
            value: mtu.value.to_string(),
            range: format!("from {LEAST_MTU} (what IPv6 needs) to {MOST_MTU}"),
        };
        problems.add(Problem::new(fault, mtu.span).label("here"));
    }
}

/// Shorter, and the ends would hardly notice before it is over.
const LEAST_FLAP: Duration = Duration::from_millis(10);

fn flap(file: &LinkFile, problems: &mut Problems) -> Option<Flap> {
    let flap = file.flap.as_ref()?;
    if let Some(down) = file.down.as_ref().filter(|down| down.value) {
        let message = "a link that flaps begins with a carrier".to_owned();
        problems.add(
            Problem::new(Fault::Contradiction { message }, down.span)
                .label("here")
                .also(flap.span, "and here"),
        );
    }
    let (up, down) = (&flap.value.up, &flap.value.down);
    for (what, time) in [("up", up), ("down", down)] {
        if time.value.0 < LEAST_FLAP {
            let fault = Fault::OutOfRange {
                what: what.to_owned(),
                value: time.value.to_string(),
                range: format!("at least {}", TimeSpan(LEAST_FLAP)),
            };
            problems.add(Problem::new(fault, time.span).label("here"));
        }
    }
    Some(Flap {
        up: up.value.0,
        down: down.value.0,
    })
}

fn unlinked_interfaces(links: &[Link], nodes: &CheckedNodes, problems: &mut Problems) {
    let linked: std::collections::HashSet<(&str, &str)> = links
        .iter()
        .flat_map(|link| &link.endpoints)
        .map(|end| (end.node.as_str(), end.interface.as_str()))
        .collect();
    for (name, checked) in nodes {
        for (interface, spans) in &checked.interface_spans {
            if !linked.contains(&(name.as_str(), interface.as_str())) {
                let fault = Fault::UnlinkedInterface {
                    node: name.clone(),
                    interface: interface.clone(),
                };
                let own = linked
                    .iter()
                    .filter(|(node, _)| node == name)
                    .map(|(_, interface)| *interface);
                problems.add(
                    Problem::new(fault, spans.name)
                        .label("no link ends here")
                        .suggest(interface, own),
                );
            }
        }
    }
}
