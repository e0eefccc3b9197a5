use super::{Context, Figure, both, join_sentences};
use crate::chart::{Layer, Size, stacked};
use crate::measure::{Bins, Tally, TallyKey, every_request_known, outcome_totals};
use crate::run::Outcome;

/// Where requests ended: where they were sent, at another node, or nowhere.
pub(in crate::page) fn forwarding(context: &Context<'_>) -> Option<Figure> {
    let known = every_request_known(context.traffics);
    let caption = join_sentences(&[
        "Stacked: the upper edge is the offered load.".to_owned(),
        if known {
            "Forwarded means that another node than the one asked has served the request.".to_owned()
        } else {
            "Which requests were forwarded is not known without requests.jsonl.".to_owned()
        },
        context.averaging(context.bins(Size::Wide)?),
    ]);
    both(caption, |size| {
        let bins = context.bins(size)?;
        let mut frame = context.frame("forwarding", size, bins, "requests per second");
        frame.title = "Requests per second by where they ended".to_owned();
        let layers = layers(context, bins, known);
        let names: Vec<&str> = layers.iter().map(|layer| layer.label.as_str()).collect();
        frame.description = format!(
            "Stacked areas over time, from bottom to top: {}.",
            names.join(", ")
        );
        Some(stacked(&frame, &layers))
    })
}

fn layers(context: &Context<'_>, bins: Bins, known: bool) -> Vec<Layer> {
    let names = &context.run.names;
    let success = |key: &TallyKey| names.outcome(key.outcome).is_success();
    let answered = |key: &TallyKey| !success(key) && *names.outcome(key.outcome) != Outcome::NoAnswer;
    let layer = |label: &str, short: &str, class: &str, weight: &dyn Fn(&TallyKey, &Tally) -> u64| Layer {
        label: label.to_owned(),
        short: short.to_owned(),
        class: class.to_owned(),
        values: bins.rates(context.traffics, weight),
    };
    let here = |key: &TallyKey, tally: &Tally| {
        if success(key) {
            tally.count.saturating_sub(tally.forwarded)
        } else {
            0
        }
    };
    let away = |key: &TallyKey, tally: &Tally| if success(key) { tally.forwarded } else { 0 };
    let refused = |key: &TallyKey, tally: &Tally| if answered(key) { tally.count } else { 0 };
    let lost = |key: &TallyKey, tally: &Tally| match names.outcome(key.outcome) {
        Outcome::NoAnswer => tally.count,
        _ => 0,
    };
    let mut layers = if known {
        vec![
            layer("served where sent", "local", "local", &here),
            layer("forwarded", "forwarded", "away", &away),
        ]
    } else {
        vec![layer("served", "served", "local", &here)]
    };
    let (label, short) = refused_labels(context);
    layers.push(layer(&label, &short, "refused", &refused));
    layers.push(layer("no answer", "none", "lost", &lost));
    layers.retain(|layer| layer.values.iter().flatten().any(|value| *value > 0.0));
    layers
}

/// The statuses that occurred, when they are few: with and without explanation.
fn refused_labels(context: &Context<'_>) -> (String, String) {
    let names = &context.run.names;
    let codes: Vec<String> = outcome_totals(names, context.traffics)
        .into_iter()
        .filter(|(id, _)| matches!(names.outcome(*id), Outcome::Status(_)))
        .map(|(id, _)| names.outcome(id).label())
        .collect();
    match codes.len() {
        1..=3 => (format!("refused: {}", codes.join(", ")), codes.join(", ")),
        _ => ("refused or failed".to_owned(), "refused".to_owned()),
    }
}
