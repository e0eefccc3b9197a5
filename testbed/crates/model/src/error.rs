//! What can be wrong with a file, and how it is shown.
//!
//! A [`Fault`] says what is wrong; a [`Problem`] adds the place, a label for the caret and a suggestion; a
//! [`ModelError`] is all problems found in one pass, ready to be rendered by miette.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode, SourceSpan};

pub use crate::fault::Fault;

use crate::document::sources::Sources;
use crate::document::tree::Span;

/// More problems than this are counted, not shown.
const SHOWN: usize = 20;

/// A fault at a place.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    fault: Box<Fault>,
    span: Option<Span>,
    label: String,
    also: Vec<(Span, String)>,
    help: Option<String>,
}

impl Problem {
    pub(crate) fn new(fault: Fault, span: Span) -> Problem {
        Problem {
            fault: Box::new(fault),
            span: Some(span),
            label: String::new(),
            also: Vec::new(),
            help: None,
        }
    }

    /// A problem of the file as a whole.
    pub(crate) fn without_place(fault: Fault) -> Problem {
        Problem {
            fault: Box::new(fault),
            span: None,
            label: String::new(),
            also: Vec::new(),
            help: None,
        }
    }

    /// The words beside the caret.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Problem {
        self.label = label.into();
        self
    }

    /// A second place that takes part in the fault.
    pub(crate) fn also(mut self, span: Span, label: impl Into<String>) -> Problem {
        self.also.push((span, label.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean" if one of `known` is close to `word`, else the list of what is known, if short.
    pub(crate) fn suggest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Problem {
        let known: Vec<&str> = known.into_iter().collect();
        match suggestion(word, &known) {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

/// "did you mean" for the closest of `known`, else the list of all, else nothing when that would be long.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> Option<String> {
    const LISTED: usize = 24;
    if let Some(candidate) = closest(word, known.iter().copied()) {
        return Some(format!("did you mean `{candidate}`?"));
    }
    if known.is_empty() || known.len() > LISTED {
        return None;
    }
    let list: Vec<String> = known.iter().map(|candidate| format!("`{candidate}`")).collect();
    Some(format!("known here: {}", list.join(", ")))
}

/// The one of `known` that is most like `word`, if one is like it at all; of several, the last (of `n1 n2 n3`, the
/// one meant by `n4` is most likely `n3`).
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let distance = distance(word, candidate);
        let longer = candidate.len().max(word.len());
        // Any two single letters are one change apart; that is no likeness.
        let is_close = distance <= (longer / 3).max(usize::from(longer > 1));
        if is_close && best.is_none_or(|(least, _)| distance <= least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn distance(word: &str, candidate: &str) -> usize {
    if word.eq_ignore_ascii_case(candidate) {
        return 0;
    }
    let shorter = word.len().min(candidate.len());
    // `msec` for `ms`, `mem` for `memory`: cut or run on, but surely meant.
    let is_beginning = shorter >= 2 && (word.starts_with(candidate) || candidate.starts_with(word));
    let distance = strsim::damerau_levenshtein(word, candidate);
    if is_beginning { distance.min(1) } else { distance }
}

/// Collects problems, each once.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    seen: HashSet<(Option<Span>, String)>,
}

impl Problems {
    pub(crate) fn add(&mut self, problem: Problem) {
        if self.seen.insert((problem.span, problem.fault.to_string())) {
            self.list.push(problem);
        }
    }

    /// Keeps the value of `result`, or its problem.
    pub(crate) fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                self.add(problem);
                None
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `value`, unless something was wrong (or there is no value, which only happens when something was wrong).
    pub(crate) fn or<T>(self, value: Option<T>, sources: &Sources) -> Result<T, ModelError> {
        match (self.error(sources), value) {
            (None, Some(value)) => Ok(value),
            (Some(error), _) => Err(error),
            (None, None) => Err(ModelError::single(
                Problem::without_place(Fault::Unexplained),
                sources,
            )),
        }
    }

    fn error(self, sources: &Sources) -> Option<ModelError> {
        let unshown = self.list.len().saturating_sub(SHOWN);
        let mut shown: Vec<Diagnosis> = self
            .list
            .into_iter()
            .take(SHOWN)
            .map(|problem| Diagnosis::new(problem, sources))
            .collect();
        if unshown > 0 {
            shown.push(Diagnosis::new(
                Problem::without_place(Fault::More { count: unshown }),
                sources,
            ));
        }
        let mut shown = shown.into_iter();
        let first = shown.next()?;
        Some(ModelError {
            first: Box::new(first),
            others: shown.collect(),
        })
    }
}

/// Everything that is wrong with a file (or with what it includes, or with an override), as far as one pass can
/// tell. Renders with miette; its own text is the first fault.
#[derive(Debug)]
pub struct ModelError {
    first: Box<Diagnosis>,
    others: Vec<Diagnosis>,
}

impl ModelError {
    /// One problem alone.
    pub(crate) fn single(problem: Problem, sources: &Sources) -> ModelError {
        ModelError {
            first: Box::new(Diagnosis::new(problem, sources)),
            others: Vec::new(),
        }
    }

    /// All faults, the first one first.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        std::iter::once(&*self.first)
            .chain(&self.others)
            .map(|diagnosis| &diagnosis.fault)
    }

    /// Every problem by itself, the first one first. A second place in another file cannot share a snippet with the first: it
    /// follows as its own.
    pub fn each(&self) -> impl Iterator<Item = &dyn Diagnostic> {
        std::iter::once(&*self.first)
            .chain(&self.others)
            .flat_map(|diagnosis| std::iter::once(diagnosis).chain(&diagnosis.elsewhere))
            .map(|diagnosis| diagnosis as &dyn Diagnostic)
    }

    /// Everything in one line, for where no place can be shown.
    #[must_use]
    pub fn line(&self) -> String {
        let one = |diagnosis: &Diagnosis| match &diagnosis.help {
            Some(help) => format!("{}; {help}", diagnosis.fault),
            None => diagnosis.fault.to_string(),
        };
        let all: Vec<String> = std::iter::once(&*self.first)
            .chain(&self.others)
            .map(one)
            .collect();
        all.join("; ")
    }

    /// File (or `--set`), line and column, counted from 1, of the first fault, if it has a place.
    #[must_use]
    pub fn position(&self) -> Option<(&str, usize, usize)> {
        let diagnosis = &*self.first;
        let source = diagnosis.source.as_ref()?;
        let offset = diagnosis.labels.first()?.offset();
        let before = source.inner().get(..offset)?;
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        Some((source.name(), line, column))
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fault.fmt(formatter)
    }
}

impl std::error::Error for ModelError {}

impl Diagnostic for ModelError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.first.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.first.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.first.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.each().skip(1)))
    }
}

