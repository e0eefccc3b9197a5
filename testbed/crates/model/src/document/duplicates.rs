//! Finds keys written twice. YAML libraries tend to let the last one win, which makes a node vanish.

use std::collections::HashMap;

use super::tree::{Span, Tree, Value};
use crate::error::{Fault, Problem, Problems};

/// Reports every key that a mapping anywhere in `tree` has twice.
pub(crate) fn check(tree: &Tree, problems: &mut Problems) {
    walk(tree, 0, "", problems);
}

fn walk(tree: &Tree, depth: usize, parent: &str, problems: &mut Problems) {
    match &tree.value {
        Value::List(items) => items.iter().for_each(|item| walk(item, depth + 1, "", problems)),
        Value::Map(map) => {
            let mut first: HashMap<&str, Span> = HashMap::with_capacity(map.entries.len());
            for (key, value) in &map.entries {
                if let Some(before) = first.insert(&key.text, key.span) {
                    let name = key.text.clone();
                    let fault = if depth == 1 && parent == "nodes" {
                        Fault::DuplicateNode { name }
                    } else {
                        Fault::DuplicateKey { key: name }
                    };
                    problems.add(
                        Problem::new(fault, key.span)
                            .label("again here")
                            .also(before, "first here"),
                    );
                }
                walk(value, depth + 1, &key.text, problems);
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}
