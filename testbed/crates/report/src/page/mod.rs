//! The page: what is shown, in which words.

mod cell;
mod facts;
mod figures;
mod format;
mod overview;
mod tables;

pub(crate) use cell::heading;
pub(crate) use format::{estimate_text, grouped, measured_or_reason, milliseconds, rate_text};
pub(crate) use tables::asked;

use askama::Template;

use crate::ReportError;
use crate::chart::Palette;
use crate::run::{Run, Validity, Verdict};

/// Renders the page.
pub(crate) fn render(run: &Run) -> Result<String, ReportError> {
    let palette = Palette::new(run);
    let page = Page::new(run, &palette);
    page.render().map_err(|error| ReportError::Render {
        reason: error.to_string(),
    })
}

/// A figure in both sizes; the style sheet shows one of them.
#[derive(Debug, Clone, Default)]
struct Figure {
    /// For screens and paper.
    wide: String,
    /// For phones.
    narrow: String,
    caption: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: String,
    eyebrow: String,
    verdict: Stamp,
    expectations_line: String,
    validity: Stamp,
    validity_line: &'static str,
    reasons: Vec<String>,
    notes: Vec<String>,
    headline: Vec<(String, String)>,
    navigation: Vec<(String, String)>,
    overview: Option<overview::Overview>,
    cells: Vec<cell::CellView>,
    topologies: Vec<Figure>,
    links: Vec<facts::LinkRow>,
    facts: Vec<(String, String)>,
    command: String,
    seeds: Vec<facts::SeedRow>,
    files: Vec<String>,
}

/// A word with the class that colours it and a mark that does not need colour.
#[derive(Debug, Clone, Default)]
struct Stamp {
    word: String,
    class: &'static str,
    mark: &'static str,
}

impl Page {
    fn new(run: &Run, palette: &Palette) -> Page {
        let cells = cell::cells(run, palette);
        Page {
            title: title(run),
            eyebrow: facts::eyebrow(run),
            verdict: verdict_stamp(run.verdict),
            expectations_line: expectations_line(run),
            validity: validity_stamp(run.validity),
            validity_line: validity_line(run.validity),
            reasons: run.reasons.clone(),
            notes: run.notes.clone(),
            headline: facts::headline(run),
            navigation: cells
                .iter()
                .filter(|_| cells.len() > 1)
                .map(|cell| (cell.anchor.clone(), cell.heading.clone()))
                .collect(),
            overview: overview::overview(run),
            topologies: figures::topologies(run, palette),
            links: facts::links(run),
            facts: facts::facts(run),
            command: facts::command(run),
            seeds: facts::seeds(run),
            files: run.files.clone(),
            cells,
        }
    }
}

/// Title of a run: the scenario's, else its name.
pub(crate) fn title(run: &Run) -> String {
    let info = run.info.as_ref();
    let given = info.map(|info| {
        if info.title.is_empty() {
            &info.name
        } else {
            &info.title
        }
    });
    match given {
        Some(title) if !title.is_empty() => title.clone(),
        _ => "Untitled run".to_owned(),
    }
}

/// How many expectations held, over all repetitions: held and all.
pub(crate) fn expectations_held(run: &Run) -> (usize, usize) {
    let all = || {
        run.cells
            .iter()
            .flat_map(|cell| &cell.repetitions)
            .flat_map(|repetition| &repetition.expectations)
    };
    (
        all().filter(|expectation| expectation.pass).count(),
        all().count(),
    )
}

/// `4 of 4 expectations hold`.
pub(crate) fn expectations_line(run: &Run) -> String {
    match expectations_held(run) {
        (_, 0) => "no expectations were judged".to_owned(),
        (held, all) => {
            let places: usize = run.cells.iter().map(|cell| cell.repetitions.len()).sum();
            let spread = if places > 1 {
                format!(" over {places} repetitions")
            } else {
                String::new()
            };
            format!("{held} of {all} expectations hold{spread}")
        }
    }
}

/// The word for a verdict; a run without one did not end.
pub(crate) fn verdict_word(verdict: Option<Verdict>) -> &'static str {
    verdict.unwrap_or(Verdict::Error).word()
}

fn verdict_stamp(verdict: Option<Verdict>) -> Stamp {
    let (class, mark) = match verdict {
        Some(Verdict::Pass) => ("good", "✔"),
        Some(Verdict::Fail) => ("bad", "✘"),
        Some(Verdict::Error) | None => ("broken", "!"),
    };
    Stamp {
        word: verdict_word(verdict).to_owned(),
        class,
        mark,
    }
}

fn validity_line(validity: Option<Validity>) -> &'static str {
    match validity {
        Some(Validity::Valid) => "the load was sent as asked",
        Some(Validity::Degraded) => "the load strayed from what was asked: check before use",
        Some(Validity::Invalid) => "the load was not sent as asked: do not use these numbers",
        None => "whether the load was sent as asked is not known",
    }
}

fn validity_stamp(validity: Option<Validity>) -> Stamp {
    let (class, mark) = match validity {
        Some(Validity::Valid) => ("good", "✔"),
        Some(Validity::Degraded) => ("broken", "!"),
        Some(Validity::Invalid) => ("bad", "✘"),
        None => ("unknown", "?"),
    };
    Stamp {
        word: validity.map_or("NOT STATED", Validity::word).to_owned(),
        class,
        mark,
    }
}
