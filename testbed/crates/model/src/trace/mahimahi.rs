//! mahimahi's packet-delivery traces: one line per opportunity, milliseconds since the beginning (mm-link(1), and the
//! README beside mahimahi's own traces).
//!
//! The last time is also the length of the trace, as mahimahi has it: what follows is the first line again, counted
//! from there.

use std::time::Duration;

use super::{LONGEST_TRACE, Playback, too_long, without_comment};
use crate::document::table::lines;
use crate::document::tree::Span;
use crate::error::{Fault, Problem};

pub(super) fn read(text: &str, source: u32) -> Result<(Duration, Playback), Problem> {
    let mut times: Vec<u32> = Vec::new();
    let mut last_place = Span {
        source,
        ..Span::default()
    };
    for (line, span) in lines(text, source) {
        let word = without_comment(line);
        if word.is_empty() {
            continue;
        }
        let place = span.part(line.find(word).unwrap_or(0), word.len());
        let Ok(time) = word.parse::<u32>() else {
            let fault = Fault::WrongType {
                found: format!("`{word}`"),
                expected: "a whole number of milliseconds".to_owned(),
            };
            return Err(Problem::new(fault, place)
                .label("not a time")
                .help("a mahimahi trace has one number per line; a CSV trace begins with a heading like `time,rate`"));
        };
        if let Some(before) = times.last().filter(|before| **before > time) {
            let fault = Fault::TraceGoesBack {
                time: time.to_string(),
                before: before.to_string(),
            };
            return Err(Problem::new(fault, place).label("earlier than the line before"));
        }
        if times.len() == LONGEST_TRACE {
            return Err(too_long(place));
        }
        times.push(time);
        last_place = place;
    }
    match times.last() {
        Some(last) if *last > 0 => Ok((
            Duration::from_millis(u64::from(*last)),
            Playback::Deliveries(times),
        )),
        _ => Err(Problem::new(Fault::TraceWithoutLength, last_place)
            .label("the last time is the length of the trace")
            .help("a link that delivers one packet per millisecond is the single line `1`")),
    }
}
