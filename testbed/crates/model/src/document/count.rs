//! `count: 3` on a node or link named with `{i}`: three of them.

use super::tree::{Key, Map, Tree, Value};
use crate::error::{Fault, Problem, Problems};

/// More nodes or links than this are refused rather than built.
pub(crate) const LIMIT: u64 = 20_000;
/// More values than this in all copies of one item are refused too: a small file must not fill the memory.
const VALUES: u64 = 4_000_000;

/// Expands the counts in `nodes` and `links`.
pub(crate) fn expand(root: &mut Tree, problems: &mut Problems) {
    let Value::Map(map) = &mut root.value else { return };
    if let Some(Tree {
        value: Value::Map(nodes),
        ..
    }) = map.get_mut("nodes")
    {
        expand_nodes(nodes, problems);
    }
    if let Some(Tree {
        value: Value::List(links),
        ..
    }) = map.get_mut("links")
    {
        expand_links(links, problems);
    }
}

fn expand_nodes(nodes: &mut Map, problems: &mut Problems) {
    let mut all = Vec::with_capacity(nodes.entries.len());
    for (key, mut node) in std::mem::take(&mut nodes.entries) {
        let Some(count) = take_count(&mut node, all.len(), problems) else {
            all.push((key, node));
            continue;
        };
        if count != Some(1) && !key.text.contains("{i") {
            let fault = Fault::CountWithoutIndex {
                name: key.text.clone(),
            };
            problems.add(Problem::new(fault, key.span).label("must contain `{i}`"));
            continue;
        }
        for index in 1..=count.unwrap_or(0) {
            let name = Key {
                text: substitute(&key.text, index),
                span: key.span,
            };
            all.push((name, with_index(&node, index)));
        }
    }
    report_repeated(&all, problems);
    nodes.entries = all;
}

/// Counts can make a name that is there already; written duplicates were reported with the file.
fn report_repeated(all: &[(Key, Tree)], problems: &mut Problems) {
    let mut first = std::collections::HashMap::with_capacity(all.len());
    for (key, _) in all {
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

fn expand_links(links: &mut Vec<Tree>, problems: &mut Problems) {
    let mut all = Vec::with_capacity(links.len());
    for mut link in std::mem::take(links) {
        match take_count(&mut link, all.len(), problems) {
            None => all.push(link),
            Some(count) => all.extend((1..=count.unwrap_or(0)).map(|index| with_index(&link, index))),
        }
    }
    *links = all;
}

/// `None` without a count; `Some(None)` for one that cannot be used (and was reported).
#[expect(
    clippy::option_option,
    reason = "absent and unusable are different answers here"
)]
fn take_count(item: &mut Tree, so_far: usize, problems: &mut Problems) -> Option<Option<u64>> {
    let Value::Map(map) = &mut item.value else {
        return None;
    };
    let (_, count) = map.take("count")?;
    let Some(number) = count.as_text().and_then(|text| text.parse::<u64>().ok()) else {
        let fault = Fault::WrongType {
            found: format!("`{}`", count.as_text().unwrap_or(count.describe())),
            expected: "a whole number".to_owned(),
        };
        problems.add(Problem::new(fault, count.span).label("how many"));
        return Some(None);
    };
    let fault = if number.saturating_add(so_far as u64) > LIMIT {
        Fault::TooMany { limit: LIMIT }
    } else if number.saturating_mul(size(item)) > VALUES {
        Fault::TooBig { limit: VALUES }
    } else {
        return Some(Some(number));
    };
    problems.add(Problem::new(fault, count.span).label("too many"));
    Some(None)
}

/// Number of values in a tree.
fn size(tree: &Tree) -> u64 {
    1 + match &tree.value {
        Value::Null | Value::Scalar(_) => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(map) => map.entries.iter().map(|(_, value)| size(value)).sum(),
    }
}

fn with_index(tree: &Tree, index: u64) -> Tree {
    let value = match &tree.value {
        Value::Null => Value::Null,
        Value::Scalar(scalar) => {
            let mut scalar = scalar.clone();
            if scalar.text.contains('{') {
                scalar.text = substitute(&scalar.text, index);
                // `"{i}0"` needs its quotes in YAML, but stands for a number.
                scalar.plain = true;
            }
            Value::Scalar(scalar)
        }
        Value::List(items) => Value::List(items.iter().map(|item| with_index(item, index)).collect()),
        Value::Map(map) => Value::Map(Map {
            entries: map
                .entries
                .iter()
                .map(|(key, value)| {
                    let text = if key.text.contains('{') {
                        substitute(&key.text, index)
                    } else {
                        key.text.clone()
                    };
                    (Key { text, span: key.span }, with_index(value, index))
                })
                .collect(),
        }),
    };
    Tree {
        value,
        span: tree.span,
    }
}

/// Replaces `{i}`, `{i+N}` and `{i-N}`; other braces stay.
pub(crate) fn substitute(text: &str, index: u64) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("{i") {
        let (before, from) = rest.split_at(open);
        result.push_str(before);
        let expression = from.split_once('}').map(|(expression, _)| expression);
        match expression
            .and_then(|expression| evaluate(&expression[2..], index).map(|value| (expression, value)))
        {
            Some((expression, value)) => {
                result.push_str(&value.to_string());
                rest = &from[expression.len() + 1..];
            }
            None => {
                result.push_str("{i");
                rest = &from[2..];
            }
        }
    }
    result.push_str(rest);
    result
}

fn evaluate(offset: &str, index: u64) -> Option<u64> {
    if offset.is_empty() {
        return Some(index);
    }
    match offset.split_at_checked(1)? {
        ("+", number) => index.checked_add(number.trim().parse().ok()?),
        ("-", number) => index.checked_sub(number.trim().parse().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_may_be_shifted_and_other_braces_stay() {
        assert_eq!(substitute("h{i}", 7), "h7");
        assert_eq!(substitute("{i-1}--{i+1}", 7), "6--8");
        assert_eq!(substitute("${i}{x}{i*2}", 7), "$7{x}{i*2}");
        assert_eq!(substitute("{i-9}{i", 7), "{i-9}{i");
    }
}
