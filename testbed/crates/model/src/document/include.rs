//! Reads a topology file and everything it includes into one tree.

use super::Loader;
use super::path;
use super::sources::Sources;
use super::tree::{Key, Span, Tree, Value};
use crate::error::{Fault, Problem, Problems};
use crate::yaml;

const INCLUDE: &str = "include";
/// Deeper than any honest file; bounds the work a hostile one can cause.
const DEEPEST: usize = 16;

/// Reads `path` and its includes. `None` if nothing usable came of it; why is in `problems`.
pub(crate) fn read(
    path: &str,
    loader: &dyn Loader,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<Tree> {
    let mut reader = Reader {
        loader,
        sources,
        problems,
        open: Vec::new(),
    };
    reader.file(&path::normal(path), None)
}

/// Reads one file that includes nothing.
pub(crate) fn read_one(
    path: &str,
    named_at: Option<Span>,
    loader: &dyn Loader,
    sources: &mut Sources,
) -> Result<Tree, Problem> {
    let text = loader.load(path).map_err(|reason| {
        let fault = Fault::CannotRead {
            path: path.to_owned(),
            reason,
        };
        match named_at {
            Some(span) => Problem::new(fault, span).label("named here"),
            None => Problem::without_place(fault),
        }
    })?;
    let source = sources.add_file(path, text);
    let text = sources
        .get(source)
        .map(|source| std::sync::Arc::clone(&source.text))
        .unwrap_or_default();
    let tree = yaml::parse(&text, source)?;
    match tree.value {
        Value::Map(_) => Ok(tree),
        _ => Err(Problem::new(
            Fault::NotAMapping {
                found: tree.describe().to_owned(),
            },
            tree.span,
        )
        .label("the file must be a mapping of keys to values")),
    }
}

struct Reader<'a> {
    loader: &'a dyn Loader,
    sources: &'a mut Sources,
    problems: &'a mut Problems,
    /// Files being read, outermost first, and where each was named.
    open: Vec<String>,
}

impl Reader<'_> {
    fn file(&mut self, path: &str, named_at: Option<Span>) -> Option<Tree> {
        if let (Some(span), true) = (named_at, self.open.iter().any(|open| open == path)) {
            let chain = format!("{} → {path}", self.open.join(" → "));
            self.problems
                .add(Problem::new(Fault::CyclicInclude { chain }, span).label("includes itself"));
            return None;
        }
        if let (Some(span), true) = (named_at, self.open.len() >= DEEPEST) {
            self.problems
                .add(Problem::new(Fault::DeepInclude { limit: DEEPEST }, span));
            return None;
        }
        let read = read_one(path, named_at, self.loader, self.sources);
        let tree = self.problems.keep(read)?;
        super::duplicates::check(&tree, self.problems);
        self.open.push(path.to_owned());
        let tree = self.with_includes(tree, path);
        self.open.pop();
        Some(tree)
    }

    fn with_includes(&mut self, mut tree: Tree, path: &str) -> Tree {
        let Value::Map(map) = &mut tree.value else {
            return tree;
        };
        let Some((_, list)) = map.take(INCLUDE) else {
            return tree;
        };
        let items = match list.value {
            Value::List(items) => items,
            Value::Scalar(_) => vec![list],
            _ => {
                let found = list.describe().to_owned();
                let fault = Fault::WrongType {
                    found,
                    expected: "a path or a list of paths".to_owned(),
                };
                self.problems.add(Problem::new(fault, list.span));
                return tree;
            }
        };
        let mut merged: Option<Tree> = None;
        for item in items {
            let Some(relative) = item.as_text() else {
                let fault = Fault::WrongType {
                    found: item.describe().to_owned(),
                    expected: "a path".to_owned(),
                };
                self.problems.add(Problem::new(fault, item.span));
                continue;
            };
            let file = path::beside(path, relative);
            if let Some(included) = self.file(&file, Some(item.span)) {
                merged = Some(match merged {
                    Some(before) => merge(before, included, self.problems),
                    None => included,
                });
            }
        }
        match merged {
            Some(merged) => merge(merged, tree, self.problems),
            None => tree,
        }
    }
}

/// Puts `later` behind `earlier`: nodes and links are joined, anything else in `later` wins key by key.
fn merge(earlier: Tree, later: Tree, problems: &mut Problems) -> Tree {
    let span = later.span;
    let (Value::Map(mut map), Value::Map(later)) = (earlier.value, later.value) else {
        return Tree::empty_map(span);
    };
    for (key, value) in later.entries {
        match map.take(&key.text) {
            None => map.entries.push((key, value)),
            Some((_, before)) => {
                let joined = match key.text.as_str() {
                    "nodes" => join_nodes(before, value, problems),
                    "links" => join_lists(before, value),
                    _ => value.over(&before),
                };
                map.entries.push((key, joined));
            }
        }
    }
    Tree {
        value: Value::Map(map),
        span,
    }
}

fn join_nodes(before: Tree, after: Tree, problems: &mut Problems) -> Tree {
    let span = after.span;
    match (before.value, after.value) {
        (Value::Map(mut map), Value::Map(after)) => {
            let known: std::collections::HashMap<String, Span> = map
                .entries
                .iter()
                .map(|(key, _)| (key.text.clone(), key.span))
                .collect();
            for (Key { text, span }, value) in after.entries {
                if let Some(first) = known.get(&text) {
                    let fault = Fault::DuplicateNode { name: text.clone() };
                    problems.add(
                        Problem::new(fault, span)
                            .label("again here")
                            .also(*first, "first here"),
                    );
                }
                map.entries.push((Key { text, span }, value));
            }
            Tree {
                value: Value::Map(map),
                span,
            }
        }
        // Not mappings: let the decoder say what is wrong with the later one.
        (_, value) => Tree { value, span },
    }
}

fn join_lists(before: Tree, after: Tree) -> Tree {
    let span = after.span;
    match (before.value, after.value) {
        (Value::List(mut items), Value::List(more)) => {
            items.extend(more);
            Tree {
                value: Value::List(items),
                span,
            }
        }
        (_, value) => Tree { value, span },
    }
}
