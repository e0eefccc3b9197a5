use std::fmt::Write;

use crate::measure::{Bins, Traffic, compare, node_totals, outcome_totals, percentile_ms};
use crate::page::{estimate_text, heading, milliseconds, rate_text};
use crate::run::{Cell, Outcome, OutcomeId, Run};

/// Most lines of the table of seconds; longer runs are summed over equal slices of time.
const LINES: usize = 60;
/// Narrowest column of the table.
const COLUMN: usize = 5;

/// Who served what, second by second, in one repetition.
#[derive(Debug, Clone, PartialEq)]
pub struct SecondTable {
    /// Node names, then statuses (429 and 503 always), then `none` for requests without answer if there were any.
    pub columns: Vec<String>,
    /// One row per slice of time.
    pub rows: Vec<SecondRow>,
    /// Seconds per row.
    pub width: i64,
}

/// One row of a [`SecondTable`].
#[derive(Debug, Clone, PartialEq)]
pub struct SecondRow {
    /// End of the slice, seconds since t = 0: the first second ends at 1.
    pub until: i64,
    /// Responses per second, one per column.
    pub rates: Vec<f64>,
    /// 95th percentile of the latency of successful answers, milliseconds; none without any.
    pub p95: Option<f64>,
}

/// The table of one repetition in at most 60 rows; none without requests.
pub fn second_table(run: &Run, traffic: &Traffic) -> Option<SecondTable> {
    let traffics = [traffic];
    let bins = Bins::covering(&traffics, LINES)?;
    let columns = columns(run, traffic);
    let rates: Vec<Vec<Option<f64>>> = columns
        .iter()
        .map(|(_, members)| {
            bins.rates(&traffics, |key, tally| {
                if members.contains(&key.outcome) {
                    tally.count
                } else {
                    0
                }
            })
        })
        .collect();
    let latencies = bins.latencies(&traffics, |key| run.names.outcome(key.outcome).is_success());
    let rows = latencies.iter().enumerate().map(|(index, slice)| SecondRow {
        until: bins.start + bins.width * (index as i64 + 1),
        rates: rates
            .iter()
            .map(|column| column.get(index).copied().flatten().unwrap_or(0.0))
            .collect(),
        p95: percentile_ms(slice, 0.95),
    });
    Some(SecondTable {
        rows: rows.collect(),
        columns: columns.into_iter().map(|(name, _)| name).collect(),
        width: bins.width,
    })
}

/// Names of the columns and the outcomes that count in each.
fn columns(run: &Run, traffic: &Traffic) -> Vec<(String, Vec<OutcomeId>)> {
    let occurred: Vec<OutcomeId> = outcome_totals(&run.names, &[traffic])
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let mut columns = Vec::new();
    let mut statuses: Vec<(u16, Vec<OutcomeId>)> = vec![(429, Vec::new()), (503, Vec::new())];
    let mut unanswered = Vec::new();
    for id in occurred {
        match run.names.outcome(id) {
            Outcome::Served(node) => columns.push((node.clone(), vec![id])),
            Outcome::ServedByUnknown => columns.push(("other".to_owned(), vec![id])),
            Outcome::Status(code) => match statuses.iter_mut().find(|(known, _)| known == code) {
                Some((_, members)) => members.push(id),
                None => statuses.push((*code, vec![id])),
            },
            Outcome::NoAnswer => unanswered.push(id),
        }
    }
    statuses.sort();
    columns.extend(
        statuses
            .into_iter()
            .map(|(code, members)| (code.to_string(), members)),
    );
    if !unanswered.is_empty() {
        columns.push(("none".to_owned(), unanswered));
    }
    columns
}

/// The end of a run for a terminal: who served what, rates per node, statuses, and the published values. Plain text
/// without colours, every line ended.
pub fn terminal_table(run: &Run) -> String {
    let mut text = String::new();
    for (index, cell) in run.cells.iter().enumerate() {
        for (number, repetition) in cell.repetitions.iter().enumerate() {
            let several = cell.repetitions.len() > 1;
            if several || run.cells.len() > 1 {
                let repetition = if several {
                    format!(", repetition {}", number + 1)
                } else {
                    String::new()
                };
                put(
                    &mut text,
                    format_args!("{}{repetition}", plain(&heading(run, index))),
                );
            }
            match second_table(run, &repetition.traffic) {
                Some(table) => write_table(&table, &mut text),
                None => put(&mut text, format_args!("  no requests")),
            }
            text.push('\n');
        }
        write_cell_totals(run, cell, &mut text);
    }
    text
}

