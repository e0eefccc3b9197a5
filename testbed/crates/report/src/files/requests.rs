use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::json::reason;
use crate::ReportError;
use crate::measure::{Source, TallyKey, Traffic};
use crate::run::{Names, Outcome};

/// The fields of a row that count. `None` in `served_by` means that no node has named itself.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    attack: Cow<'a, str>,
    code: u16,
    /// Nanoseconds from the intended send time.
    latency: u64,
    #[serde(borrow, default)]
    error: Cow<'a, str>,
    /// Intended send time, seconds since t = 0.
    offset: f64,
    #[serde(default)]
    sent_after: Option<f64>,
    #[serde(borrow, default)]
    to: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    served_by: Option<Cow<'a, str>>,
    #[serde(default)]
    forwarded: bool,
}

/// No run is longer, seconds; beyond it is a broken number.
const LATEST: f64 = 1e9;
/// Different sentences about failures that are kept apart; the rest is counted together.
const DISTINCT_FAILURES: usize = 20;
/// Longest sentence about a failure that is kept, characters.
const FAILURE_LENGTH: usize = 160;

/// Streams `requests.jsonl` into sums per second.
///
/// Returns true when the last line is cut short (which is then left out).
pub(super) fn read(
    file: File,
    path: &Path,
    names: &mut Names,
    traffic: &mut Traffic,
) -> Result<bool, ReportError> {
    let mut reader = BufReader::with_capacity(1 << 17, file);
    let mut line = Vec::new();
    let mut number = 0;
    traffic.source = Source::Requests;
    let cut_short = loop {
        line.clear();
        let length = reader
            .read_until(b'\n', &mut line)
            .map_err(|source| ReportError::Read {
                path: path.to_owned(),
                source,
            })?;
        if length == 0 {
            break false;
        }
        number += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let malformed = |reason| ReportError::Malformed {
            path: path.to_owned(),
            line: number,
            reason,
        };
        match serde_json::from_slice::<Row<'_>>(&line) {
            Ok(row) => count(&row, names, traffic).map_err(malformed)?,
            Err(_) if line.last() != Some(&b'\n') => break true,
            Err(error) => return Err(malformed(reason(&error))),
        }
    };
    for tally in traffic.tallies.values_mut() {
        tally.latencies.sort_unstable();
    }
    Ok(cut_short)
}

/// Adds one row.
fn count(row: &Row<'_>, names: &mut Names, traffic: &mut Traffic) -> Result<(), String> {
    if !row.offset.is_finite() || row.offset.abs() > LATEST {
        return Err(format!("offset {} is not a time in seconds", row.offset));
    }
    let outcome = Outcome::of(row.code, row.served_by.as_deref());
    let too_many = |what: &str| format!("more than 65535 different {what} in one run");
    let flow = names.flow_id(&row.attack).ok_or_else(|| too_many("flows"))?;
    let id = names.outcome_id(&outcome).ok_or_else(|| too_many("outcomes"))?;
    let key = TallyKey {
        second: row.offset.floor() as i64,
        flow,
        outcome: id,
    };
    let tally = traffic.tallies.entry(key).or_default();
    tally.count += 1;
    tally.forwarded += u64::from(row.forwarded);
    tally
        .latencies
        .push(u32::try_from(row.latency / 1000).unwrap_or(u32::MAX));
    traffic.note_time(flow, row.offset, row.sent_after);
    if let Some(node) = &row.to {
        traffic.note_asked(node, outcome.is_success());
    }
    if outcome == Outcome::NoAnswer {
        note_failure(&row.error, traffic);
    }
    Ok(())
}

fn note_failure(error: &str, traffic: &mut Traffic) {
    let sentence = match error.trim() {
        "" => "no reason given".to_owned(),
        text => text.chars().take(FAILURE_LENGTH).collect(),
    };
    let room = traffic.failures.len() < DISTINCT_FAILURES || traffic.failures.contains_key(&sentence);
    let key = if room {
        sentence
    } else {
        "other reasons".to_owned()
    };
    *traffic.failures.entry(key).or_default() += 1;
}
