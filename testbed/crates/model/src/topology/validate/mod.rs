//! From a tree to a [`Topology`]: everything is checked, and every problem found is reported.

mod addresses;
mod agent;
mod container;
pub(crate) mod impairment;
mod links;
pub(crate) mod names;
pub(crate) mod nodes;
mod ports;
mod traces;

use std::time::Duration;

use indexmap::IndexMap;

use super::collapse::{self, Wish};
use super::expand;
use super::file::{DefaultsFile, KindFile, ModeFile, MonitoringFile, NodeFile, TopologyFile};
use super::link_file::{HasImpairments, LinkFile};
use super::merge::{self, Sections};
use super::preset::Direction;
use super::topology::{DEFAULT_SEED, Monitoring, NodeKind, Topology};
use crate::document::count;
use crate::document::decode::decode;
use crate::document::overrides::{self, Assignment, Outcome};
use crate::document::path;
use crate::document::reader::Reader;
use crate::document::spanned::Spanned;
use crate::document::tree::{Span, Tree};
use crate::error::{Fault, Problem, Problems};
use traces::Traces;

/// Checks and completes the tree of the topology file at `path`. `None` if it cannot be used; why is in `problems`.
pub(crate) fn resolve(
    mut tree: Tree,
    assignments: &[Assignment],
    path: &str,
    reader: &mut Reader<'_>,
    problems: &mut Problems,
) -> Option<Topology> {
    let whole = Span {
        length: 0,
        ..tree.span
    };
    let late = assign(&mut tree, assignments, problems);
    count::expand(&mut tree, problems);
    expand::expand(&mut tree, reader, problems);
    assign_late(&mut tree, &late, problems);

    let Sections {
        head,
        nodes,
        links,
        misshapen,
    } = merge::sections(tree);
    for (key, tree, expected) in misshapen {
        let fault = Fault::WrongType {
            found: tree.describe().to_owned(),
            expected: expected.to_owned(),
        };
        problems.add(Problem::new(fault, key.span));
    }
    let head: TopologyFile = problems.keep(decode(&head)).unwrap_or_default();
    check_defaults(&head, problems);
    let name = lab_name(&head, path::stem(path), whole, problems);
    let nodes = nodes::validate(&nodes, path, problems);
    if nodes.is_empty() && problems.is_empty() {
        let problem =
            Problem::new(Fault::NoNodes, whole).help("add a section `nodes:` with at least one node");
        problems.add(problem);
    }
    let mut topology = Topology {
        name,
        seed: head.seed.map_or(DEFAULT_SEED, |seed| seed.value),
        nodes: nodes
            .iter()
            .map(|(name, checked)| (name.clone(), checked.node.clone()))
            .collect(),
        links: Vec::new(),
        traces: IndexMap::new(),
        monitoring: monitoring(head.monitoring.as_ref(), problems),
    };
    let links: Vec<(&Tree, LinkFile)> = links
        .iter()
        .filter_map(|tree| Some((tree, problems.keep(decode(tree))?)))
        .collect();
    let mut traces = Traces::new(reader);
    let link_defaults = head.defaults.as_ref().and_then(|defaults| defaults.link.as_ref());
    topology.links = links::validate(&links, link_defaults, &nodes, &mut traces, problems);
    topology.traces = traces.into_table();
    ports::check(&nodes, problems);
    if problems.is_empty()
        && let Some(wish) = wish(head.mode.as_ref(), &links)
    {
        collapse::collapse(&mut topology, &wish, problems);
    }
    for (number, link) in topology.links.iter_mut().enumerate() {
        link.number = number;
    }
    if problems.is_empty() {
        addresses::check(&topology, &nodes, problems);
    }
    Some(topology)
}

/// Applies what can be applied; returns what names a node or link that may still appear.
fn assign<'a>(
    tree: &mut Tree,
    assignments: &'a [Assignment],
    problems: &mut Problems,
) -> Vec<&'a Assignment> {
    let mut late = Vec::new();
    for assignment in assignments {
        let names_link = assignment.path.first().is_some_and(|key| key.text == "links");
        match overrides::apply(tree, assignment) {
            Ok(Outcome::Done) => {}
            Err(problem) if !names_link => problems.add(problem),
            Ok(Outcome::NoSuchNode) | Err(_) => late.push(assignment),
        }
    }
    late
}

