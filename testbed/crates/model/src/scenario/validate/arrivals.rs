//! When the requests of a flow are due, and for how long it goes on.

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use crate::document::reader::Reader;
use crate::document::spanned::Spanned;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::scenario::experiment::{Arrivals, RateStage};
use crate::scenario::file::{ArrivalsFile, FlowFile, StageFile, Value};
use crate::units::RequestRate;

/// Arrivals and duration. `None` if they cannot be used; why is in `problems`.
pub(super) fn arrivals(
    file: &FlowFile,
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    problems: &mut Problems,
) -> Option<(Arrivals, Duration)> {
    problems.keep(contradictions(file))?;
    match (&file.trace, &file.stages) {
        (Some(trace), _) => {
            let times = reader.requests(&trace.value, trace.span, problems)?;
            problems.keep(recorded(file, times, context))
        }
        (None, Some(stages)) => problems.keep(staged(file, stages, context)),
        (None, None) => problems.keep(steady(file, context)),
    }
}

/// Refuses two keys that say the same differently.
fn contradictions(file: &FlowFile) -> Result<(), Problem> {
    let rate = file.rate.as_ref().map(|rate| ("rate", rate.span));
    let arrivals = file.arrivals.as_ref().map(|kind| ("arrivals", kind.span));
    let stages = file.stages.as_ref().map(|stages| ("stages", stages.span));
    let both = |span: Span, other: Span, message: String| {
        Problem::new(Fault::Contradiction { message }, span)
            .label("one of the two")
            .also(other, "the other")
    };
    if let (Some(trace), Some((key, span))) = (&file.trace, rate.or(arrivals).or(stages)) {
        let message = format!("a trace says when each request is due, so there is no `{key}` beside it");
        return Err(both(span, trace.span, message));
    }
    if let (Some(stages), Some(duration)) = (&file.stages, &file.duration) {
        let message = "stages have a duration each, so there is no `duration` beside them".to_owned();
        return Err(both(duration.span, stages.span, message));
    }
    Ok(())
}

/// One rate for all the time.
fn steady(file: &FlowFile, context: &Context<'_>) -> Result<(Arrivals, Duration), Problem> {
    let Some(written) = &file.rate else {
        return Err(missing("rate", "write it like `rate: 50/s`", file.from.span));
    };
    let per_second = context.parameters.quantity::<RequestRate>(written)?.0;
    if per_second <= 0.0 {
        let message = "the rate is zero".to_owned();
        return Err(Problem::new(Fault::Value { message }, written.span).label("must be more"));
    }
    let arrivals = if is_poisson(file) {
        Arrivals::Poisson { per_second }
    } else {
        Arrivals::Constant { per_second }
    };
    let Some(written) = &file.duration else {
        let help = "write it like `duration: 40s`";
        return Err(missing("duration", help, file.from.span));
    };
    Ok((arrivals, positive_duration(written, context)?))
}

/// Rates that change evenly, from `rate` (0 when absent) to that of the first stage, and so on.
fn staged(
    file: &FlowFile,
    written: &Spanned<Vec<StageFile>>,
    context: &Context<'_>,
) -> Result<(Arrivals, Duration), Problem> {
    let rate = |value: &Value| context.parameters.quantity::<RequestRate>(value);
    let mut from = file
        .rate
        .as_ref()
        .map(rate)
        .transpose()?
        .map_or(0.0, |rate| rate.0);
    let mut stages = Vec::with_capacity(written.value.len());
    for stage in &written.value {
        let to = rate(&stage.rate)?.0;
        let duration = context.parameters.time(&stage.duration)?;
        stages.push(RateStage { from, to, duration });
        from = to;
    }
    let sends = |stage: &RateStage| stage.from + stage.to > 0.0 && !stage.duration.is_zero();
    if !stages.iter().any(sends) {
        let message = "no request is due in any of these stages".to_owned();
        return Err(Problem::new(Fault::Value { message }, written.span)
            .label("here")
            .help("a stage is a rate at its end and a duration: `{ rate: 50/s, duration: 10s }`"));
    }
    let duration = stages.iter().map(|stage| stage.duration).sum();
    let arrivals = Arrivals::Stages {
        stages,
        poisson: is_poisson(file),
    };
    Ok((arrivals, duration))
}

fn is_poisson(file: &FlowFile) -> bool {
    let kind = file.arrivals.as_ref().map(|kind| kind.value);
    kind == Some(ArrivalsFile::Poisson)
}

/// As recorded; the whole of it unless the flow has a duration.
fn recorded(
    file: &FlowFile,
    times: Arc<[Duration]>,
    context: &Context<'_>,
) -> Result<(Arrivals, Duration), Problem> {
    let duration = match &file.duration {
        Some(written) => positive_duration(written, context)?,
        // The full second after the last request, as results are per second.
        None => Duration::from_secs(times.last().map_or(0, Duration::as_secs) + 1),
    };
    Ok((Arrivals::Trace { times }, duration))
}

fn positive_duration(written: &Value, context: &Context<'_>) -> Result<Duration, Problem> {
    let duration = context.parameters.time(written)?;
    if duration.is_zero() {
        let message = "the duration is zero".to_owned();
        return Err(Problem::new(Fault::Value { message }, written.span).label("must be more"));
    }
    Ok(duration)
}

fn missing(key: &str, help: &str, span: Span) -> Problem {
    Problem::new(Fault::MissingKey { key: key.to_owned() }, span)
        .label("this flow has none")
        .help(help)
}
