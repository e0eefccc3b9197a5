//! What a GraphML or GML file holds, and the nodes and links that come of it.
//!
//! The attributes are those of the Internet Topology Zoo (Knight et al., IEEE JSAC 2011): `label`, `Country`, `Latitude`
//! and `Longitude` of nodes; `LinkSpeedRaw` (bit/s), `LinkLabel` (a text like `10 Gbps`) and, beyond the Zoo, `delay` or
//! `latency` (with a unit, or milliseconds) of edges. An edge's delay is its own, or that of light in glass between its
//! ends (see [`super::geography`]), or none where a place is unknown.
//!
//! Two directed edges between the same nodes, one each way, are one link; one without the other carries both ways. More
//! edges of one pair are parallel links with `-2`, `-3`, … behind their names. Edges from a node to itself are left out.

use std::collections::HashMap;
use std::time::Duration;

use super::super::{Made, link, node, too_many};
use super::geography::{Place, delay};
use super::names::Names;
use crate::document::build;
use crate::document::count::LIMIT;
use crate::document::tree::{Span, Tree};
use crate::error::{Fault, Problem};
use crate::topology::file::KindFile;
use crate::units::{BitRate, TimeSpan};

/// Attributes by name, with the place of each value.
pub(super) type Attributes = HashMap<String, (String, Span)>;

pub(super) struct GraphNode {
    pub(super) id: String,
    pub(super) span: Span,
    pub(super) attributes: Attributes,
}

pub(super) struct GraphEdge {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) directed: bool,
    pub(super) span: Span,
    pub(super) attributes: Attributes,
}

#[derive(Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<GraphNode>,
    pub(super) edges: Vec<GraphEdge>,
}

/// What an edge says about one direction.
#[derive(Clone, Copy, PartialEq)]
struct Way {
    delay: Option<Duration>,
    rate: Option<u64>,
}

/// A link in the making; `back` is the opposite edge, once it is found.
struct Pair {
    ends: [usize; 2],
    there: Way,
    back: Option<Way>,
    span: Span,
}

impl Graph {
    pub(super) fn make(self, kind: KindFile, keys: Option<&Tree>, made: &mut Made) -> Result<(), Problem> {
        let mut places = HashMap::new();
        for (place, found) in self.nodes.iter().enumerate() {
            if let Some(before) = places.insert(found.id.as_str(), place) {
                let fault = Fault::DuplicateNode {
                    name: found.id.clone(),
                };
                return Err(Problem::new(fault, found.span)
                    .label("again here")
                    .also(self.nodes[before].span, "first here"));
            }
        }
        if let Some(extra) = self.nodes.get(usize::try_from(LIMIT).unwrap_or(usize::MAX)) {
            return Err(too_many(extra.span));
        }
        if let Some(extra) = self.edges.get(usize::try_from(LIMIT).unwrap_or(usize::MAX)) {
            return Err(too_many(extra.span));
        }
        let mut given = Names::default();
        let names: Vec<String> = self.nodes.iter().map(|node| given.name(label(node))).collect();
        for (found, name) in self.nodes.iter().zip(&names) {
            made.nodes
                .push((build::key(name, found.span), node_tree(found, name, kind)));
        }
        let mut counts: HashMap<[usize; 2], u32> = HashMap::new();
        for pair in self.pairs(&places)? {
            let [first, second] = pair.ends;
            let count = counts.entry([first.min(second), first.max(second)]).or_default();
            *count += 1;
            let ends = [names[first].as_str(), names[second].as_str()];
            let mut entries = pair.keys();
            if *count > 1 {
                let name = format!("{}--{}-{count}", ends[0], ends[1]);
                entries.push(("name", build::text(name, pair.span)));
            }
            made.links.push(link(ends, entries, keys, pair.span));
        }
        Ok(())
    }

    fn pairs(&self, places: &HashMap<&str, usize>) -> Result<Vec<Pair>, Problem> {
        let mut pairs: Vec<Pair> = Vec::new();
        // Directed edges that wait for their opposite.
        let mut alone: HashMap<[usize; 2], Vec<usize>> = HashMap::new();
        for edge in &self.edges {
            let end = |id: &str| {
                places.get(id).copied().ok_or_else(|| {
                    let fault = Fault::UnknownNode { name: id.to_owned() };
                    Problem::new(fault, edge.span).label("this edge ends at a node that is not in the file")
                })
            };
            let ends @ [first, second] = [end(&edge.source)?, end(&edge.target)?];
            if first == second {
                continue;
            }
            let way = self.way(edge, ends)?;
            if edge.directed
                && let Some(place) = alone.get_mut(&[second, first]).and_then(Vec::pop)
            {
                pairs[place].back = Some(way);
                continue;
            }
            if edge.directed {
                alone.entry(ends).or_default().push(pairs.len());
            }
            pairs.push(Pair {
                ends,
                there: way,
                back: None,
                span: edge.span,
            });
        }
        Ok(pairs)
    }

