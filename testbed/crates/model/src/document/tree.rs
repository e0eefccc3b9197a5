//! A YAML document as a tree in which every key and value knows where it was written.
//!
//! Includes, overrides, `count:` and defaults are merged on this tree, before any type is decoded, so that a
//! value that came from an included file or from `--set` is still reported at the place where it was written.

/// A stretch of bytes in one of the sources (see [`super::sources::Sources`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub(crate) source: u32,
    pub(crate) start: u32,
    pub(crate) length: u32,
}

impl Span {
    /// The part of this span from `offset`, `length` bytes long; used to point inside a scalar.
    pub(crate) fn part(self, offset: usize, length: usize) -> Span {
        let whole = self.length as usize;
        let offset = offset.min(whole);
        Span {
            source: self.source,
            start: self.start + u32::try_from(offset).unwrap_or(0),
            length: u32::try_from(length.min(whole - offset)).unwrap_or(0),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// What a YAML value can be.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Tree>),
    Map(Map),
}

/// A scalar as written; `plain` ones (without quotes) may be read as a number or a boolean.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) plain: bool,
}

/// A key and its place.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// A mapping in the order written. Duplicates are kept here and reported by [`super::duplicates`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    pub(crate) entries: Vec<(Key, Tree)>,
}

impl Tree {
    pub(crate) fn empty_map(span: Span) -> Tree {
        Tree {
            value: Value::Map(Map::default()),
            span,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Tree]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        self.as_map().and_then(|map| map.get(key))
    }

    /// What this is, for an error message.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Lays `self` over `base`: mappings merge key by key, anything else in `self` wins, except a key
    /// without a value, which leaves the base as it is.
    pub(crate) fn over(self, base: &Tree) -> Tree {
        let span = self.span;
        match (self.value, &base.value) {
            (Value::Map(own), Value::Map(under)) => Tree {
                value: Value::Map(own.over(under)),
                span,
            },
            (Value::Null, _) => base.clone(),
            (value, _) => Tree { value, span },
        }
    }
}

impl Map {
    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        self.entries
            .iter()
            .find(|(name, _)| name.text == key)
            .map(|(_, tree)| tree)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Tree> {
        self.entries
            .iter_mut()
            .find(|(name, _)| name.text == key)
            .map(|(_, tree)| tree)
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<(Key, Tree)> {
        let place = self.entries.iter().position(|(name, _)| name.text == key)?;
        Some(self.entries.remove(place))
    }

    /// Sets `key`, keeping the place of an existing entry.
    pub(crate) fn set(&mut self, key: Key, value: Tree) {
        match self.entries.iter_mut().find(|(name, _)| name.text == key.text) {
            Some(entry) => *entry = (key, value),
            None => self.entries.push((key, value)),
        }
    }

    fn over(self, under: &Map) -> Map {
        let mut merged = under.clone();
        for (key, value) in self.entries {
            match merged.entries.iter_mut().find(|(name, _)| name.text == key.text) {
                Some(entry) => {
                    let value = value.over(&entry.1);
                    *entry = (key, value);
                }
                None => merged.entries.push((key, value)),
            }
        }
        merged
    }
}
