//! A scenario against its topology: one cell at a time, everything resolved to absolute values.

mod arrivals;
mod events;
mod expectations;
mod flows;

use std::time::Duration;

use indexmap::IndexMap;

use super::experiment::{Cell, Event, Expectation, Flow};
use super::file::{ScenarioFile, Value};
use super::params::Parameters;
use crate::document::reader::Reader;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::topology::segments::Segments;
use crate::topology::{NodeKind, Topology};

/// A topology without agents has no period; t = 0 is then a full second.
const PERIOD_WITHOUT_AGENTS: Duration = Duration::from_secs(1);

/// What the checks of one cell share.
struct Context<'a> {
    parameters: &'a Parameters,
    topology: &'a Topology,
    segments: Segments,
}

impl Context<'_> {
    /// A node's name, perhaps given by a parameter.
    fn node(&self, value: &Value) -> Result<String, Problem> {
        let (name, span) = self.parameters.text(value)?;
        if self.topology.nodes.contains_key(name) {
            return Ok(name.to_owned());
        }
        let known = self.topology.nodes.keys().map(String::as_str);
        Err(Problem::new(
            Fault::UnknownNode {
                name: name.to_owned(),
            },
            span,
        )
        .label("the topology has no such node")
        .suggest(name, known))
    }

    fn time(&self, value: Option<&Value>) -> Result<Option<Duration>, Problem> {
        value.map(|value| self.parameters.time(value)).transpose()
    }
}

/// Resolves one cell; its parameters and repetitions are filled in by the caller. `None` if it cannot be used; why
/// is in `problems`.
pub(super) fn cell(
    file: &ScenarioFile,
    parameters: &Parameters,
    topology: &Topology,
    whole: Span,
    reader: &mut Reader<'_>,
    problems: &mut Problems,
) -> Option<Cell> {
    let context = Context {
        parameters,
        topology,
        segments: Segments::of(topology),
    };
    if file.load.is_empty() && problems.is_empty() {
        let problem = Problem::new(Fault::NoLoad, whole).help("add a section `load:` with at least one flow");
        problems.add(problem);
    }
    let warmup = problems
        .keep(context.time(file.warmup.as_ref()))
        .flatten()
        .unwrap_or_default();
    let flows = flows::flows(&file.load, &context, reader, problems);
    let mut events: Vec<Event> = file
        .events
        .iter()
        .filter_map(|event| events::event(event, &context, problems))
        .collect();
    events.sort_by_key(|event| event.at);
    let expectations: Vec<Expectation> = file
        .expect
        .iter()
        .filter_map(|expect| expectations::expectation(expect, &flows, warmup, &context, problems))
        .collect();
    if !problems.is_empty() {
        return None;
    }
    Some(Cell {
        params: IndexMap::new(),
        repetitions: Vec::new(),
        recalc_period: recalc_period(topology),
        duration: duration(&flows, &events, &expectations),
        flows,
        events,
        expectations,
        warmup,
    })
}

fn recalc_period(topology: &Topology) -> Duration {
    let agents = topology
        .nodes
        .values()
        .filter(|node| node.kind == NodeKind::Dfaas);
    agents
        .map(|node| node.agent.recalc_period)
        .max()
        .unwrap_or(PERIOD_WITHOUT_AGENTS)
}

fn duration(flows: &[Flow], events: &[Event], expectations: &[Expectation]) -> Duration {
    let flows = flows.iter().map(|flow| flow.start + flow.duration);
    let events = events
        .iter()
        .map(|event| event.at + event.duration.unwrap_or_default());
    let windows = expectations.iter().filter_map(|expectation| expectation.to);
    flows.chain(events).chain(windows).max().unwrap_or_default()
}
