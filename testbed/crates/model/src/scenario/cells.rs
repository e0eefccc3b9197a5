//! The cells of the matrix, and the repetitions of each.

use indexmap::IndexMap;

use super::experiment::{Cell, Repetition};
use super::file::ScenarioFile;
use super::load::Parts;
use super::params::Parameters;
use super::seed;
use super::validate;
use crate::document::literal::Literal;
use crate::document::overrides::{self, Assignment};
use crate::document::reader::Reader;
use crate::document::spanned::Spanned;
use crate::document::tree::{Scalar, Span, Tree, Value};
use crate::error::{Fault, Problem, Problems};
use crate::topology::{Topology, validate as topology};
use crate::units::TimeSpan;

/// Labs in one experiment: each holds its own topology.
const MOST_LABS: usize = 2_000;

/// One dimension of the matrix.
pub(super) struct Axis {
    name: Spanned<String>,
    values: Vec<Spanned<Literal>>,
}

/// The axes that no override pins to one value.
pub(super) fn axes(
    file: &ScenarioFile,
    parameters: &[(String, Spanned<Literal>)],
    assignments: &[Assignment],
) -> Vec<Axis> {
    let dotted = |assignment: &Assignment| -> String {
        assignment
            .path
            .iter()
            .map(|key| key.text.as_str())
            .collect::<Vec<_>>()
            .join(".")
    };
    let pinned = |name: &str| {
        parameters.iter().any(|(parameter, _)| parameter == name)
            || assignments.iter().any(|assignment| dotted(assignment) == name)
    };
    file.matrix
        .iter()
        .filter(|(name, _)| !pinned(&name.value))
        .map(|(name, values)| Axis {
            name: name.clone(),
            values: values.value.clone(),
        })
        .collect()
}

pub(super) fn repetitions(file: &ScenarioFile) -> u32 {
    file.repeat.as_ref().map_or(1, |repeat| repeat.value)
}

/// Every cell, and the experiment's seed. `None` if there is none; why is in `problems`.
pub(super) fn cells(
    parts: &Parts,
    reader: &mut Reader<'_>,
    problems: &mut Problems,
) -> Option<(Vec<Cell>, u64)> {
    check_matrix(parts, problems);
    if !problems.is_empty() {
        return None;
    }
    let mut cells = Vec::new();
    let mut own_seed = parts.file.seed;
    for choice in combinations(&parts.axes) {
        let number = cells.len();
        let (cell, topology) = cell(parts, &choice, reader, problems)?;
        let seed = *own_seed.get_or_insert(topology.seed);
        let repetitions = (0..repetitions(&parts.file)).map(|repetition| {
            let seed = seed::derive(seed, number, repetition);
            Repetition {
                seed,
                topology: Topology {
                    seed,
                    ..topology.clone()
                },
            }
        });
        cells.push(Cell {
            repetitions: repetitions.collect(),
            ..cell
        });
        // What is wrong in one cell is mostly wrong in all.
        if !problems.is_empty() {
            return None;
        }
    }
    own_seed.map(|seed| (cells, seed))
}

fn check_matrix(parts: &Parts, problems: &mut Problems) {
    for (name, values) in &parts.file.matrix {
        if values.value.is_empty() {
            let message = format!("axis `{}` has no values", name.value);
            problems.add(Problem::new(Fault::Value { message }, values.span).label("at least one"));
        }
        if !parts.parameters.has(&name.value) && !name.value.contains('.') {
            let fault = Fault::UnknownParameter {
                name: name.value.clone(),
            };
            problems.add(
                Problem::new(fault, name.span)
                    .label("an axis is a parameter or a dotted path into the topology")
                    .suggest(&name.value, parts.parameters.names()),
            );
        }
    }
    if let Some(repeat) = parts.file.repeat.as_ref().filter(|repeat| repeat.value == 0) {
        let message = "no repetitions".to_owned();
        problems.add(Problem::new(Fault::Value { message }, repeat.span).label("at least 1"));
    }
    let count = parts
        .axes
        .iter()
        .map(|axis| axis.values.len())
        .fold(repetitions(&parts.file) as usize, usize::saturating_mul);
    if count > MOST_LABS {
        let place = parts.axes.first().map(|axis| axis.name.span);
        let place = place
            .or(parts.file.repeat.as_ref().map(|repeat| repeat.span))
            .unwrap_or(parts.whole);
        problems.add(
            Problem::new(
                Fault::TooManyCells {
                    count,
                    limit: MOST_LABS,
                },
                place,
            )
            .label("here"),
        );
    }
}

/// All combinations, the last axis changing fastest.
fn combinations(axes: &[Axis]) -> Vec<Vec<(&Axis, &Spanned<Literal>)>> {
    axes.iter().fold(vec![Vec::new()], |before, axis| {
        before
            .iter()
            .flat_map(|chosen| {
                axis.values.iter().map(move |value| {
                    let mut chosen = chosen.clone();
                    chosen.push((axis, value));
                    chosen
                })
            })
            .collect()
    })
}

fn cell(
    parts: &Parts,
    choice: &[(&Axis, &Spanned<Literal>)],
    reader: &mut Reader<'_>,
    problems: &mut Problems,
) -> Option<(Cell, Topology)> {
    let mut parameters = parts.parameters.clone();
    let mut paths: IndexMap<String, String> = IndexMap::new();
    let mut assignments = Vec::new();
    for (axis, value) in choice {
        if parameters.has(&axis.name.value) {
            parameters.set(&axis.name.value, (*value).clone());
        } else {
            paths.insert(axis.name.value.clone(), value.value.0.clone());
        }
    }
    for (path, value) in &parts.file.set {
        assignments.extend(problems.keep(assignment(path, value, &parameters)));
    }
    for (axis, value) in choice
        .iter()
        .filter(|(axis, _)| !parameters.has(&axis.name.value))
    {
        assignments.extend(problems.keep(assignment(&axis.name, value, &parameters)));
    }
    assignments.extend(parts.assignments.iter().cloned());
    let topology = topology::resolve(
        parts.topology.clone(),
        &assignments,
        &parts.topology_path,
        reader,
        problems,
    )?;
    if !problems.is_empty() {
        return None;
    }
    let cell = validate::cell(&parts.file, &parameters, &topology, parts.whole, reader, problems)?;
    let mut params = parameters.texts();
    params.extend(paths);
    Some((Cell { params, ..cell }, topology))
}

/// `set:` as an assignment: a parameter's value, a multiple of one, or the literal itself.
fn assignment(
    path: &Spanned<String>,
    value: &Spanned<Literal>,
    parameters: &Parameters,
) -> Result<Assignment, Problem> {
    let keys = overrides::split(&path.value, unquoted(path.span, &path.value))?;
    let (text, span) = parameters.text(value)?;
    let text = match parameters.multiple(text) {
        Some(time) => TimeSpan(time).to_string(),
        None => text.to_owned(),
    };
    let value = Value::Scalar(Scalar { text, plain: true });
    Ok(Assignment {
        path: keys,
        value: Tree { value, span },
    })
}

/// The span of a key's text, without the quotes it may stand in.
fn unquoted(span: Span, text: &str) -> Span {
    let quotes = (span.length as usize).saturating_sub(text.len()) / 2;
    span.part(quotes, text.len())
}
