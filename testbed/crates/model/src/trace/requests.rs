//! Recorded requests: a table with a column `time` (with a unit, or a plain number of milliseconds) in any order of columns; others
//! are passed over. Times count from the first row, and may be equal.

use std::sync::Arc;
use std::time::Duration;

use super::{LONGEST_TRACE, csv, too_long};
use crate::document::table::{Cell, rows};
use crate::document::tree::Span;
use crate::error::{Fault, Problem};
use crate::units::TimeSpan;

/// The column that counts.
const TIME: &str = "time";

/// When each request is due, as a distance from the first; at least one.
pub(crate) fn read(text: &str, source: u32) -> Result<Arc<[Duration]>, Problem> {
    let mut rows = rows(text, source);
    let heading = rows.next().transpose()?.unwrap_or_default();
    let place = heading.first().map_or_else(
        || Span {
            source,
            ..Span::default()
        },
        |cell| cell.span,
    );
    let Some(column) = heading
        .iter()
        .position(|cell| cell.text.eq_ignore_ascii_case(TIME))
    else {
        return Err(Problem::new(missing_time(), place).label("no column `time` in this heading"));
    };
    let mut times: Vec<Duration> = Vec::new();
    for row in rows {
        let row = row?;
        let Some(cell) = row.get(column).filter(|cell| !cell.text.is_empty()) else {
            let place = row.first().map_or(place, |cell| cell.span);
            return Err(Problem::new(missing_time(), place).label("this row has no time"));
        };
        if times.len() == LONGEST_TRACE {
            return Err(too_long(cell.span));
        }
        times.push(next(cell, times.last())?);
    }
    let Some(first) = times.first().copied() else {
        let message = "no request is recorded here".to_owned();
        return Err(Problem::new(Fault::Value { message }, place).label("nothing but a heading"));
    };
    for time in &mut times {
        *time -= first;
    }
    Ok(times.into())
}

fn next(cell: &Cell<'_>, before: Option<&Duration>) -> Result<Duration, Problem> {
    let time = csv::span_of_time(cell)?;
    match before.filter(|before| **before > time) {
        None => Ok(time),
        Some(before) => {
            let fault = Fault::TraceGoesBack {
                time: TimeSpan(time).to_string(),
                before: TimeSpan(*before).to_string(),
            };
            Err(Problem::new(fault, cell.span).label("earlier than the row before"))
        }
    }
}

fn missing_time() -> Fault {
    Fault::MissingKey { key: TIME.to_owned() }
}
