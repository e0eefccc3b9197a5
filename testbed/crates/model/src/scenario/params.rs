//! Parameters: names for values, used alone (`T`) or multiplied (`3T`).

use std::str::FromStr;
use std::time::Duration;

use indexmap::IndexMap;

use crate::document::literal::Literal;
use crate::document::spanned::Spanned;
use crate::document::tree::Span;
use crate::error::{Fault, Problem};
use crate::units::{TimeSpan, UnitError};

/// A parameter may stand for another, but not for ever.
const DEEPEST: usize = 8;

/// The parameters of one cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    values: IndexMap<String, Spanned<Literal>>,
}

impl Parameters {
    pub(super) fn set(&mut self, name: &str, value: Spanned<Literal>) {
        self.values.insert(name.to_owned(), value);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Names and values as text.
    pub(super) fn texts(&self) -> IndexMap<String, String> {
        self.values
            .iter()
            .map(|(name, value)| (name.clone(), value.value.0.clone()))
            .collect()
    }

    /// The value itself, or that of the parameter it names, and where that is written.
    pub(super) fn text<'a>(&'a self, value: &'a Spanned<Literal>) -> Result<(&'a str, Span), Problem> {
        let mut here = value;
        for _ in 0..DEEPEST {
            match self.values.get(&here.value.0) {
                Some(next) => here = next,
                None => return Ok((&here.value.0, here.span)),
            }
        }
        Err(cyclic(&value.value.0, value.span))
    }

    /// A quantity, perhaps given by a parameter.
    pub(super) fn quantity<T: FromStr<Err = UnitError>>(
        &self,
        value: &Spanned<Literal>,
    ) -> Result<T, Problem> {
        let (text, span) = self.text(value)?;
        text.parse().map_err(|error| unit_problem(&error, span))
    }

    /// A time: `40s`, or `8T` with a parameter `T` that is a time.
    pub(super) fn time(&self, value: &Spanned<Literal>) -> Result<Duration, Problem> {
        self.time_within(value, DEEPEST)
    }

    fn time_within(&self, value: &Spanned<Literal>, depth: usize) -> Result<Duration, Problem> {
        if depth == 0 {
            return Err(cyclic(&value.value.0, value.span));
        }
        let text = value.value.0.trim();
        if let Some(base) = self.values.get(text) {
            return self.time_within(base, depth - 1);
        }
        let name_at = text
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(text.len());
        let (factor, name) = text.split_at(name_at);
        let name = name.trim_start();
        if let (false, Some(base)) = (factor.is_empty(), self.values.get(name)) {
            let base = self.time_within(base, depth - 1)?;
            return TimeSpan::multiple(factor, base)
                .map(|time| time.0)
                .map_err(|error| unit_problem(&error, value.span));
        }
        text.parse::<TimeSpan>()
            .map(|time| time.0)
            .map_err(|error| self.not_a_time(&error, value, factor, name))
    }

    /// The time `text` stands for, if it is a multiple of a parameter.
    pub(super) fn multiple(&self, text: &str) -> Option<Duration> {
        let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        if end == 0 || !self.has(text[end..].trim_start()) {
            return None;
        }
        let place = Spanned {
            value: Literal(text.to_owned()),
            span: Span::default(),
        };
        self.time(&place).ok()
    }

    fn not_a_time(&self, error: &UnitError, value: &Spanned<Literal>, factor: &str, name: &str) -> Problem {
        // Something like `3X` or `X` looks like a parameter; `10msec` like a unit.
        let unknown = match error {
            UnitError::UnknownUnit { .. } | UnitError::NoNumber { .. } => is_name(name),
            _ => false,
        };
        if !unknown || self.values.is_empty() && !factor.is_empty() {
            return unit_problem(error, value.span);
        }
        let units = ["ms", "s", "m", "h"];
        let known = self
            .names()
            .chain(units.into_iter().filter(|_| !factor.is_empty()));
        Problem::new(
            Fault::BadTime {
                text: value.value.0.clone(),
            },
            value.span,
        )
        .label(format!("`{name}` is neither a unit nor a parameter"))
        .suggest(name, known)
    }
}

/// Whether this can name a parameter. Units of time cannot: `5m` would be ambiguous.
pub(super) fn check_name(name: &Spanned<String>) -> Result<(), Problem> {
    let rule = if TimeSpan::is_unit(&name.value) {
        "it is a unit of time"
    } else if is_name(&name.value) {
        return Ok(());
    } else {
        "letters, digits and `_`, beginning with a letter"
    };
    let fault = Fault::BadName {
        name: name.value.clone(),
        what: "a parameter".to_owned(),
        rule: rule.to_owned(),
    };
    Err(Problem::new(fault, name.span).label("here"))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn cyclic(name: &str, span: Span) -> Problem {
    Problem::new(
        Fault::CyclicParameter {
            name: name.to_owned(),
        },
        span,
    )
    .label("here")
}

/// A quantity that cannot be read, at its place.
pub(super) fn unit_problem(error: &UnitError, span: Span) -> Problem {
    let problem = Problem::new(
        Fault::Value {
            message: error.to_string(),
        },
        span,
    )
    .label("here");
    match error.help() {
        Some(help) => problem.help(help),
        None => problem,
    }
}