/// [`terminal_table`] without its seconds, for somebody who has watched them go by.
pub fn terminal_totals(run: &Run) -> String {
    let mut text = String::new();
    for (index, cell) in run.cells.iter().enumerate() {
        if run.cells.len() > 1 {
            put(&mut text, format_args!("{}", plain(&heading(run, index))));
        }
        write_cell_totals(run, cell, &mut text);
    }
    text
}

fn write_cell_totals(run: &Run, cell: &Cell, text: &mut String) {
    write_totals(run, cell, text);
    if let Some(line) = published_line(run, cell) {
        put(text, format_args!("published  {line}"));
    }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
    text.push('\n');
}

/// Text that cannot steer a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

fn write_table(table: &SecondTable, text: &mut String) {
    let width = |name: &String| name.chars().count().max(COLUMN - 1) + 1;
    let mut header = format!("{:>6}", "t ");
    for name in &table.columns {
        let _ = write!(header, "{:>1$}", plain(name), width(name));
    }
    put(text, format_args!("{header}   p95"));
    for row in &table.rows {
        let mut line = format!("{:>6}", format!("{} s", row.until));
        for (name, rate) in table.columns.iter().zip(&row.rates) {
            let shown = if table.width > 1 {
                rate_text(*rate)
            } else {
                format!("{rate:.0}")
            };
            let _ = write!(line, "{shown:>0$}", width(name));
        }
        let p95 = row.p95.map_or_else(|| "–".to_owned(), milliseconds);
        put(text, format_args!("{line}   {p95}"));
    }
    if table.width > 1 {
        put(
            text,
            format_args!("each line: mean per second over {} s", table.width),
        );
    }
}

fn write_totals(run: &Run, cell: &Cell, text: &mut String) {
    let traffics: Vec<&Traffic> = cell
        .repetitions
        .iter()
        .map(|repetition| &repetition.traffic)
        .collect();
    let nodes: Vec<String> = node_totals(&run.names, &traffics)
        .into_iter()
        .filter(|node| node.served > 0)
        .map(|node| {
            let share = node.share * 100.0;
            format!("{} {}/s ({share:.0} %)", plain(&node.node), rate_text(node.rate))
        })
        .collect();
    if !nodes.is_empty() {
        put(text, format_args!("served     {}", nodes.join(" · ")));
    }
    let totals = outcome_totals(&run.names, &traffics);
    let success = |id: &OutcomeId| run.names.outcome(*id).is_success();
    let succeeded: u64 = totals
        .iter()
        .filter(|(id, _)| success(id))
        .map(|(_, count)| count)
        .sum();
    let mut statuses = vec![format!("success × {succeeded}")];
    let failed = totals.iter().filter(|(id, _)| !success(id));
    statuses.extend(failed.map(|(id, count)| format!("{} × {count}", run.names.outcome(*id).label())));
    put(text, format_args!("status     {}", statuses.join(" · ")));
}

/// `n1 10 · n2 16 per second   measured 10.0 · 16.1`: published values of the last window beside the measured ones;
/// none without published values.
pub fn published_line(run: &Run, cell: &Cell) -> Option<String> {
    let all = compare(run, cell);
    let start = |window: Option<(f64, Option<f64>)>| window.map_or(f64::NEG_INFINITY, |(from, _)| from);
    let last = all.iter().map(|row| start(row.window)).reduce(f64::max)?;
    let rows: Vec<_> = all.iter().filter(|row| start(row.window) == last).collect();
    let published: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {}", plain(&row.published.series), row.published.value))
        .collect();
    let measured: Vec<String> = rows
        .iter()
        .map(|row| match &row.measured {
            Some(measured) => estimate_text(measured, rate_text),
            None => "–".to_owned(),
        })
        .collect();
    let units: Vec<&str> = rows.iter().map(|row| row.published.unit.as_str()).collect();
    let unit = match units.first() {
        Some(first) if units.iter().all(|unit| unit == first) => match *first {
            "/s" | "1/s" | "requests/s" | "responses/s" => " per second".to_owned(),
            "" => String::new(),
            other => format!(" {}", plain(other)),
        },
        _ => String::new(),
    };
    Some(format!(
        "{}{unit}   measured {}",
        published.join(" · "),
        measured.join(" · ")
    ))
}
