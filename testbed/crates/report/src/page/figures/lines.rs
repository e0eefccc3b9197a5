use std::collections::BTreeSet;

use super::{Context, Figure, both, join_sentences};
use crate::chart::{Line, Shape, Size, steps};
use crate::files::ReferenceValue;
use crate::measure::{Bins, Quantity, Traffic, is_node, outcome_totals};
use crate::run::{FlowId, Outcome, OutcomeId};

/// Statuses with a line of their own; the rare rest has one together.
const STATUS_LINES: usize = 6;

/// Outcomes drawn as one line.
struct Group {
    label: String,
    class: String,
    members: Vec<OutcomeId>,
}

/// Responses per second by node and status.
pub(in crate::page) fn responses(context: &Context<'_>) -> Option<Figure> {
    let groups = groups(context);
    let bins = context.bins(Size::Wide)?;
    let published = groups
        .iter()
        .any(|group| !published(context, group, bins.end() as f64).is_empty());
    let shade = context
        .cell
        .recalc_period
        .map(|period| format!("Shaded bands are recalc periods of {period} s."));
    let caption = join_sentences(&[
        "Solid: answered with success, by the node that served. Dashed: answered with another status, dotted: not answered.".to_owned(),
        if published { "Pale bands: published values.".to_owned() } else { String::new() },
        shade.unwrap_or_default(),
        context.averaging(bins),
    ]);
    both(caption, |size| {
        let bins = context.bins(size)?;
        let mut frame = context.frame("responses", size, bins, "responses per second");
        frame.title = "Responses per second by serving node and status".to_owned();
        frame.description = description(&groups, context, context.traffics, None);
        let lines = lines(context, &groups, context.traffics, None, bins);
        Some(steps(&frame, &lines, Shape::Steps))
    })
}

/// A small figure to draw: heading, repetitions, and the one flow that counts.
struct Multiple<'a> {
    name: String,
    heading: String,
    traffics: &'a [&'a Traffic],
    flow: Option<FlowId>,
}

