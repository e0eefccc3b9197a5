//! Files that a topology or scenario names beside what it includes: traces, tables, graphs. Each is read once, however often it is
//! named.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Loader;
use super::path;
use super::sources::Sources;
use super::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::trace::{Trace, requests};

/// Reads files and remembers what they hold.
pub(crate) struct Reader<'a> {
    loader: &'a dyn Loader,
    sources: &'a mut Sources,
    /// The topology file; what `--set` names is relative to it.
    topology: String,
    traces: HashMap<String, Option<Arc<Trace>>>,
    requests: HashMap<String, Option<Arc<[Duration]>>>,
    texts: HashMap<String, Option<(Arc<str>, u32)>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(loader: &'a dyn Loader, sources: &'a mut Sources, topology: &str) -> Reader<'a> {
        Reader {
            loader,
            sources,
            topology: topology.to_owned(),
            traces: HashMap::new(),
            requests: HashMap::new(),
            texts: HashMap::new(),
        }
    }

    /// The path of a file that is named at `span`, relative to the file that names it.
    pub(crate) fn path(&self, name: &str, span: Span) -> String {
        let named_in = self.sources.get(span.source).filter(|source| source.is_file);
        path::beside(named_in.map_or(&self.topology, |source| &source.name), name)
    }

    /// The text of a file that is named at `span`, and the number its positions carry. Trouble is reported once.
    pub(crate) fn text(
        &mut self,
        name: &str,
        span: Span,
        problems: &mut Problems,
    ) -> Option<(Arc<str>, u32)> {
        let path = self.path(name, span);
        if let Some(known) = self.texts.get(&path) {
            return known.clone();
        }
        let read = match self.loader.load(&path) {
            Ok(text) => {
                let source = self.sources.add_file(&path, text);
                let text = self.sources.get(source).map(|source| Arc::clone(&source.text));
                text.map(|text| (text, source))
            }
            Err(reason) => {
                let fault = Fault::CannotRead {
                    path: path.clone(),
                    reason,
                };
                problems.add(Problem::new(fault, span).label("named here"));
                None
            }
        };
        self.texts.insert(path, read.clone());
        read
    }

    /// The trace in a file that is named at `span`. Trouble is reported once.
    pub(crate) fn trace(&mut self, name: &str, span: Span, problems: &mut Problems) -> Option<Arc<Trace>> {
        let path = self.path(name, span);
        if let Some(known) = self.traces.get(&path) {
            return known.clone();
        }
        let trace = self.text(name, span, problems).and_then(|(text, source)| {
            let trace = Trace::read(&path, &text, source);
            problems.keep(trace).map(Arc::new)
        });
        self.traces.insert(path, trace.clone());
        trace
    }

    /// When the requests in a file that is named at `span` are due. Trouble is reported once.
    pub(crate) fn requests(
        &mut self,
        name: &str,
        span: Span,
        problems: &mut Problems,
    ) -> Option<Arc<[Duration]>> {
        let path = self.path(name, span);
        if let Some(known) = self.requests.get(&path) {
            return known.clone();
        }
        let read = self.text(name, span, problems);
        let times = read.and_then(|(text, source)| problems.keep(requests::read(&text, source)));
        self.requests.insert(path, times.clone());
        times
    }
}
