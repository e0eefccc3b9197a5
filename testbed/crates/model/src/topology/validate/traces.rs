//! What links take from files: traces and tables of jitter; and patterns.

use std::sync::Arc;

use indexmap::IndexMap;

use super::super::distribution::{DelayTable, JitterDistribution};
use super::super::link_file::{DistributionFile, ImpairmentFile};
use crate::document::reader::Reader;
use crate::error::{Fault, Problem, Problems};
use crate::trace::{Trace, pattern};

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

    /// The trace of one direction, from the first of `files` that has one.
    pub(super) fn of(
        &mut self,
        files: &[Option<&ImpairmentFile>],
        problems: &mut Problems,
    ) -> Option<Arc<Trace>> {
        let file = files
            .iter()
            .flatten()
            .find(|file| file.trace.is_some() || file.pattern.is_some())?;
        match (&file.trace, &file.pattern) {
            (Some(name), None) => self.reader.trace(&name.value, name.span, problems),
            (None, Some(pattern)) => problems.keep(pattern::read(pattern)).map(Arc::new),
            (Some(trace), Some(pattern)) => {
                let message = "a link has either a `trace` or a `pattern`".to_owned();
                problems.add(
                    Problem::new(Fault::Contradiction { message }, pattern.span)
                        .label("here")
                        .also(trace.span, "and here"),
                );
                None
            }
            (None, None) => None,
        }
    }

    /// The table of the jitter that `file` names, if it does.
    pub(super) fn jitter(
        &mut self,
        file: &ImpairmentFile,
        problems: &mut Problems,
    ) -> Option<JitterDistribution> {
        let refuse = |message: &str, span, help: &str| {
            let fault = Fault::Contradiction {
                message: message.to_owned(),
            };
            Problem::new(fault, span).label("here").help(help)
        };
        let is_table = |shape: &DistributionFile| *shape == DistributionFile::Table;
        let (name, shape) = (&file.distribution_table, &file.distribution);
        match (name, shape) {
            (None, Some(shape)) if is_table(&shape.value) => {
                let message = "distribution `table` without `distribution_table`";
                problems.add(refuse(
                    message,
                    shape.span,
                    "name the file in `distribution_table`",
                ));
                None
            }
            (Some(name), Some(shape)) if !is_table(&shape.value) => {
                let message = "`distribution_table` besides another `distribution`";
                problems.add(refuse(
                    message,
                    name.span,
                    "leave `distribution` out, or make it `table`",
                ));
                None
            }
            (Some(name), _) => {
                let (text, _) = self.reader.text(&name.value, name.span, problems)?;
                let table = DelayTable::parse(&text).map_err(|reason| {
                    let message = format!("{}: {reason}", self.reader.path(&name.value, name.span));
                    Problem::new(Fault::Value { message }, name.span).label("named here")
                });
                problems.keep(table).map(JitterDistribution::Table)
            }
            (None, _) => None,
        }
    }

    /// Puts a trace into the table and returns its name there; equal ones share their place.
    pub(super) fn keep(&mut self, trace: Arc<Trace>) -> String {
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
