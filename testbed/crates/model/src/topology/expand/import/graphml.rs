//! GraphML (graphml.graphdrawing.org): keys with names and defaults, nodes and edges with data.

use std::collections::HashMap;

use roxmltree::{Document, Node, ParsingOptions};

use super::graph::{Attributes, Graph, GraphEdge, GraphNode};
use crate::document::tree::Span;
use crate::error::{Fault, Problem};

/// Elements, texts and comments of one file: more than any graph that this tool would run.
const MOST_XML_NODES: u32 = 2_000_000;

/// The keys of one file: attribute names and defaults by `id`.
type Keys<'a> = HashMap<&'a str, Key<'a>>;

struct Key<'a> {
    name: &'a str,
    /// `node`, `edge`, `graph` or `all`.
    domain: &'a str,
    default: Option<(&'a str, Span)>,
}

pub(super) fn read(text: &str, source: u32) -> Result<Graph, Problem> {
    let options = ParsingOptions {
        nodes_limit: MOST_XML_NODES,
        ..ParsingOptions::default()
    };
    let document =
        Document::parse_with_options(text, options).map_err(|error| not_xml(text, source, &error))?;
    let root = document.root_element();
    let graph = root
        .descendants()
        .find(|node| node.has_tag_name("graph") || local(*node, "graph"));
    let Some(graph) = graph.filter(|_| local(root, "graphml")) else {
        let fault = Fault::NotAGraph {
            format: "GraphML".to_owned(),
        };
        return Err(Problem::new(fault, span(root, source)).label("no `graphml` with a `graph` in it"));
    };
    let keys = keys(root, source);
    let directed = graph.attribute("edgedefault") == Some("directed");
    let mut found = Graph::default();
    for element in graph.children().filter(Node::is_element) {
        let place = span(element, source);
        if local(element, "node") {
            found.nodes.push(GraphNode {
                id: required(element, "id", place)?,
                span: place,
                attributes: attributes(element, "node", &keys, source),
            });
        } else if local(element, "edge") {
            found.edges.push(GraphEdge {
                source: required(element, "source", place)?,
                target: required(element, "target", place)?,
                directed: element
                    .attribute("directed")
                    .map_or(directed, |text| text == "true"),
                span: place,
                attributes: attributes(element, "edge", &keys, source),
            });
        }
    }
    if found.nodes.is_empty() {
        return Err(Problem::new(Fault::NoNodes, span(graph, source)).label("this graph is empty"));
    }
    Ok(found)
}

fn local(node: Node<'_, '_>, name: &str) -> bool {
    node.tag_name().name() == name
}

fn required(element: Node<'_, '_>, name: &str, place: Span) -> Result<String, Problem> {
    element.attribute(name).map(str::to_owned).ok_or_else(|| {
        Problem::new(Fault::MissingKey { key: name.to_owned() }, place).label("has no such attribute")
    })
}

fn keys<'a>(root: Node<'a, 'a>, source: u32) -> Keys<'a> {
    let keys = root.children().filter(|node| local(*node, "key"));
    keys.filter_map(|key| {
        let default = key.children().find(|child| local(*child, "default"));
        Some((
            key.attribute("id")?,
            Key {
                name: key.attribute("attr.name")?,
                domain: key.attribute("for").unwrap_or("all"),
                default: default.and_then(|child| Some((child.text()?, span(child, source)))),
            },
        ))
    })
    .collect()
}

fn attributes(element: Node<'_, '_>, domain: &str, keys: &Keys<'_>, source: u32) -> Attributes {
    let mut found = Attributes::new();
    for key in keys
        .values()
        .filter(|key| key.domain == domain || key.domain == "all")
    {
        if let Some((text, place)) = key.default {
            found.insert(key.name.to_owned(), (text.to_owned(), place));
        }
    }
    for data in element.children().filter(|child| local(*child, "data")) {
        let key = data.attribute("key").and_then(|id| keys.get(id));
        if let (Some(key), Some(text)) = (key, data.text()) {
            found.insert(key.name.to_owned(), (text.to_owned(), span(data, source)));
        }
    }
    found
}

/// The first line of an element.
fn span(node: Node<'_, '_>, source: u32) -> Span {
    let range = node.range();
    let text = node.document().input_text().get(range.clone()).unwrap_or("");
    let length = text.find('\n').unwrap_or(text.len());
    Span {
        source,
        start: u32::try_from(range.start).unwrap_or(u32::MAX),
        length: u32::try_from(length).unwrap_or(0),
    }
}

fn not_xml(text: &str, source: u32, error: &roxmltree::Error) -> Problem {
    let position = error.pos();
    let row = usize::try_from(position.row.saturating_sub(1)).unwrap_or(0);
    let before: usize = text.split_inclusive('\n').take(row).map(str::len).sum();
    let column = usize::try_from(position.col.saturating_sub(1)).unwrap_or(0);
    let line = text.get(before..).unwrap_or("");
    let within = line
        .char_indices()
        .nth(column)
        .map_or(line.len(), |(offset, _)| offset);
    let mut reason = error.to_string();
    // The place is shown by the caret.
    if let Some(end) = reason.rfind(" at ") {
        reason.truncate(end);
    }
    let span = Span {
        source,
        start: u32::try_from(before + within).unwrap_or(u32::MAX),
        length: 0,
    };
    Problem::new(Fault::NotXml { reason }, span).label("here")
}
