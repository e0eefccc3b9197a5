//! GML (Himsolt, Graph Modelling Language): keys, each with a number, a text in quotes or a list in brackets.

use super::graph::{Attributes, Graph, GraphEdge, GraphNode};
use crate::document::tree::Span;
use crate::error::{Fault, Problem};

/// No file has lists that deep; the reader calls itself for each level.
const DEEPEST: usize = 16;

enum Value {
    Text(String),
    List(Vec<Entry>),
}

struct Entry {
    key: String,
    span: Span,
    value: Value,
}

pub(super) fn read(text: &str, source: u32) -> Result<Graph, Problem> {
    let mut reader = Reader { text, source, at: 0 };
    let entries = reader.list(0)?;
    let graph = entries.iter().find_map(|entry| match &entry.value {
        Value::List(list) if entry.key == "graph" => Some(list),
        _ => None,
    });
    let Some(graph) = graph else {
        let fault = Fault::NotAGraph {
            format: "GML".to_owned(),
        };
        let span = Span {
            source,
            ..Span::default()
        };
        return Err(Problem::new(fault, span).label("no `graph [ … ]` in it"));
    };
    let directed = graph
        .iter()
        .any(|entry| entry.key == "directed" && matches!(&entry.value, Value::Text(text) if text == "1"));
    let mut found = Graph::default();
    for entry in graph {
        let Value::List(list) = &entry.value else { continue };
        match entry.key.as_str() {
            "node" => found.nodes.push(GraphNode {
                id: required(list, "id", entry.span)?,
                span: entry.span,
                attributes: attributes(list),
            }),
            "edge" => found.edges.push(GraphEdge {
                source: required(list, "source", entry.span)?,
                target: required(list, "target", entry.span)?,
                directed,
                span: entry.span,
                attributes: attributes(list),
            }),
            _ => {}
        }
    }
    if found.nodes.is_empty() {
        let span = Span {
            source,
            ..Span::default()
        };
        return Err(Problem::new(Fault::NoNodes, span).label("this graph is empty"));
    }
    Ok(found)
}

fn required(list: &[Entry], key: &str, place: Span) -> Result<String, Problem> {
    list.iter()
        .find_map(|entry| match &entry.value {
            Value::Text(text) if entry.key == key => Some(text.clone()),
            _ => None,
        })
        .ok_or_else(|| {
            Problem::new(Fault::MissingKey { key: key.to_owned() }, place).label("has no such key")
        })
}

fn attributes(list: &[Entry]) -> Attributes {
    let texts = list.iter().filter_map(|entry| match &entry.value {
        Value::Text(text) => Some((entry.key.clone(), (text.clone(), entry.span))),
        Value::List(_) => None,
    });
    texts.collect()
}

struct Reader<'a> {
    text: &'a str,
    source: u32,
    at: usize,
}

impl Reader<'_> {
    /// Entries up to the closing bracket, or to the end of the file at the outermost level.
    fn list(&mut self, depth: usize) -> Result<Vec<Entry>, Problem> {
        let opened = self.at.saturating_sub(1);
        let mut entries = Vec::new();
        loop {
            self.skip_blanks();
            match self.rest().chars().next() {
                None if depth == 0 => return Ok(entries),
                None => return Err(self.wrong("a bracket is not closed", opened, 1)),
                Some(']') if depth > 0 => {
                    self.at += 1;
                    return Ok(entries);
                }
                Some(letter) if letter.is_ascii_alphabetic() || letter == '_' => {
                    entries.push(self.entry(depth)?)
                }
                Some(letter) => return Err(self.wrong("expected a key", self.at, letter.len_utf8())),
            }
        }
    }

    fn entry(&mut self, depth: usize) -> Result<Entry, Problem> {
        let start = self.at;
        let key = self.word().to_owned();
        self.skip_blanks();
        let value = match self.rest().chars().next() {
            Some('[') if depth >= DEEPEST => return Err(self.wrong("lists are nested too deep", self.at, 1)),
            Some('[') => {
                self.at += 1;
                Value::List(self.list(depth + 1)?)
            }
            Some('"') => Value::Text(self.quoted()?),
            Some(letter) if letter.is_ascii_alphanumeric() || "+-._".contains(letter) => {
                Value::Text(self.word().to_owned())
            }
            _ => return Err(self.wrong("a key has no value", start, key.len())),
        };
        let span = Span {
            source: self.source,
            start: u32::try_from(start).unwrap_or(u32::MAX),
            length: u32::try_from(key.len()).unwrap_or(0),
        };
        Ok(Entry { key, span, value })
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// Blanks, and lines that begin with `#`.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn word(&mut self) -> &str {
        let start = self.at;
        let end = self
            .rest()
            .find(|letter: char| !letter.is_ascii_alphanumeric() && !"+-._".contains(letter))
            .unwrap_or(self.rest().len());
        self.at += end;
        self.text.get(start..self.at).unwrap_or("")
    }

    fn quoted(&mut self) -> Result<String, Problem> {
        let start = self.at;
        self.at += 1;
        let Some(length) = self.rest().find('"') else {
            return Err(self.wrong("a quote is not closed", start, 1));
        };
        let text = self.rest().get(..length).unwrap_or("").to_owned();
        self.at += length + 1;
        Ok(text)
    }

    fn wrong(&self, reason: &str, start: usize, length: usize) -> Problem {
        let span = Span {
            source: self.source,
            start: u32::try_from(start).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(0),
        };
        let reason = reason.to_owned();
        Problem::new(Fault::NotGml { reason }, span).label("here")
    }
}
