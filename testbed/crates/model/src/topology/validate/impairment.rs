//! Impairment keys: what this version can do is taken over, anything else is refused by name.

use super::super::impairment::{ImpairmentChange, JitterDistribution};
use super::super::link_file::{DistributionFile, ImpairmentFile, QueueDisciplineFile};
use super::super::preset::{Direction, PRESETS, Preset};
use crate::document::spanned::Spanned;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::units::TimeSpan;

/// The supported keys of `file`, over its preset; the others are reported.
pub(crate) fn change(
    file: &ImpairmentFile,
    direction: Direction,
    problems: &mut Problems,
) -> ImpairmentChange {
    let preset = preset(file, problems).map(|preset| preset.of(direction));
    keys(file, problems).or(&preset.unwrap_or_default())
}

/// The preset of `file`, if it names one.
pub(super) fn preset(file: &ImpairmentFile, problems: &mut Problems) -> Option<&'static Preset> {
    let name = file.preset.as_ref()?;
    let preset = Preset::named(&name.value);
    if preset.is_none() {
        let fault = Fault::UnknownPreset {
            name: name.value.clone(),
        };
        let known = PRESETS.iter().map(|preset| preset.name);
        problems.add(
            Problem::new(fault, name.span)
                .label("no preset has this name")
                .suggest(&name.value, known),
        );
    }
    preset
}

fn keys(file: &ImpairmentFile, problems: &mut Problems) -> ImpairmentChange {
    refuse_unsupported(file, problems);
    ImpairmentChange {
        delay: file.delay.as_ref().map(|delay| delay.value.0),
        jitter: file.jitter.as_ref().map(|jitter| jitter.value.0),
        distribution: file.distribution.as_ref().and_then(|shape| match shape.value {
            DistributionFile::Uniform => Some(JitterDistribution::Uniform),
            DistributionFile::Normal => Some(JitterDistribution::Normal),
            DistributionFile::Pareto => refuse_distribution("pareto", shape.span, problems),
            DistributionFile::Paretonormal => refuse_distribution("paretonormal", shape.span, problems),
            DistributionFile::Table => refuse_distribution("table", shape.span, problems),
        }),
        loss: file.loss.as_ref().map(|loss| loss.value.fraction()),
        rate: file.rate.as_ref().map(|rate| rate.value.0),
        queue: file.queue.as_ref().map(|queue| queue.value),
    }
}

fn refuse_distribution(name: &str, span: Span, problems: &mut Problems) -> Option<JitterDistribution> {
    problems.add(unsupported(&format!("distribution `{name}`"), span));
    None
}

fn unsupported(what: &str, span: Span) -> Problem {
    Problem::new(
        Fault::NotSupported {
            what: what.to_owned(),
        },
        span,
    )
    .label("here")
    .help("links have `delay`, `jitter` (uniform or normal), `loss`, `rate` and `queue`")
}

/// A trace is read with the topology; a change of a running link cannot bring one.
pub(crate) fn refuse_trace(file: &ImpairmentFile, problems: &mut Problems) {
    let spans = [
        ("trace", place(file.trace.as_ref())),
        ("pattern", place(file.pattern.as_ref())),
    ];
    for (key, span) in spans {
        if let Some(span) = span {
            let message = format!("an event cannot set a `{key}`; give it to the link in the topology");
            problems.add(Problem::new(Fault::Contradiction { message }, span).label("here"));
        }
    }
}

fn place<T>(value: Option<&Spanned<T>>) -> Option<Span> {
    value.map(|value| value.span)
}

fn refuse_unsupported(file: &ImpairmentFile, problems: &mut Problems) {
    let never = [
        ("distribution_table", place(file.distribution_table.as_ref())),
        ("delay_correlation", place(file.delay_correlation.as_ref())),
        (
            "ordered: false",
            place(file.ordered.as_ref().filter(|ordered| !ordered.value)),
        ),
        ("loss_correlation", place(file.loss_correlation.as_ref())),
        ("loss_burst", place(file.loss_burst.as_ref())),
        ("gilbert_elliott", place(file.gilbert_elliott.as_ref())),
        ("duplicate", place(file.duplicate.as_ref())),
        ("corrupt", place(file.corrupt.as_ref())),
        ("reorder", place(file.reorder.as_ref())),
        ("reorder_correlation", place(file.reorder_correlation.as_ref())),
        ("burst", place(file.burst.as_ref())),
        ("overhead", place(file.overhead.as_ref())),
        ("ecn", place(file.ecn.as_ref().filter(|ecn| ecn.value))),
        (
            "blackhole",
            place(file.blackhole.as_ref().filter(|hole| hole.value)),
        ),
    ];
    for (key, span) in never {
        if let Some(span) = span {
            problems.add(unsupported(&format!("`{key}`"), span));
        }
    }
    if let Some(discipline) = &file.queue_discipline
        && discipline.value == QueueDisciplineFile::Codel
    {
        problems.add(unsupported("queue discipline `codel`", discipline.span));
    }
}

/// Jitter beyond the delay would be cut off at zero and so raise the mean: refused rather than bent.
pub(super) fn check_jitter(
    files: &[Option<&ImpairmentFile>],
    change: &ImpairmentChange,
    problems: &mut Problems,
) {
    let (delay, jitter) = (
        change.delay.unwrap_or_default(),
        change.jitter.unwrap_or_default(),
    );
    if jitter <= delay {
        return;
    }
    let place = files
        .iter()
        .flatten()
        .find_map(|file| place(file.jitter.as_ref()).or_else(|| place(file.preset.as_ref())));
    let fault = Fault::JitterOverDelay {
        jitter: TimeSpan(jitter).to_string(),
        delay: TimeSpan(delay).to_string(),
    };
    let problem = match place {
        Some(span) => Problem::new(fault, span).label("no packet can arrive before it was sent"),
        None => Problem::without_place(fault),
    };
    problems.add(problem);
}
