use super::{Context, Figure, both, join_sentences};
use crate::chart::{Distribution, Line, Palette, Shape, Size, distribution, steps};
use crate::measure::{Bins, TallyKey, percentile_ms};
use crate::run::{FlowId, Outcome, OutcomeId};

const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// Latency percentiles of successful answers over time.
pub(in crate::page) fn latency(context: &Context<'_>) -> Option<Figure> {
    let caption = join_sentences(&[
        "Successful answers only, measured from the moment at which the request should have left.".to_owned(),
        context
            .averaging(context.bins(Size::Wide)?)
            .replace("Mean of", "Pooled over")
            .replace("Each step is the mean over", "Each point stands for"),
    ]);
    both(caption, |size| {
        let bins = context.bins(size)?;
        let lines = percentile_lines(context, bins)?;
        let mut frame = context.frame("latency", size, bins, "latency, ms");
        frame.title = "Latency percentiles over time".to_owned();
        frame.description =
            "Median, 95th and 99th percentile of the latency of successful answers, in milliseconds."
                .to_owned();
        Some(steps(&frame, &lines, Shape::Points))
    })
}

fn percentile_lines(context: &Context<'_>, bins: Bins) -> Option<Vec<Line>> {
    let success = |key: &TallyKey| context.run.names.outcome(key.outcome).is_success();
    let slices = bins.latencies(context.traffics, success);
    let lines: Vec<Line> = PERCENTILES
        .iter()
        .map(|(label, share)| Line {
            label: (*label).to_owned(),
            class: (*label).to_owned(),
            values: slices.iter().map(|slice| percentile_ms(slice, *share)).collect(),
            published: Vec::new(),
        })
        .collect();
    if slices.iter().any(|slice| !slice.is_empty()) {
        Some(lines)
    } else {
        written_percentiles(context, bins)
    }
}

/// Percentiles that the run wrote itself; those of several flows or repetitions cannot be joined afterwards.
fn written_percentiles(context: &Context<'_>, bins: Bins) -> Option<Vec<Line>> {
    let [traffic] = context.traffics else { return None };
    if bins.width != 1 || context.run.names.flows().len() != 1 || traffic.percentiles.is_empty() {
        return None;
    }
    let values = |pick: fn(&crate::measure::Percentiles) -> Option<f64>| {
        (bins.start..bins.end())
            .map(|second| traffic.percentiles.get(&(second, 0)).and_then(pick))
            .collect()
    };
    let line = |label: &str, values| Line {
        label: label.to_owned(),
        class: label.to_owned(),
        values,
        published: Vec::new(),
    };
    Some(vec![
        line("p50", values(|all| Some(all.p50))),
        line("p95", values(|all| Some(all.p95))),
        line("p99", values(|all| all.p99)),
    ])
}

/// Latency distribution of successful answers per flow, and per serving node when there are several.
pub(in crate::page) fn distributions(context: &Context<'_>) -> Vec<Figure> {
    let names = &context.run.names;
    let pooled = |wanted: &dyn Fn(&TallyKey) -> bool| {
        let mut all: Vec<u32> = context
            .traffics
            .iter()
            .flat_map(|traffic| traffic.latencies(wanted))
            .collect();
        all.sort_unstable();
        all
    };
    let flow_ids = (0..names.flows().len()).filter_map(|index| FlowId::try_from(index).ok());
    let flows = flow_ids.map(|id| Distribution {
        label: names.flow(id).to_owned(),
        class: Palette::flow_class(usize::from(id)),
        latencies: pooled(&|key| key.flow == id && names.outcome(key.outcome).is_success()),
    });
    let node_ids = names.ordered().into_iter().filter(|id: &OutcomeId| {
        matches!(names.outcome(*id), Outcome::Served(_)) && !context.palette.is_merged(names, *id)
    });
    let nodes = node_ids.map(|id| Distribution {
        label: names.outcome(id).label(),
        class: context.palette.class(names, id),
        latencies: pooled(&|key| key.outcome == id),
    });
    let sets: [(&str, Vec<Distribution>); 2] = [("flow", flows.collect()), ("serving node", nodes.collect())];
    sets.into_iter()
        .filter_map(|(what, mut groups)| {
            groups.retain(|group| !group.latencies.is_empty());
            let several = what == "flow" || groups.len() > 1;
            if groups.is_empty() || !several {
                return None;
            }
            let title = format!("Latency distribution by {what}");
            both(title.clone(), |size| {
                let id = format!(
                    "{}-cdf-{}-{}",
                    context.anchor,
                    what.replace(' ', "-"),
                    size.name()
                );
                Some(distribution(&id, size, &title, &groups))
            })
        })
        .collect()
}
