//! Reads a scenario, its topology and its overrides.

use super::cells::{self, Axis};
use super::experiment::Experiment;
use super::file::ScenarioFile;
use super::params::{Parameters, check_name};
use crate::document::decode::decode;
use crate::document::literal::Literal;
use crate::document::overrides::{self, Assignment, Outcome};
use crate::document::reader::Reader;
use crate::document::sources::Sources;
use crate::document::spanned::Spanned;
use crate::document::tree::{Span, Tree, Value};
use crate::document::{Loader, Override, duplicates, include, path};
use crate::error::{Fault, ModelError, Problem, Problems};
use crate::topology::read_overrides;

/// Keys of a scenario that `--set` may change by their own names; other single words are parameters.
const OWN_KEYS: [&str; 3] = ["repeat", "seed", "warmup"];
/// First keys of dotted paths that lead into the scenario; others lead into the topology.
const OWN_SECTIONS: [&str; 7] = ["events", "expect", "load", "matrix", "params", "report", "set"];
/// Lists whose items are decoded one by one, so that each can have its own problem.
const LISTS: [&str; 3] = ["load", "events", "expect"];

/// Reads, checks and resolves the scenario file at `path` and its topology. An override's path is a parameter
/// (`T`), `seed`, `repeat` or `warmup`, a dotted path into the scenario (`load.users-n1.rate`, `report.title`) or
/// one into the topology (`defaults.dfaas.agent.recalc_period`). Touches nothing but `loader`.
///
/// # Errors
/// All problems found in one pass, each with its place.
pub fn load_scenario(
    path: &str,
    loader: &dyn Loader,
    overrides: &[Override],
) -> Result<Experiment, ModelError> {
    let mut sources = Sources::default();
    let mut problems = Problems::default();
    let experiment = read(
        &path::normal(path),
        loader,
        overrides,
        &mut sources,
        &mut problems,
    );
    problems.or(experiment, &sources)
}

/// What was read, before anything was checked against anything else.
pub(super) struct Parts {
    pub(super) file: ScenarioFile,
    /// Values of the file, with overrides.
    pub(super) parameters: Parameters,
    pub(super) axes: Vec<Axis>,
    pub(super) topology: Tree,
    pub(super) topology_path: String,
    /// Overrides of the topology; they win over `set:` and the matrix.
    pub(super) assignments: Vec<Assignment>,
    /// Where the scenario file begins, for problems that have no better place.
    pub(super) whole: Span,
}