/// The same for each flow and for each repetition on its own, with a heading each.
pub(in crate::page) fn multiples(context: &Context<'_>) -> Vec<(String, String)> {
    let groups = groups(context);
    let limit = context.budget.slices.min(Size::Small.slices());
    let drawn: Vec<(Multiple<'_>, Bins, Vec<Line>)> = wanted_multiples(context)
        .into_iter()
        .take(context.budget.multiples)
        .filter_map(|multiple| {
            let bins = Bins::covering(multiple.traffics, limit)?;
            let mut lines = lines(context, &groups, multiple.traffics, multiple.flow, bins);
            lines.retain(|line| line.values.iter().flatten().any(|value| *value > 0.0));
            Some((multiple, bins, lines))
        })
        .collect();
    let values = drawn.iter().flat_map(|(_, _, lines)| lines);
    let highest = values
        .flat_map(|line| line.values.iter().flatten().copied())
        .fold(0.0, f64::max);
    drawn
        .into_iter()
        .map(|(multiple, bins, lines)| {
            let mut frame = context.frame(&multiple.name, Size::Small, bins, "responses/s");
            frame.title = format!("Responses per second: {}", multiple.heading);
            frame.description = description(&groups, context, multiple.traffics, multiple.flow);
            frame.least_top = highest;
            (multiple.heading, steps(&frame, &lines, Shape::Steps))
        })
        .collect()
}

fn wanted_multiples<'a>(context: &'a Context<'_>) -> Vec<Multiple<'a>> {
    let mut wanted = Vec::new();
    let flows: BTreeSet<FlowId> = context
        .traffics
        .iter()
        .flat_map(|traffic| traffic.spans.keys().copied())
        .collect();
    for flow in flows.iter().filter(|_| flows.len() > 1) {
        wanted.push(Multiple {
            name: format!("flow-{}", flow + 1),
            heading: format!("flow {}", context.run.names.flow(*flow)),
            traffics: context.traffics,
            flow: Some(*flow),
        });
    }
    for (index, traffic) in context
        .traffics
        .iter()
        .enumerate()
        .filter(|_| context.traffics.len() > 1)
    {
        let seed = context
            .cell
            .repetitions
            .get(index)
            .and_then(|repetition| repetition.seed);
        let seed = seed.map_or_else(String::new, |seed| format!(" · seed {seed}"));
        wanted.push(Multiple {
            name: format!("repetition-{}", index + 1),
            heading: format!("repetition {}{seed}", index + 1),
            traffics: std::slice::from_ref(traffic),
            flow: None,
        });
    }
    wanted
}

fn description(
    groups: &[Group],
    context: &Context<'_>,
    traffics: &[&Traffic],
    flow: Option<FlowId>,
) -> String {
    let said: Vec<String> = groups
        .iter()
        .filter_map(|group| {
            let tallies = traffics.iter().flat_map(|traffic| &traffic.tallies);
            let mine = tallies.filter(|(key, _)| {
                group.members.contains(&key.outcome) && flow.is_none_or(|flow| flow == key.flow)
            });
            let sum: u64 = mine.map(|(_, tally)| tally.count).sum();
            (sum > 0).then(|| format!("{}: {sum} responses", group.label))
        })
        .collect();
    let repetitions = if traffics.len() > 1 && context.traffics.len() > 1 {
        " in all repetitions"
    } else {
        ""
    };
    format!("Lines over time. {}{repetitions}.", said.join(", "))
}

/// Nodes first, then statuses. Many nodes or statuses share a line.
fn groups(context: &Context<'_>) -> Vec<Group> {
    let names = &context.run.names;
    let (mut groups, mut merged, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let totals = outcome_totals(names, context.traffics);
    let mut statuses: Vec<(OutcomeId, u64)> = totals
        .iter()
        .filter(|(id, _)| matches!(names.outcome(*id), Outcome::Status(_)))
        .copied()
        .collect();
    statuses.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rare: Vec<OutcomeId> = statuses.iter().skip(STATUS_LINES).map(|(id, _)| *id).collect();
    for (id, _) in totals {
        if context.palette.is_merged(names, id) {
            merged.push(id);
        } else if rare.contains(&id) {
            others.push(id);
        } else {
            groups.push(Group {
                label: names.outcome(id).label(),
                class: context.palette.class(names, id),
                members: vec![id],
            });
        }
    }
    for (members, class, what) in [
        (merged, "rest", "other nodes"),
        (others, "cother", "other statuses"),
    ] {
        if !members.is_empty() {
            groups.push(Group {
                label: format!("{} {what}", members.len()),
                class: class.to_owned(),
                members,
            });
        }
    }
    groups
}

fn lines(
    context: &Context<'_>,
    groups: &[Group],
    traffics: &[&Traffic],
    flow: Option<FlowId>,
    bins: Bins,
) -> Vec<Line> {
    groups
        .iter()
        .map(|group| Line {
            label: group.label.clone(),
            class: group.class.clone(),
            values: bins.rates(traffics, |key, tally| {
                let counts = group.members.contains(&key.outcome) && flow.is_none_or(|flow| flow == key.flow);
                if counts { tally.count } else { 0 }
            }),
            // Published values are those of all flows together.
            published: match flow {
                None => published(context, group, bins.end() as f64),
                Some(_) => Vec::new(),
            },
        })
        .collect()
}

/// Published values of a line as segments; those that are about one of several flows do not fit the sum.
fn published(context: &Context<'_>, group: &Group, end: f64) -> Vec<(f64, f64, f64)> {
    let [member] = group.members.as_slice() else {
        return Vec::new();
    };
    let outcome = context.run.names.outcome(*member);
    let about = |reference: &&ReferenceValue| {
        let quantity = Quantity::parse(&reference.series, |name| is_node(context.run, context.cell, name));
        quantity == Some(Quantity::Outcome(outcome.clone()))
    };
    context
        .run
        .reference
        .iter()
        .filter(about)
        .filter_map(|reference| {
            let period = context.cell.recalc_period;
            let from = reference.from.seconds(period)?;
            let to = reference.to.map_or(Some(end), |to| to.seconds(period))?.min(end);
            (to > from).then_some((from, to, reference.value))
        })
        .collect()
}
