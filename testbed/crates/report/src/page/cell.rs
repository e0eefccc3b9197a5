use super::Figure;
use super::figures::{self, Budget};
use super::tables::{self, ComparisonRow, ExpectationRow, FlowRow, NodeRow, StatusRow};
use crate::chart::Palette;
use crate::measure::Traffic;
use crate::run::{Cell, Outcome, Run};

/// One cell as the page shows it.
#[derive(Debug, Clone, Default)]
pub(super) struct CellView {
    pub(super) anchor: String,
    pub(super) heading: String,
    pub(super) errors: Vec<String>,
    pub(super) expectations: Vec<ExpectationRow>,
    /// True when expectations were judged in several repetitions.
    pub(super) repeated: bool,
    pub(super) responses: Option<Figure>,
    pub(super) multiples: Vec<(String, String)>,
    pub(super) comparisons: Vec<ComparisonRow>,
    pub(super) forwarding: Option<Figure>,
    pub(super) latency: Option<Figure>,
    pub(super) distributions: Vec<Figure>,
    pub(super) nodes: Vec<NodeRow>,
    pub(super) statuses: Vec<StatusRow>,
    pub(super) flows: Vec<FlowRow>,
    pub(super) failures: Vec<(String, String)>,
}

/// All cells of a run.
pub(super) fn cells(run: &Run, palette: &Palette) -> Vec<CellView> {
    let budget = Budget::of(run);
    run.cells
        .iter()
        .enumerate()
        .map(|(index, cell)| view(run, palette, budget, index, cell))
        .collect()
}

/// Name of a cell's place in the page.
pub(super) fn anchor(index: usize) -> String {
    format!("cell-{}", index + 1)
}

/// Parameters in which the cells differ, or the cell's number.
pub(crate) fn heading(run: &Run, index: usize) -> String {
    let parameters = run.cells.get(index).map(|cell| &cell.parameters);
    let parts: Vec<String> = parameters
        .into_iter()
        .flatten()
        .filter(|(name, _)| !is_common(run, name))
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    match (parts.is_empty(), run.cells.len()) {
        (false, _) => parts.join(", "),
        (true, 0 | 1) => "all repetitions".to_owned(),
        (true, _) => format!("cell {}", index + 1),
    }
}

/// Parameters that are the same in every cell.
pub(super) fn common_parameters(run: &Run) -> Vec<String> {
    let first = run.cells.first().into_iter().flat_map(|cell| &cell.parameters);
    first
        .filter(|(name, _)| is_common(run, name))
        .map(|(name, value)| format!("{name} = {value}"))
        .collect()
}

fn is_common(run: &Run, name: &str) -> bool {
    let value = |cell: &Cell| cell.parameters.get(name).cloned();
    let first = run.cells.first().and_then(value);
    run.cells.iter().all(|cell| value(cell) == first)
}

fn view(run: &Run, palette: &Palette, budget: Budget, index: usize, cell: &Cell) -> CellView {
    let traffics: Vec<&Traffic> = cell
        .repetitions
        .iter()
        .map(|repetition| &repetition.traffic)
        .collect();
    let context = figures::Context {
        run,
        cell,
        palette,
        budget,
        anchor: anchor(index),
        traffics: &traffics,
    };
    let class = |node: &str| {
        let id = run
            .names
            .outcomes()
            .iter()
            .position(|outcome| matches!(outcome, Outcome::Served(name) if name == node));
        id.and_then(|id| u16::try_from(id).ok())
            .map_or_else(String::new, |id| palette.class(&run.names, id))
    };
    CellView {
        anchor: anchor(index),
        heading: heading(run, index),
        errors: errors(cell),
        expectations: tables::expectations(cell),
        repeated: cell.repetitions.len() > 1,
        responses: figures::responses(&context),
        multiples: figures::multiples(&context),
        comparisons: tables::comparisons(run, cell),
        forwarding: figures::forwarding(&context),
        latency: figures::latency(&context),
        distributions: figures::distributions(&context),
        nodes: tables::nodes(&run.names, &traffics, class),
        statuses: tables::statuses(run, &traffics),
        flows: tables::flows(&run.names, &traffics),
        failures: tables::failures(&traffics),
    }
}

/// What went wrong in repetitions of this cell.
fn errors(cell: &Cell) -> Vec<String> {
    let numbered = cell.repetitions.iter().enumerate();
    numbered
        .flat_map(|(index, repetition)| repetition.errors.iter().map(move |error| (index, error)))
        .map(|(index, error)| {
            if cell.repetitions.len() > 1 {
                format!("repetition {}: {error}", index + 1)
            } else {
                error.clone()
            }
        })
        .collect()
}
