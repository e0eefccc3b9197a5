//! `--set a.b.c=VALUE`, and the scenario's `set:`: values laid over a topology's tree.

use super::Override;
use super::sources::Sources;
use super::tree::{Key, Span, Tree, Value};
use crate::error::{Fault, Problem};
use crate::yaml;

/// One value for one place of a tree.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) path: Vec<Key>,
    pub(crate) value: Tree,
}

/// What became of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Its node, or any link, is not there. It may appear when counts and generators are expanded.
    NoSuchNode,
}

/// Reads a `--set` argument.
pub(crate) fn read(argument: &Override, sources: &mut Sources) -> Result<Assignment, Problem> {
    let source = sources.add_argument(format!("{}={}", argument.path, argument.value));
    let whole = Span {
        source,
        start: 0,
        length: u32::try_from(argument.path.len()).unwrap_or(u32::MAX),
    };
    let path = split(&argument.path, whole)?;
    let mut value = yaml::parse(&argument.value, source)?;
    // The value was parsed on its own; in the argument it stands behind the path and the equals sign.
    shift(&mut value, whole.length + 1);
    if argument.value.trim().is_empty() {
        value.value = Value::Null;
    }
    Ok(Assignment { path, value })
}

fn shift(tree: &mut Tree, by: u32) {
    tree.span.start += by;
    match &mut tree.value {
        Value::List(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Value::Map(map) => {
            for (key, value) in &mut map.entries {
                key.span.start += by;
                shift(value, by);
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

/// Splits `a.b."c.d"` into keys that point into `whole`.
pub(crate) fn split(path: &str, whole: Span) -> Result<Vec<Key>, Problem> {
    let mut keys = Vec::new();
    let mut rest = path;
    loop {
        let start = path.len() - rest.len();
        let (text, after) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some((text, after)) => (text, after),
                None => {
                    let fault = Fault::Value {
                        message: format!("a quote in `{path}` is not closed"),
                    };
                    return Err(Problem::new(fault, whole.part(start, rest.len())));
                }
            },
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        let length = rest.len() - after.len();
        if text.is_empty() {
            let fault = Fault::Value {
                message: format!("`{path}` has an empty key"),
            };
            return Err(Problem::new(fault, whole.part(start, length.max(1))));
        }
        keys.push(Key {
            text: text.to_owned(),
            span: whole.part(start, length),
        });
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(keys),
            None => {
                let fault = Fault::Value {
                    message: format!("`{path}` goes on behind a quote"),
                };
                return Err(Problem::new(fault, whole.part(start + length, after.len())));
            }
        }
    }
}

/// Puts the value in its place, making the mappings on the way there if need be. Nodes and items of lists are
/// not made: naming one that is not there is a mistake.
pub(crate) fn apply(root: &mut Tree, assignment: &Assignment) -> Result<Outcome, Problem> {
    let Some((last, way)) = assignment.path.split_last() else {
        return Ok(Outcome::Done);
    };
    let mut here = root;
    for (depth, key) in way.iter().enumerate() {
        if depth == 1 && way[0].text == "nodes" && here.get(&key.text).is_none() {
            return Ok(Outcome::NoSuchNode);
        }
        if depth == 0 && key.text == "links" && here.get("links").is_none_or(Tree::is_null) {
            return Ok(Outcome::NoSuchNode);
        }
        here = step(here, key)?;
    }
    match &mut here.value {
        Value::Map(map) => {
            if way.len() == 1 && way[0].text == "nodes" && map.get(&last.text).is_none() {
                return Ok(Outcome::NoSuchNode);
            }
            map.set(last.clone(), assignment.value.clone());
        }
        Value::List(_) => *step(here, last)? = assignment.value.clone(),
        _ => return Err(no_keys(last)),
    }
    Ok(Outcome::Done)
}

fn step<'a>(here: &'a mut Tree, key: &Key) -> Result<&'a mut Tree, Problem> {
    if here.is_null() {
        *here = Tree::empty_map(key.span);
    }
    match &mut here.value {
        Value::Map(map) => {
            if map.get(&key.text).is_none() {
                map.set(key.clone(), Tree::empty_map(key.span));
            }
            map.get_mut(&key.text).ok_or_else(|| no_keys(key))
        }
        Value::List(items) => {
            let names: Vec<String> = items.iter().map(item_name).collect();
            let place = names
                .iter()
                .position(|name| same_name(name, &key.text))
                .or_else(|| key.text.parse().ok().filter(|index| *index < items.len()));
            match place {
                Some(place) => Ok(&mut items[place]),
                None => Err(Problem::new(
                    Fault::UnknownItem {
                        name: key.text.clone(),
                    },
                    key.span,
                )
                .label("nothing in the list has this name")
                .suggest(
                    &key.text,
                    names.iter().map(String::as_str).filter(|name| !name.is_empty()),
                )),
            }
        }
        _ => Err(no_keys(key)),
    }
}

fn no_keys(key: &Key) -> Problem {
    let message = format!("`{}` leads into a value that has no keys", key.text);
    Problem::new(Fault::Value { message }, key.span).label("here")
}

/// The name of an item of a list: its `name`, or for links the nodes joined by `--`.
fn item_name(item: &Tree) -> String {
    if let Some(name) = item.get("name").and_then(Tree::as_text) {
        return name.to_owned();
    }
    let ends = item.get("endpoints").and_then(Tree::as_list).unwrap_or_default();
    let nodes: Vec<&str> = ends
        .iter()
        .filter_map(Tree::as_text)
        .map(|end| end.split(':').next().unwrap_or(end))
        .collect();
    nodes.join("--")
}

fn same_name(name: &str, asked: &str) -> bool {
    let swapped = asked
        .split_once("--")
        .is_some_and(|(left, right)| name == format!("{right}--{left}"));
    name == asked || swapped
}