fn read(
    path: &str,
    loader: &dyn Loader,
    overrides: &[Override],
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<Experiment> {
    let read = include::read_one(path, None, loader, sources);
    let mut tree = problems.keep(read)?;
    duplicates::check(&tree, problems);
    if !problems.is_empty() {
        return None;
    }
    let whole = Span {
        length: 0,
        ..tree.span
    };
    let Sorted {
        own,
        parameters,
        topology,
    } = sort(read_overrides(overrides, sources, problems), &tree, problems);
    for assignment in &own {
        if problems.keep(overrides::apply(&mut tree, assignment)) == Some(Outcome::NoSuchNode) {
            continue;
        }
    }
    let file = decode_scenario(tree, problems)?;
    let Some(topology_path) = &file.topology else {
        let fault = Fault::MissingKey {
            key: "topology".to_owned(),
        };
        problems.add(Problem::new(fault, whole).help("add `topology: PATH`, relative to the scenario file"));
        return None;
    };
    let topology_file = path::beside(path, &topology_path.value);
    let topology_tree = topology_tree(&topology_file, topology_path.span, loader, sources, problems)?;
    let parts = Parts {
        parameters: values(&file, &parameters, problems),
        axes: cells::axes(&file, &parameters, &topology),
        topology: topology_tree,
        topology_path: topology_file,
        assignments: topology,
        file,
        whole,
    };
    let reference = reference(&parts.file, path, loader, problems);
    let mut reader = Reader::new(loader, sources, &parts.topology_path);
    let cells = cells::cells(&parts, &mut reader, problems);
    if !problems.is_empty() {
        return None;
    }
    let (cells, seed) = cells?;
    let name = path::stem(path).to_owned();
    Some(Experiment {
        title: parts.file.report.title.clone().unwrap_or_else(|| name.clone()),
        name,
        seed,
        repeat: cells::repetitions(&parts.file),
        reference,
        cells,
        sources: kept_sources(sources),
    })
}

/// Overrides by what they change.
struct Sorted {
    own: Vec<Assignment>,
    parameters: Vec<(String, Spanned<Literal>)>,
    topology: Vec<Assignment>,
}

fn sort(assignments: Vec<Assignment>, scenario: &Tree, problems: &mut Problems) -> Sorted {
    let mut sorted = Sorted {
        own: Vec::new(),
        parameters: Vec::new(),
        topology: Vec::new(),
    };
    let params = scenario.get("params").and_then(Tree::as_map);
    let names = || {
        params
            .into_iter()
            .flat_map(|map| &map.entries)
            .map(|(key, _)| key.text.as_str())
    };
    for assignment in assignments {
        let Some(first) = assignment.path.first() else {
            continue;
        };
        let single = assignment.path.len() == 1;
        if single && names().any(|name| name == first.text) {
            match assignment.value.as_text() {
                Some(text) => {
                    let value = Spanned {
                        value: Literal(text.to_owned()),
                        span: assignment.value.span,
                    };
                    sorted.parameters.push((first.text.clone(), value));
                }
                None => problems.add(
                    Problem::new(
                        Fault::WrongType {
                            found: assignment.value.describe().to_owned(),
                            expected: "a single value".to_owned(),
                        },
                        first.span,
                    )
                    .label("a parameter"),
                ),
            }
        } else if single && !OWN_KEYS.contains(&first.text.as_str()) {
            let fault = Fault::UnknownParameter {
                name: first.text.clone(),
            };
            problems.add(
                Problem::new(fault, first.span)
                    .label("the scenario has no such parameter")
                    .suggest(&first.text, names().chain(OWN_KEYS)),
            );
        } else if single || OWN_SECTIONS.contains(&first.text.as_str()) {
            sorted.own.push(assignment);
        } else {
            sorted.topology.push(assignment);
        }
    }
    sorted
}

fn decode_scenario(mut tree: Tree, problems: &mut Problems) -> Option<ScenarioFile> {
    let mut lists = Vec::new();
    if let Value::Map(map) = &mut tree.value {
        for key in LISTS {
            // A section of the wrong shape stays, for the decoder to refuse.
            if map.get(key).is_some_and(|section| section.as_list().is_some()) {
                lists.extend(map.take(key));
            }
        }
    }
    let mut file: ScenarioFile = problems.keep(decode(&tree))?;
    for (key, section) in &lists {
        for item in section.as_list().unwrap_or_default() {
            match key.text.as_str() {
                "load" => file.load.extend(problems.keep(decode(item))),
                "events" => file.events.extend(problems.keep(decode(item))),
                _ => file.expect.extend(problems.keep(decode(item))),
            }
        }
    }
    Some(file)
}

fn topology_tree(
    path: &str,
    named_at: Span,
    loader: &dyn Loader,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<Tree> {
    // Asked for first, so that a missing file is reported where the scenario names it.
    if let Err(reason) = loader.load(path) {
        let fault = Fault::CannotRead {
            path: path.to_owned(),
            reason,
        };
        problems.add(Problem::new(fault, named_at).label("named here"));
        return None;
    }
    include::read(path, loader, sources, problems)
}

fn values(
    file: &ScenarioFile,
    replaced: &[(String, Spanned<Literal>)],
    problems: &mut Problems,
) -> Parameters {
    let mut parameters = Parameters::default();
    for (name, value) in &file.params {
        problems.keep(check_name(name));
        parameters.set(&name.value, value.clone());
    }
    for (name, value) in replaced {
        parameters.set(name, value.clone());
    }
    parameters
}

fn reference(
    file: &ScenarioFile,
    path: &str,
    loader: &dyn Loader,
    problems: &mut Problems,
) -> Option<String> {
    let reference = file.report.reference.as_ref()?;
    let path = path::beside(path, &reference.value);
    if let Err(reason) = loader.load(&path) {
        let fault = Fault::CannotRead {
            path: path.clone(),
            reason,
        };
        problems.add(Problem::new(fault, reference.span).label("named here"));
    }
    Some(path)
}

/// The files that were read, under names that can lie in one directory.
fn kept_sources(sources: &Sources) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::new();
    for source in sources.files() {
        let plain = path::file_name(&source.name);
        let taken = |name: &str| kept.iter().any(|(other, _)| other == name);
        let mut name = plain.to_owned();
        let mut number = 2;
        while taken(&name) {
            name = format!("{number}-{plain}");
            number += 1;
        }
        kept.push((name, source.text.to_string()));
    }
    kept
}