    fn way(&self, edge: &GraphEdge, ends: [usize; 2]) -> Result<Way, Problem> {
        let given = ["delay", "latency"]
            .iter()
            .find_map(|key| edge.attributes.get(*key));
        let delay = match given {
            Some((text, span)) => Some(edge_delay(text, *span)?),
            None => {
                let [first, second] = ends.map(|end| place(&self.nodes[end]));
                match (first?, second?) {
                    (Some(first), Some(second)) => Some(delay(first, second)),
                    _ => None,
                }
            }
        };
        let rate = match edge.attributes.get("LinkSpeedRaw") {
            Some((text, span)) => Some(raw_rate(text, *span)?),
            None => edge
                .attributes
                .get("LinkLabel")
                .and_then(|(text, _)| labelled_rate(text)),
        };
        Ok(Way { delay, rate })
    }
}

impl Pair {
    fn keys(&self) -> Vec<(&'static str, Tree)> {
        let keys = |way: Way| {
            let delay = way
                .delay
                .map(|delay| ("delay", build::text(TimeSpan(delay).to_string(), self.span)));
            let rate = way
                .rate
                .map(|rate| ("rate", build::text(BitRate(rate).to_string(), self.span)));
            delay.into_iter().chain(rate).collect::<Vec<_>>()
        };
        match self.back {
            Some(back) if back != self.there => vec![
                ("forward", build::map(keys(self.there), self.span)),
                ("backward", build::map(keys(back), self.span)),
            ],
            _ => keys(self.there),
        }
    }
}

fn label(node: &GraphNode) -> &str {
    let text = node.attributes.get("label").map_or("", |(text, _)| text.trim());
    if text.is_empty() { &node.id } else { text }
}

/// Labels keep what the name lost.
fn node_tree(found: &GraphNode, name: &str, kind: KindFile) -> Tree {
    let mut entries = node(kind, true, found.span);
    let mut labels = Vec::new();
    if label(found) != name {
        labels.push(("name", build::text(label(found), found.span)));
    }
    if let Some((country, span)) = found.attributes.get("Country") {
        labels.push(("country", build::text(country, *span)));
    }
    if !labels.is_empty() && !matches!(kind, KindFile::Switch) {
        entries.push(("labels", build::map(labels, found.span)));
    }
    build::map(entries, found.span)
}

fn place(node: &GraphNode) -> Result<Option<Place>, Problem> {
    let degrees = |key: &str, most: f64| match node.attributes.get(key) {
        None => Ok(None),
        Some((text, span)) => match text.trim().parse::<f64>() {
            Ok(value) if value.abs() <= most => Ok(Some(value)),
            _ => {
                let fault = Fault::OutOfRange {
                    what: key.to_owned(),
                    value: text.clone(),
                    range: format!("from -{most} to {most} degrees"),
                };
                Err(Problem::new(fault, *span).label("here"))
            }
        },
    };
    let (latitude, longitude) = (degrees("Latitude", 90.0)?, degrees("Longitude", 180.0)?);
    Ok(latitude
        .zip(longitude)
        .map(|(latitude, longitude)| Place { latitude, longitude }))
}

fn edge_delay(text: &str, span: Span) -> Result<Duration, Problem> {
    let text = text.trim();
    let with_unit = if text.ends_with(|letter: char| letter.is_ascii_digit()) {
        format!("{text}ms")
    } else {
        text.to_owned()
    };
    with_unit.parse::<TimeSpan>().map(|time| time.0).map_err(|error| {
        let fault = Fault::Value {
            message: error.to_string(),
        };
        Problem::new(fault, span).label("a delay, in milliseconds or with a unit")
    })
}

fn raw_rate(text: &str, span: Span) -> Result<u64, Problem> {
    match text.trim().parse::<f64>() {
        Ok(rate) if (1.0..=1e15).contains(&rate) => Ok(rate as u64),
        _ => {
            let fault = Fault::OutOfRange {
                what: "LinkSpeedRaw".to_owned(),
                value: text.to_owned(),
                range: "a number of bit/s".to_owned(),
            };
            Err(Problem::new(fault, span).label("here"))
        }
    }
}

/// The rate in a text for people, if it is plain: `10 Gbps`, `155Mbit/s`, `2.5 Gb/s`. Ranges, fibre types and guesses
/// are no rates.
fn labelled_rate(text: &str) -> Option<u64> {
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let split = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(split);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "kbps" | "kb/s" | "kbit/s" => 1e3,
        "mbps" | "mb/s" | "mbit/s" => 1e6,
        "gbps" | "gb/s" | "gbit/s" => 1e9,
        _ => return None,
    };
    let rate = number.parse::<f64>().ok()? * factor;
    (rate >= 1.0).then_some(rate as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_rates_are_read_from_labels() {
        assert_eq!(labelled_rate("2.5 Gbps"), Some(2_500_000_000));
        assert_eq!(labelled_rate("155Mbit/s"), Some(155_000_000));
        for text in ["10-20Gbps", "< 10 Gbps", "Dark Fibre", "", "10", "OC-48"] {
            assert_eq!(labelled_rate(text), None, "{text}");
        }
    }
}
