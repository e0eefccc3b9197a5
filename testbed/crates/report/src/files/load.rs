use std::fs::File;
use std::io::ErrorKind;
use std::path::{Component, Path};

use super::json::{self, Document};
use super::reference::duration_seconds;
use super::summary::{CellSummary, RepetitionSummary, Summary};
use super::{lab::Lab, reference, requests, series};
use crate::ReportError;
use crate::measure::Traffic;
use crate::run::{Cell, Repetition, Run, RunInfo, natural_order};

/// Version of `run.json` and `summary.json` that this crate reads.
const SCHEMA: u64 = 1;

/// Reads a run directory.
pub(crate) fn load(directory: &Path) -> Result<Run, ReportError> {
    let mut run = Run {
        info: read_info(directory)?,
        ..Run::default()
    };
    let summary = read_summary(directory)?;
    let found = find_repetitions(directory)?;
    if run.info.is_none() && summary.is_none() && found.is_empty() {
        let known = ["run.json", "summary.json", "cells"];
        if !known.iter().any(|name| directory.join(name).exists()) {
            return Err(ReportError::NotARun {
                path: directory.to_owned(),
            });
        }
    }
    if run.info.is_none() {
        run.notes
            .push("run.json is missing or cut short: title, seed and machine are not known".to_owned());
    }
    match summary {
        Some(summary) => take_summary(directory, summary, &found, &mut run)?,
        None => {
            run.notes.push(
                "summary.json is missing or cut short: the run did not end, there is no verdict".to_owned(),
            );
            take_cells(directory, Vec::new(), &found, &mut run)?;
        }
    }
    read_reference(directory, &mut run)?;
    run.files = list_files(directory, &run);
    Ok(run)
}

fn check_schema(path: &Path, found: u64) -> Result<(), ReportError> {
    if found == SCHEMA {
        return Ok(());
    }
    Err(ReportError::Schema {
        path: path.to_owned(),
        found,
        known: SCHEMA,
    })
}

fn read_info(directory: &Path) -> Result<Option<RunInfo>, ReportError> {
    let path = directory.join("run.json");
    match json::read::<RunInfo>(&path)? {
        Document::Whole(info) => check_schema(&path, info.schema).map(|()| Some(info)),
        Document::Missing | Document::CutShort => Ok(None),
    }
}

fn read_summary(directory: &Path) -> Result<Option<Summary>, ReportError> {
    let path = directory.join("summary.json");
    match json::read::<Summary>(&path)? {
        Document::Whole(summary) => check_schema(&path, summary.schema).map(|()| Some(summary)),
        Document::Missing | Document::CutShort => Ok(None),
    }
}

/// Cells with their repetitions, as folders relative to the run directory.
type Folders = [(String, Vec<String>)];

fn take_summary(
    directory: &Path,
    summary: Summary,
    found: &Folders,
    run: &mut Run,
) -> Result<(), ReportError> {
    run.verdict = summary.verdict;
    run.validity = summary.validity;
    run.reasons = summary.error.into_iter().collect();
    let repetitions = summary.cells.iter().flat_map(|cell| &cell.repetitions);
    let reasons = repetitions.flat_map(|repetition| &repetition.validity_reasons);
    for reason in summary.validity_reasons.iter().chain(reasons) {
        // The summary's own say of which repetition they are.
        let said = |known: &String| known == reason || known.ends_with(&format!(": {reason}"));
        if !run.reasons.iter().any(said) {
            run.reasons.push(reason.clone());
        }
    }
    take_cells(directory, summary.cells, found, run)
}

/// Joins what the summary says with the folders. A summary that was cut short knows fewer than there are; then the
/// n-th repetition is the n-th folder.
fn take_cells(
    directory: &Path,
    summaries: Vec<CellSummary>,
    found: &Folders,
    run: &mut Run,
) -> Result<(), ReportError> {
    let count = summaries.len().max(found.len());
    let mut summaries = summaries.into_iter();
    for index in 0..count {
        let summary = summaries.next().unwrap_or_default();
        let folders = found
            .get(index)
            .map_or(&[] as &[String], |(_, repetitions)| repetitions);
        let mut cell = Cell {
            recalc_period: summary
                .recalc_period
                .or_else(|| summary.params.get("T").and_then(|text| duration_seconds(text)))
                .filter(|period| *period > 0.0),
            parameters: summary.params,
            events: summary.events,
            repetitions: Vec::new(),
        };
        cell.events.retain(|event| event.at.is_finite());
        cell.events.sort_by(|a, b| a.at.total_cmp(&b.at));
        let mut repetitions = summary.repetitions.into_iter();
        for number in 0..repetitions.len().max(folders.len()) {
            let summary = repetitions.next().unwrap_or_default();
            let written = summary.directory.clone().filter(|folder| is_inside(folder));
            let folder = written.or_else(|| folders.get(number).cloned());
            let repetition = read_repetition(directory, folder, summary, run)?;
            cell.repetitions.push(repetition);
        }
        run.cells.push(cell);
    }
    Ok(())
}

/// A run directory may come from somebody else: it must not make us read files outside of it.
fn is_inside(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
}

