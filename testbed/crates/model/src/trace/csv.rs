//! Traces as tables: `time` and one or more of `delay`, `rate` and `loss`, in any order, named in the first line.
//!
//! A value has a unit (`20ms`, `10mbit`, `0.5%`) or is a plain number: milliseconds for `time` and `delay`, bit/s for
//! `rate`, a fraction from 0 to 1 for `loss`. An empty cell is as in the row before. Times count from the first row. A
//! last row with nothing but a time is the end of the trace; without one the last row lasts as long as the one before.

use std::str::FromStr;
use std::time::Duration;

use super::{LONGEST_TRACE, Playback, TraceStep, too_long};
use crate::document::table::{Cell, rows};
use crate::document::tree::Span;
use crate::error::{Fault, Problem};
use crate::units::{BitRate, Percent, TimeSpan, UnitError};

const COLUMNS: [&str; 4] = ["time", "delay", "rate", "loss"];

#[derive(Clone, Copy, PartialEq)]
enum Column {
    Time,
    Delay,
    Rate,
    Loss,
}

pub(super) fn read(text: &str, source: u32) -> Result<(Duration, Playback), Problem> {
    let mut rows = rows(text, source);
    let Some(heading) = rows.next().transpose()? else {
        let span = Span {
            source,
            ..Span::default()
        };
        return Err(Problem::new(Fault::TraceTooShort, span));
    };
    let columns = columns(&heading)?;
    let mut steps: Vec<TraceStep> = Vec::new();
    let mut end = None;
    let mut place = heading.first().map_or_else(Span::default, |cell| cell.span);
    for row in rows {
        let row = row?;
        place = row.first().map_or(place, |cell| cell.span);
        if let Some(before) = end {
            return Err(Problem::new(Fault::TraceHole, before)
                .label("has only a time, which ends the trace")
                .also(place, "but more follows"));
        }
        let (step, is_end) = step(&row, &columns, steps.last())?;
        if let Some(before) = steps.last().filter(|before| before.at >= step.at) {
            let fault = Fault::TraceGoesBack {
                time: TimeSpan(step.at).to_string(),
                before: TimeSpan(before.at).to_string(),
            };
            return Err(Problem::new(fault, place).label("not later than the row before"));
        }
        if steps.len() == LONGEST_TRACE {
            return Err(too_long(place));
        }
        if is_end {
            end = Some(place);
        }
        steps.push(step);
    }
    finish(steps, end.is_some(), place)
}

/// Takes the end off, and moves the beginning to 0.
fn finish(mut steps: Vec<TraceStep>, has_end: bool, place: Span) -> Result<(Duration, Playback), Problem> {
    let [.., before, last] = steps.as_slice() else {
        return Err(Problem::new(Fault::TraceTooShort, place)
            .label("nothing changes in it")
            .help("give the link `delay`, `rate` or `loss` instead"));
    };
    let end = if has_end {
        last.at
    } else {
        last.at + (last.at - before.at)
    };
    if has_end {
        steps.pop();
    }
    let begin = steps.first().map_or(Duration::ZERO, |step| step.at);
    for step in &mut steps {
        step.at -= begin;
    }
    Ok((end - begin, Playback::Steps(steps)))
}