fn assign_late(tree: &mut Tree, late: &[&Assignment], problems: &mut Problems) {
    for assignment in late {
        if problems.keep(overrides::apply(tree, assignment)) != Some(Outcome::NoSuchNode) {
            continue;
        }
        let Some(key) = assignment.path.get(1) else {
            continue;
        };
        if assignment.path[0].text == "links" {
            let name = key.text.clone();
            problems
                .add(Problem::new(Fault::UnknownLink { name }, key.span).label("the topology has no links"));
            continue;
        }
        let nodes = tree.get("nodes").and_then(Tree::as_map);
        let known = nodes
            .into_iter()
            .flat_map(|map| &map.entries)
            .map(|(key, _)| key.text.as_str());
        let fault = Fault::UnknownNode {
            name: key.text.clone(),
        };
        problems.add(
            Problem::new(fault, key.span)
                .label("no node has this name")
                .suggest(&key.text, known),
        );
    }
}

/// Defaults that no node or link uses are checked too.
fn check_defaults(head: &TopologyFile, problems: &mut Problems) {
    if let Some(DefaultsFile {
        dfaas,
        host,
        client,
        switch,
        router,
        link,
    }) = &head.defaults
    {
        let kinds: IndexMap<NodeKind, &Option<NodeFile>> = IndexMap::from([
            (NodeKind::Dfaas, dfaas),
            (NodeKind::Host, host),
            (NodeKind::Client, client),
            (NodeKind::Switch, switch),
            (NodeKind::Router, router),
        ]);
        for (kind, file) in kinds {
            if let Some(file) = file {
                nodes::check_default(kind, file, problems);
            }
        }
        if let Some(link) = link {
            for direction in [Direction::Forward, Direction::Backward] {
                impairment::change(&link.impairments(), direction, problems);
            }
            links::check_mtu(link.mtu.as_ref(), problems);
        }
    }
}

/// Which links are to be composed; none when none is.
fn wish(mode: Option<&Spanned<ModeFile>>, links: &[(&Tree, LinkFile)]) -> Option<Wish> {
    let own = links.iter().map(|(_, file)| file.mode.as_ref().or(mode));
    let wished: Vec<Option<Span>> = own
        .map(|mode| {
            mode.filter(|mode| mode.value == ModeFile::Collapsed)
                .map(|mode| mode.span)
        })
        .collect();
    let first = wished.iter().flatten().next().copied()?;
    Some(Wish {
        links: (0..links.len())
            .filter(|place| wished[*place].is_some())
            .collect(),
        places: links.iter().map(|(tree, _)| tree.span).collect(),
        mode: mode.map_or(first, |mode| mode.span),
    })
}

/// A reading takes some milliseconds of every service of a node.
fn monitoring(file: Option<&MonitoringFile>, problems: &mut Problems) -> Option<Monitoring> {
    const SHORTEST: Duration = Duration::from_millis(100);
    const USUAL: Duration = Duration::from_secs(5);
    let file = file?;
    let interval = file.scrape_interval.as_ref();
    if let Some(short) = interval.filter(|interval| interval.value.0 < SHORTEST) {
        let message = format!("a scrape interval of {} is too short", short.value);
        problems.add(Problem::new(Fault::Value { message }, short.span).label("at least 100ms"));
    }
    file.prometheus.unwrap_or_default().then(|| Monitoring {
        scrape_interval: interval.map_or(USUAL, |interval| interval.value.0),
    })
}

fn lab_name(head: &TopologyFile, stem: &str, whole: Span, problems: &mut Problems) -> String {
    let (name, span) = match &head.name {
        Some(name) => (name.value.as_str(), name.span),
        None => (stem, whole),
    };
    if let Err(rule) = names::check_lab(name) {
        let fault = Fault::BadName {
            name: name.to_owned(),
            what: "a lab".to_owned(),
            rule,
        };
        let problem = Problem::new(fault, span);
        problems.add(match head.name {
            Some(_) => problem.label("here"),
            None => problem.help("the file's own name is used when there is no `name:`; add one"),
        });
    }
    name.to_owned()
}

impl From<KindFile> for NodeKind {
    fn from(kind: KindFile) -> Self {
        match kind {
            KindFile::Dfaas => NodeKind::Dfaas,
            KindFile::Host => NodeKind::Host,
            KindFile::Client => NodeKind::Client,
            KindFile::Switch => NodeKind::Switch,
            KindFile::Router => NodeKind::Router,
        }
    }
}
