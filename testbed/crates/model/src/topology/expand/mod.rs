//! `generate:` and `import:`: nodes and links that nobody wrote one by one.
//!
//! They are made as trees, as if they stood in the file before its own nodes and links, so that defaults, overrides and
//! checks treat all alike. A node of the file that has the name of a made one adds to it; its own keys win.

mod import;
mod shape;

use super::file::{GenerateFile, ImportFile, KindFile};
use crate::document::build;
use crate::document::count::LIMIT;
use crate::document::decode::decode;
use crate::document::reader::Reader;
use crate::document::tree::{Key, Map, Span, Tree, Value};
use crate::error::{Fault, Problem, Problems};
use crate::topology::DEFAULT_SEED;

/// What a generator or an import makes.
#[derive(Default)]
struct Made {
    nodes: Vec<(Key, Tree)>,
    links: Vec<Tree>,
}

/// Replaces the sections `generate` and `import` by the nodes and links they stand for.
pub(super) fn expand(root: &mut Tree, reader: &mut Reader<'_>, problems: &mut Problems) {
    let seed = root
        .get("seed")
        .and_then(Tree::as_text)
        .and_then(|text| text.parse().ok());
    let Value::Map(map) = &mut root.value else { return };
    let mut made = Made::default();
    if let Some((_, tree)) = map.take("generate").filter(|(_, tree)| !tree.is_null())
        && let Some(file) = problems.keep(decode::<GenerateFile>(&tree))
    {
        let link = tree.get("link").cloned();
        shape::make(
            &file,
            link.as_ref(),
            seed.unwrap_or(DEFAULT_SEED),
            &mut made,
            problems,
        );
    }
    if let Some((_, tree)) = map.take("import").filter(|(_, tree)| !tree.is_null())
        && let Some(file) = problems.keep(decode::<ImportFile>(&tree))
    {
        let link = tree.get("link").cloned();
        import::make(&file, link.as_ref(), reader, &mut made, problems);
    }
    if !made.nodes.is_empty() {
        join(map, made, root.span, problems);
    }
}

fn join(map: &mut Map, made: Made, whole: Span, problems: &mut Problems) {
    let mut nodes = Map { entries: made.nodes };
    report_repeated(&nodes, problems);
    match map.take("nodes") {
        Some((
            key,
            Tree {
                value: Value::Map(own),
                span,
            },
        )) => {
            let places: std::collections::HashMap<String, usize> = nodes
                .entries
                .iter()
                .enumerate()
                .map(|(place, (key, _))| (key.text.clone(), place))
                .collect();
            for (name, node) in own.entries {
                match places.get(&name.text) {
                    Some(place) => {
                        let (_, under) = &nodes.entries[*place];
                        nodes.entries[*place] = (name, node.over(under));
                    }
                    None => nodes.entries.push((name, node)),
                }
            }
            map.entries.push((
                key,
                Tree {
                    value: Value::Map(nodes),
                    span,
                },
            ));
        }
        // Of the wrong shape: it stays, to be refused.
        Some((key, other)) if !other.is_null() => map.entries.push((key, other)),
        _ => map.entries.push((
            build::key("nodes", whole),
            Tree {
                value: Value::Map(nodes),
                span: whole,
            },
        )),
    }
    let mut links = made.links;
    match map.take("links") {
        Some((
            key,
            Tree {
                value: Value::List(own),
                span,
            },
        )) => {
            links.extend(own);
            map.entries.push((
                key,
                Tree {
                    value: Value::List(links),
                    span,
                },
            ));
        }
        Some((key, other)) if !other.is_null() => map.entries.push((key, other)),
        _ => map.entries.push((
            build::key("links", whole),
            Tree {
                value: Value::List(links),
                span: whole,
            },
        )),
    }
}

fn report_repeated(nodes: &Map, problems: &mut Problems) {
    let mut first = std::collections::HashMap::new();
    for (key, _) in &nodes.entries {
        if let Some(before) = first.insert(key.text.as_str(), key.span) {
            let fault = Fault::DuplicateNode {
                name: key.text.clone(),
            };
            problems.add(
                Problem::new(fault, key.span)
                    .label("again here")
                    .also(before, "first here"),
            );
        }
    }
}

/// A node of a kind; one that is no switch and that others' packets must pass through forwards them.
fn node(kind: KindFile, passes: bool, span: Span) -> Vec<(&'static str, Tree)> {
    let mut entries = vec![("kind", build::text(kind.as_str(), span))];
    if passes && !matches!(kind, KindFile::Switch | KindFile::Router) {
        entries.push(("forward", build::text("true", span)));
    }
    entries
}

/// A link with the keys of `under` below its own.
fn link(ends: [&str; 2], mut entries: Vec<(&str, Tree)>, under: Option<&Tree>, span: Span) -> Tree {
    entries.insert(0, ("endpoints", build::list(&ends, span)));
    let link = build::map(entries, span);
    match under {
        Some(under) => link.over(under),
        None => link,
    }
}

fn too_many(span: Span) -> Problem {
    Problem::new(Fault::TooMany { limit: LIMIT }, span).label("too many")
}