fn read_repetition(
    directory: &Path,
    folder: Option<String>,
    summary: RepetitionSummary,
    run: &mut Run,
) -> Result<Repetition, ReportError> {
    let failed_events = summary.events.into_iter().filter_map(|event| {
        let error = event.error?;
        Some(format!("event at {} s, {}: {error}", event.at, event.text))
    });
    let mut repetition = Repetition {
        seed: summary.seed,
        expectations: summary.expectations,
        errors: summary.error.into_iter().chain(failed_events).collect(),
        ..Repetition::default()
    };
    let Some(folder) = folder.filter(|folder| directory.join(folder).is_dir()) else {
        let number = summary.directory.unwrap_or_else(|| "of a repetition".to_owned());
        run.notes.push(format!("the folder {number} is missing"));
        return Ok(repetition);
    };
    repetition.directory = Some(folder.clone());
    read_traffic(directory, &folder, &mut repetition.traffic, run)?;
    read_lab(directory, &folder, &mut repetition, run)?;
    Ok(repetition)
}

/// Requests of one repetition, from single requests or else from sums per second.
fn read_traffic(
    directory: &Path,
    folder: &str,
    traffic: &mut Traffic,
    run: &mut Run,
) -> Result<(), ReportError> {
    let path = directory.join(folder).join("requests.jsonl");
    match open(&path)? {
        Some(file) => {
            if requests::read(file, &path, &mut run.names, traffic)? {
                run.notes.push(format!(
                    "{folder}/requests.jsonl ends in the middle of a line: the run was interrupted, the last row is left out"
                ));
            }
            if traffic.tallies.is_empty() {
                run.notes
                    .push(format!("{folder}/requests.jsonl holds no request"));
            }
        }
        None => {
            let cut_short = series::read(
                &directory.join(folder).join("series.json"),
                &mut run.names,
                traffic,
            )?;
            run.notes.push(match (cut_short, traffic.tallies.is_empty()) {
                (true, _) => format!("{folder}/requests.jsonl is missing and series.json is cut short"),
                (false, true) => format!("{folder} holds no requests"),
                (false, false) => format!(
                    "{folder}/requests.jsonl is missing: rates come from series.json, forwarding and latency distribution are not known"
                ),
            });
        }
    }
    Ok(())
}

fn read_lab(
    directory: &Path,
    folder: &str,
    repetition: &mut Repetition,
    run: &mut Run,
) -> Result<(), ReportError> {
    match json::read::<Lab>(&directory.join(folder).join("lab.json"))? {
        Document::Whole(lab) => {
            for warning in &lab.warnings {
                let note = format!("lab: {warning}");
                if !run.notes.contains(&note) {
                    run.notes.push(note);
                }
            }
            repetition.lab = Some(lab);
        }
        Document::Missing => run.notes.push(format!("{folder}/lab.json is missing")),
        Document::CutShort => run.notes.push(format!("{folder}/lab.json is cut short")),
    }
    Ok(())
}

fn open(path: &Path) -> Result<Option<File>, ReportError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReportError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn read_reference(directory: &Path, run: &mut Run) -> Result<(), ReportError> {
    let named = run.info.as_ref().and_then(|info| info.reference.clone());
    let name = named.clone().unwrap_or_else(|| "reference.csv".to_owned());
    if !is_inside(&name) {
        run.notes.push(format!(
            "reference {name} is outside of the run directory and not read"
        ));
        return Ok(());
    }
    let path = directory.join(&name);
    match std::fs::read(&path) {
        Ok(bytes) => run.reference = reference::parse(&String::from_utf8_lossy(&bytes), &path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if named.is_some() {
                run.notes
                    .push(format!("{name} is missing: no comparison with published values"));
            }
        }
        Err(source) => return Err(ReportError::Read { path, source }),
    }
    Ok(())
}

/// Folders `cells/<cell>/<repetition>` in natural order, relative to the run directory.
fn find_repetitions(directory: &Path) -> Result<Vec<(String, Vec<String>)>, ReportError> {
    let cells = folders(directory, "cells")?;
    cells
        .into_iter()
        .map(|cell| folders(directory, &cell).map(|repetitions| (cell, repetitions)))
        .collect()
}

/// Sub-folders in natural order; a folder that is not there has none.
fn folders(directory: &Path, relative: &str) -> Result<Vec<String>, ReportError> {
    let mut names = entries(&directory.join(relative), true)?;
    names.sort_by(|a, b| natural_order(a, b));
    Ok(names
        .into_iter()
        .map(|name| format!("{relative}/{name}"))
        .collect())
}

fn entries(path: &Path, want_folders: bool) -> Result<Vec<String>, ReportError> {
    let failed = |source| ReportError::Read {
        path: path.to_owned(),
        source,
    };
    let listing = match std::fs::read_dir(path) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() == want_folders {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// Files of the run worth a link, relative to the run directory.
fn list_files(directory: &Path, run: &Run) -> Vec<String> {
    let mut files: Vec<String> = ["run.json", "summary.json", "reference.csv"]
        .map(str::to_owned)
        .to_vec();
    // The listing is a convenience: a folder that cannot be listed has no links, and the report is still right.
    let mut sources = entries(&directory.join("sources"), false).unwrap_or_default();
    sources.sort_by(|a, b| natural_order(a, b));
    files.extend(sources.into_iter().map(|name| format!("sources/{name}")));
    for repetition in run.cells.iter().flat_map(|cell| &cell.repetitions) {
        if let Some(folder) = &repetition.directory {
            for name in ["requests.jsonl", "series.json", "lab.json", "logs"] {
                files.push(format!("{folder}/{name}"));
            }
        }
    }
    files.retain(|file| directory.join(file).exists());
    files
}
