//! Impairment keys: each is taken over, and what cannot be meant together is refused with its place.

use super::super::contradiction::Contradiction;
use super::super::distribution::JitterDistribution;
use super::super::impairment::{Impairment, ImpairmentChange, QueueDiscipline};
use super::super::link_file::{DistributionFile, GilbertElliottFile, ImpairmentFile, QueueDisciplineFile};
use super::super::loss::GilbertElliott;
use super::super::preset::{Direction, PRESETS, Preset};
use crate::document::spanned::Spanned;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::trace::Trace;
use crate::units::Percent;

/// The change that the keys of `file` ask for, over its preset.
pub(crate) fn change(
    file: &ImpairmentFile,
    direction: Direction,
    problems: &mut Problems,
) -> ImpairmentChange {
    let preset = preset(file, problems).map(|preset| preset.of(direction));
    keys(file).or(&preset.unwrap_or_default())
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

fn keys(file: &ImpairmentFile) -> ImpairmentChange {
    ImpairmentChange {
        blackhole: plain(file.blackhole.as_ref()),
        loss: share(file.loss.as_ref()),
        loss_correlation: share(file.loss_correlation.as_ref()),
        loss_burst: plain(file.loss_burst.as_ref()),
        gilbert_elliott: file
            .gilbert_elliott
            .as_ref()
            .map(|channel| gilbert_elliott(&channel.value)),
        duplicate: share(file.duplicate.as_ref()),
        corrupt: share(file.corrupt.as_ref()),
        rate: file.rate.as_ref().map(|rate| rate.value.0),
        burst: file.burst.as_ref().map(|burst| burst.value.0),
        overhead: plain(file.overhead.as_ref()),
        queue: plain(file.queue.as_ref()),
        queue_discipline: file
            .queue_discipline
            .as_ref()
            .map(|discipline| match discipline.value {
                QueueDisciplineFile::Droptail => QueueDiscipline::Droptail,
                QueueDisciplineFile::Codel => QueueDiscipline::Codel,
            }),
        ecn: plain(file.ecn.as_ref()),
        reorder: share(file.reorder.as_ref()),
        reorder_correlation: share(file.reorder_correlation.as_ref()),
        delay: file.delay.as_ref().map(|delay| delay.value.0),
        jitter: file.jitter.as_ref().map(|jitter| jitter.value.0),
        distribution: file.distribution.as_ref().and_then(|shape| match shape.value {
            DistributionFile::Uniform => Some(JitterDistribution::Uniform),
            DistributionFile::Normal => Some(JitterDistribution::Normal),
            DistributionFile::Pareto => Some(JitterDistribution::Pareto),
            DistributionFile::Paretonormal => Some(JitterDistribution::Paretonormal),
            // Its values come from a file, which is not read here.
            DistributionFile::Table => None,
        }),
        delay_correlation: share(file.delay_correlation.as_ref()),
        ordered: plain(file.ordered.as_ref()),
    }
}

fn plain<T: Copy>(key: Option<&Spanned<T>>) -> Option<T> {
    key.map(|key| key.value)
}

fn share(key: Option<&Spanned<Percent>>) -> Option<f64> {
    key.map(|key| key.value.fraction())
}

fn gilbert_elliott(file: &GilbertElliottFile) -> GilbertElliott {
    GilbertElliott {
        p: file.p.fraction(),
        r: file.r.fraction(),
        bad: file.bad.map_or(1.0, Percent::fraction),
        good: file.good.map_or(0.0, Percent::fraction),
    }
}

/// What is in files is read with the topology; a change of a running link cannot bring any.
pub(crate) fn refuse_files(file: &ImpairmentFile, problems: &mut Problems) {
    let table = file.distribution.as_ref();
    let table = table.filter(|shape| shape.value == DistributionFile::Table);
    let spans = [
        ("trace", place(file.trace.as_ref())),
        ("pattern", place(file.pattern.as_ref())),
        (
            "distribution_table",
            place(file.distribution_table.as_ref()).or(place(table)),
        ),
    ];
    for (key, span) in spans {
        if let Some(span) = span {
            let message =
                format!("a link cannot get a `{key}` while it runs; give it to the link in the topology");
            problems.add(Problem::new(Fault::Contradiction { message }, span).label("here"));
        }
    }
}

fn place<T>(value: Option<&Spanned<T>>) -> Option<Span> {
    value.map(|value| value.span)
}

/// Reports what cannot be meant together in a direction, at the first of `files` that has the key.
pub(crate) fn check(
    impairment: &Impairment,
    mtu: Option<u32>,
    trace: Option<&Trace>,
    files: &[Option<&ImpairmentFile>],
    problems: &mut Problems,
) {
    for contradiction in impairment.contradictions(mtu, trace) {
        let Contradiction { key, message, remedy } = contradiction;
        let written = files.iter().flatten().find_map(|file| key_place(file, key));
        let preset = || {
            files
                .iter()
                .flatten()
                .find_map(|file| place(file.preset.as_ref()))
        };
        let fault = Fault::Contradiction { message };
        let problem = match written.or_else(preset) {
            Some(span) => Problem::new(fault, span).label("here"),
            None => Problem::without_place(fault),
        };
        problems.add(problem.help(remedy));
    }
}

/// Where a key's value stands, of those that a contradiction can name.
fn key_place(file: &ImpairmentFile, key: &str) -> Option<Span> {
    match key {
        "jitter" => place(file.jitter.as_ref()).or(place(file.delay.as_ref())),
        "delay_correlation" => place(file.delay_correlation.as_ref()),
        "reorder" => place(file.reorder.as_ref()),
        "reorder_correlation" => place(file.reorder_correlation.as_ref()),
        "loss_correlation" => place(file.loss_correlation.as_ref()),
        "loss_burst" => place(file.loss_burst.as_ref()).or(place(file.loss.as_ref())),
        "gilbert_elliott" => place(file.gilbert_elliott.as_ref()).or(place(file.loss.as_ref())),
        "ecn" => place(file.ecn.as_ref()),
        "overhead" => place(file.overhead.as_ref()),
        "burst" => place(file.burst.as_ref()),
        "queue" => place(file.queue.as_ref()),
        "queue_discipline" => place(file.queue_discipline.as_ref()),
        _ => None,
    }
}