/// A problem with the text it points into.
#[derive(Debug)]
struct Diagnosis {
    fault: Fault,
    source: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
    elsewhere: Vec<Diagnosis>,
}

impl Diagnosis {
    fn new(problem: Problem, sources: &Sources) -> Diagnosis {
        let mut labels = Vec::new();
        let mut elsewhere = Vec::new();
        if let Some(span) = problem.span {
            labels.push(labelled(span, &problem.label));
            for (second, label) in problem.also {
                if second.source == span.source {
                    labels.push(labelled(second, &label));
                } else {
                    elsewhere.push(Diagnosis::new(
                        Problem::new(Fault::Note { text: label }, second),
                        sources,
                    ));
                }
            }
        }
        let source = problem
            .span
            .and_then(|span| sources.get(span.source))
            .map(|source| NamedSource::new(&source.name, Arc::clone(&source.text)));
        Diagnosis {
            fault: *problem.fault,
            source,
            labels,
            help: problem.help,
            elsewhere,
        }
    }
}

fn labelled(span: Span, label: &str) -> LabeledSpan {
    let text = (!label.is_empty()).then(|| label.to_owned());
    LabeledSpan::new_with_span(
        text,
        SourceSpan::new((span.start as usize).into(), span.length as usize),
    )
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(formatter)
    }
}

impl std::error::Error for Diagnosis {}

impl Diagnostic for Diagnosis {
    fn severity(&self) -> Option<Severity> {
        matches!(self.fault, Fault::Note { .. }).then_some(Severity::Advice)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
