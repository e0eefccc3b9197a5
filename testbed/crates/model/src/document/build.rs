//! Trees made by this crate rather than by a person: generated and imported nodes and links. Every part carries the
//! place it was made for, so that what is wrong with it is shown there.

use super::tree::{Key, Map, Scalar, Span, Tree, Value};

/// A single value.
pub(crate) fn text(text: impl Into<String>, span: Span) -> Tree {
    Tree {
        value: Value::Scalar(Scalar {
            text: text.into(),
            plain: true,
        }),
        span,
    }
}

/// A list of single values.
pub(crate) fn list(items: &[&str], span: Span) -> Tree {
    Tree {
        value: Value::List(items.iter().map(|item| text(*item, span)).collect()),
        span,
    }
}

/// A mapping.
pub(crate) fn map(entries: Vec<(&str, Tree)>, span: Span) -> Tree {
    let entries = entries
        .into_iter()
        .map(|(key, value)| (self::key(key, span), value));
    Tree {
        value: Value::Map(Map {
            entries: entries.collect(),
        }),
        span,
    }
}

pub(crate) fn key(text: &str, span: Span) -> Key {
    Key {
        text: text.to_owned(),
        span,
    }
}
