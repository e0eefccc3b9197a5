//! `pattern:`: a link that changes in a regular way.

use std::time::Duration;

use super::{Playback, Trace, TraceStep};
use crate::document::spanned::Spanned;
use crate::error::{Fault, Problem};
use crate::topology::link_file::{PatternFile, PatternShapeFile, PatternStepFile, PatternValuesFile};
use crate::units::TimeSpan;

/// A smooth shape is cut into steps no shorter than this, …
const SHORTEST_STEP: Duration = Duration::from_millis(10);
/// … and into no more than this many.
const MOST_STEPS: u32 = 200;

/// The trace that a pattern is short for.
pub(crate) fn read(file: &Spanned<PatternFile>) -> Result<Trace, Problem> {
    let every = &file.value.every;
    if every.value.0.is_zero() {
        return Err(Problem::new(Fault::TraceWithoutLength, every.span).label("longer than nothing"));
    }
    let pattern = &file.value;
    let steps = match (&pattern.shape, &pattern.from, &pattern.to, &pattern.steps) {
        (None, None, None, Some(steps)) => listed(steps, every.value.0)?,
        (Some(shape), Some(from), Some(to), None) => shaped(shape.value, from, to, every.value.0)?,
        _ => {
            let message = "a pattern has either `steps`, or all of `shape`, `from` and `to`".to_owned();
            return Err(Problem::new(Fault::Contradiction { message }, file.span)
                .label("this pattern")
                .help("for example `pattern: { every: 60s, shape: sine, from: { delay: 20ms }, to: { delay: 80ms } }`"));
        }
    };
    Ok(Trace {
        name: "pattern".to_owned(),
        period: every.value.0,
        playback: Playback::Steps(steps),
    })
}

fn listed(steps: &Spanned<Vec<PatternStepFile>>, every: Duration) -> Result<Vec<TraceStep>, Problem> {
    let mut all: Vec<TraceStep> = Vec::with_capacity(steps.value.len());
    for file in &steps.value {
        let at = file.at.value.0;
        if at >= every {
            let fault = Fault::OutOfRange {
                what: "at".to_owned(),
                value: TimeSpan(at).to_string(),
                range: format!("before the pattern begins again, at {}", TimeSpan(every)),
            };
            return Err(Problem::new(fault, file.at.span).label("too late"));
        }
        match all.last() {
            None if !at.is_zero() => {
                let fault = Fault::OutOfRange {
                    what: "at".to_owned(),
                    value: TimeSpan(at).to_string(),
                    range: "0s in the first step".to_owned(),
                };
                return Err(Problem::new(fault, file.at.span).label("nothing holds before"));
            }
            Some(before) if at <= before.at => {
                let fault = Fault::TraceGoesBack {
                    time: TimeSpan(at).to_string(),
                    before: TimeSpan(before.at).to_string(),
                };
                return Err(Problem::new(fault, file.at.span).label("not later than the step before"));
            }
            _ => {}
        }
        let before = all.last().copied().unwrap_or_default();
        all.push(TraceStep {
            at,
            delay: file.delay.map(|delay| delay.0).or(before.delay),
            rate: file.rate.map(|rate| rate.0).or(before.rate),
            loss: file.loss.map(crate::Percent::fraction).or(before.loss),
        });
    }
    if all.is_empty() {
        return Err(Problem::new(Fault::TraceTooShort, steps.span).label("at least one step"));
    }
    Ok(all)
}

fn shaped(
    shape: PatternShapeFile,
    from: &Spanned<PatternValuesFile>,
    to: &Spanned<PatternValuesFile>,
    every: Duration,
) -> Result<Vec<TraceStep>, Problem> {
    let set = |file: &PatternValuesFile| [file.delay.is_some(), file.rate.is_some(), file.loss.is_some()];
    if set(&from.value) != set(&to.value) || !set(&from.value).contains(&true) {
        let message =
            "`from` and `to` of a pattern need the same keys, one or more of `delay`, `rate` and `loss`";
        let fault = Fault::Contradiction {
            message: message.to_owned(),
        };
        return Err(Problem::new(fault, to.span)
            .label("here")
            .also(from.span, "and here"));
    }
    let count = match shape {
        PatternShapeFile::Square => 2,
        _ => u32::try_from(every.as_nanos() / SHORTEST_STEP.as_nanos())
            .map_or(MOST_STEPS, |fit| fit.clamp(2, MOST_STEPS)),
    };
    let step = |number: u32| {
        let phase = f64::from(number) / f64::from(count);
        let weight = match shape {
            PatternShapeFile::Square => f64::from(number),
            PatternShapeFile::Sawtooth => phase,
            PatternShapeFile::Triangle => 1.0 - (2.0 * phase - 1.0).abs(),
            PatternShapeFile::Sine => (1.0 - (phase * std::f64::consts::TAU).cos()) / 2.0,
        };
        TraceStep {
            at: every * number / count,
            delay: between(from.value.delay, to.value.delay, |one, other| {
                let seconds = mixed(one.0.as_secs_f64(), other.0.as_secs_f64(), weight);
                // To the microsecond: what is finer is noise of the arithmetic.
                Duration::from_micros((seconds * 1e6).round() as u64)
            }),
            rate: between(from.value.rate, to.value.rate, |one, other| {
                mixed(one.0 as f64, other.0 as f64, weight).round() as u64
            }),
            loss: between(from.value.loss, to.value.loss, |one, other| {
                mixed(one.fraction(), other.fraction(), weight)
            }),
        }
    };
    Ok((0..count).map(step).collect())
}

fn between<T, V>(one: Option<T>, other: Option<T>, mix: impl Fn(T, T) -> V) -> Option<V> {
    Some(mix(one?, other?))
}

fn mixed(one: f64, other: f64, weight: f64) -> f64 {
    one + (other - one) * weight
}