fn columns(heading: &[Cell<'_>]) -> Result<Vec<Column>, Problem> {
    let mut columns = Vec::new();
    for cell in heading {
        let column = match cell.text.to_ascii_lowercase().as_str() {
            "time" => Column::Time,
            "delay" => Column::Delay,
            "rate" => Column::Rate,
            "loss" => Column::Loss,
            _ => {
                let fault = Fault::UnknownColumn {
                    name: cell.text.to_string(),
                };
                return Err(Problem::new(fault, cell.span)
                    .label("no such column in a trace")
                    .suggest(&cell.text, COLUMNS));
            }
        };
        if columns.contains(&column) {
            let fault = Fault::DuplicateKey {
                key: cell.text.to_string(),
            };
            return Err(Problem::new(fault, cell.span).label("again here"));
        }
        columns.push(column);
    }
    let place = heading.first().map_or_else(Span::default, |cell| cell.span);
    if !columns.contains(&Column::Time) {
        let fault = Fault::MissingKey {
            key: "time".to_owned(),
        };
        return Err(Problem::new(fault, place).label("no column `time` in this heading"));
    }
    if columns.len() == 1 {
        return Err(Problem::new(Fault::TraceTooShort, place)
            .label("only a time")
            .help("add one or more of the columns `delay`, `rate` and `loss`"));
    }
    Ok(columns)
}

/// The step of a row, and whether the row has nothing but a time.
fn step(
    row: &[Cell<'_>],
    columns: &[Column],
    before: Option<&TraceStep>,
) -> Result<(TraceStep, bool), Problem> {
    if let Some(extra) = row.get(columns.len()) {
        let fault = Fault::WrongCellCount {
            found: row.len(),
            expected: columns.len(),
        };
        return Err(Problem::new(fault, extra.span).label("has no heading"));
    }
    let mut step = before.copied().unwrap_or_default();
    let mut time = None;
    let mut is_end = before.is_some();
    for (cell, column) in row.iter().zip(columns) {
        if cell.text.is_empty() {
            continue;
        }
        is_end &= *column == Column::Time;
        match column {
            Column::Time => time = Some(span_of_time(cell)?),
            Column::Delay => step.delay = Some(span_of_time(cell)?),
            Column::Rate => step.rate = Some(rate(cell)?),
            Column::Loss => step.loss = Some(loss(cell)?),
        }
    }
    let Some(time) = time else {
        let place = row.first().map_or_else(Span::default, |cell| cell.span);
        let fault = Fault::MissingKey {
            key: "time".to_owned(),
        };
        return Err(Problem::new(fault, place).label("this row has no time"));
    };
    step.at = time;
    Ok((step, is_end))
}

fn is_plain(text: &str) -> bool {
    text.ends_with(|letter: char| letter.is_ascii_digit() || letter == '.')
}

/// A time with its unit, or a plain number of milliseconds.
pub(super) fn span_of_time(cell: &Cell<'_>) -> Result<Duration, Problem> {
    let text = if is_plain(&cell.text) {
        format!("{}ms", cell.text)
    } else {
        cell.text.to_string()
    };
    parse::<TimeSpan>(&text, cell).map(|time| time.0)
}

fn rate(cell: &Cell<'_>) -> Result<u64, Problem> {
    if cell.text.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
        return Ok(0);
    }
    let text = if is_plain(&cell.text) {
        format!("{}bit", cell.text)
    } else {
        cell.text.to_string()
    };
    parse::<BitRate>(&text, cell).map(|rate| rate.0)
}

fn loss(cell: &Cell<'_>) -> Result<f64, Problem> {
    if !is_plain(&cell.text) {
        return parse::<Percent>(&cell.text, cell).map(Percent::fraction);
    }
    match cell.text.parse::<f64>() {
        Ok(loss) if (0.0..=1.0).contains(&loss) => Ok(loss),
        _ => {
            let fault = Fault::OutOfRange {
                what: "loss".to_owned(),
                value: cell.text.to_string(),
                range: "a fraction from 0 to 1, or a share like `0.5%`".to_owned(),
            };
            Err(Problem::new(fault, cell.span).label("here"))
        }
    }
}

fn parse<T: FromStr<Err = UnitError>>(text: &str, cell: &Cell<'_>) -> Result<T, Problem> {
    text.parse().map_err(|error: UnitError| {
        let problem = Problem::new(
            Fault::Value {
                message: error.to_string(),
            },
            cell.span,
        )
        .label("here");
        match error.help() {
            Some(help) => problem.help(help),
            None => problem,
        }
    })
}
