//! Defaults under nodes, key by key, before types are decoded. (Those of links are layered later, with presets.)

use crate::document::tree::{Key, Tree, Value};

/// The sections of a topology's tree, defaults already laid under nodes.
pub(crate) struct Sections {
    /// Everything but nodes and links, for the file type.
    pub(super) head: Tree,
    pub(super) nodes: Vec<(Key, Tree)>,
    pub(super) links: Vec<Tree>,
    /// A section that is not of the right shape.
    pub(super) misshapen: Vec<(Key, Tree, &'static str)>,
}

/// Takes `root` apart.
pub(crate) fn sections(mut root: Tree) -> Sections {
    let mut misshapen = Vec::new();
    let (mut nodes, mut links) = (Vec::new(), Vec::new());
    let mut defaults = None;
    if let Value::Map(map) = &mut root.value {
        defaults = map.get("defaults").cloned();
        match map.take("nodes") {
            Some((
                _,
                Tree {
                    value: Value::Map(section),
                    ..
                },
            )) => nodes = section.entries,
            Some((key, tree)) if !tree.is_null() => {
                misshapen.push((key, tree, "a mapping of names to nodes"))
            }
            _ => {}
        }
        match map.take("links") {
            Some((
                _,
                Tree {
                    value: Value::List(section),
                    ..
                },
            )) => links = section,
            Some((key, tree)) if !tree.is_null() => misshapen.push((key, tree, "a list of links")),
            _ => {}
        }
    }
    if let Some(defaults) = &defaults {
        nodes = nodes
            .into_iter()
            .map(|(key, node)| (key, node_over_default(node, defaults)))
            .collect();
    }
    Sections {
        head: root,
        nodes,
        links,
        misshapen,
    }
}

fn node_over_default(node: Tree, defaults: &Tree) -> Tree {
    let default = node
        .get("kind")
        .and_then(Tree::as_text)
        .and_then(|kind| defaults.get(kind));
    match default {
        Some(default) => node.over(default),
        None => node,
    }
}
