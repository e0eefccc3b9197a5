//! What links replay: files and patterns.

use std::sync::Arc;

use indexmap::IndexMap;

use super::super::impairment::Impairment;
use super::super::link_file::ImpairmentFile;
use crate::document::reader::Reader;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::trace::{Trace, pattern};
use crate::units::TimeSpan;

/// All traces of a topology, each once.
pub(super) struct Traces<'a, 'b> {
    reader: &'a mut Reader<'b>,
    table: IndexMap<String, Arc<Trace>>,
}

impl<'a, 'b> Traces<'a, 'b> {
    pub(super) fn new(reader: &'a mut Reader<'b>) -> Traces<'a, 'b> {
        Traces {
            reader,
            table: IndexMap::new(),
        }
    }

    pub(super) fn into_table(self) -> IndexMap<String, Arc<Trace>> {
        self.table
    }

    /// The trace of one direction, from the first of `files` that has one. It is checked against the `own` keys of the
    /// direction. Returns its name in the table.
    pub(super) fn of(
        &mut self,
        files: &[Option<&ImpairmentFile>],
        own: &Impairment,
        problems: &mut Problems,
    ) -> Option<String> {
        let file = files
            .iter()
            .flatten()
            .find(|file| file.trace.is_some() || file.pattern.is_some())?;
        let (trace, span) = match (&file.trace, &file.pattern) {
            (Some(name), None) => (self.reader.trace(&name.value, name.span, problems)?, name.span),
            (None, Some(pattern)) => (Arc::new(problems.keep(pattern::read(pattern))?), pattern.span),
            (Some(trace), Some(pattern)) => {
                let message = "a link has either a `trace` or a `pattern`".to_owned();
                problems.add(
                    Problem::new(Fault::Contradiction { message }, pattern.span)
                        .label("here")
                        .also(trace.span, "and here"),
                );
                return None;
            }
            (None, None) => return None,
        };
        check(&trace, own, span, problems);
        Some(self.keep(trace))
    }

    /// Whether a trace of the table leaves no moment to the link's own delay.
    pub(super) fn always_set_delay(&self, name: &str) -> bool {
        self.table
            .get(name)
            .is_some_and(|trace| trace.always_sets_delay())
    }

    /// Puts a trace into the table; equal ones share their place.
    fn keep(&mut self, trace: Arc<Trace>) -> String {
        let mut name = trace.name.clone();
        let mut number = 2;
        while self
            .table
            .get(&name)
            .is_some_and(|other| !Arc::ptr_eq(other, &trace) && *other != trace)
        {
            name = format!("{} {number}", trace.name);
            number += 1;
        }
        self.table.entry(name.clone()).or_insert(trace);
        name
    }
}

/// No packet may arrive before it was sent, at any moment of the trace.
fn check(trace: &Trace, own: &Impairment, span: Span, problems: &mut Problems) {
    if let Some(least) = trace.least_delay().filter(|least| *least < own.jitter) {
        let fault = Fault::JitterOverDelay {
            jitter: TimeSpan(own.jitter).to_string(),
            delay: TimeSpan(least).to_string(),
        };
        problems.add(Problem::new(fault, span).label("the shortest delay in this trace"));
    }
}
