use super::{Context, Figure, both, join_sentences};
use crate::chart::{Line, Shape, Size, steps};
use crate::files::ReferenceValue;
use crate::measure::{Bins, Quantity, Traffic, is_node, outcome_totals};
use crate::run::{Outcome, OutcomeId};

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
        frame.description = description(&groups, context);
        let lines = lines(context, &groups, context.traffics, bins);
        Some(steps(&frame, &lines, Shape::Steps))
    })
}

/// The same for each repetition on its own, with its heading.
pub(in crate::page) fn multiples(context: &Context<'_>) -> Vec<(String, String)> {
    let count = context.traffics.len();
    if count < 2 {
        return Vec::new();
    }
    let groups = groups(context);
    let drawn: Vec<(usize, Bins, Vec<Line>)> = context
        .traffics
        .iter()
        .enumerate()
        .take(context.budget.multiples)
        .filter_map(|(index, traffic)| {
            let limit = context.budget.slices.min(Size::Small.slices());
            let bins = Bins::covering(std::slice::from_ref(traffic), limit)?;
            Some((
                index,
                bins,
                lines(context, &groups, std::slice::from_ref(traffic), bins),
            ))
        })
        .collect();
    let values = drawn.iter().flat_map(|(_, _, lines)| lines);
    let highest = values
        .flat_map(|line| line.values.iter().flatten().copied())
        .fold(0.0, f64::max);
    drawn
        .into_iter()
        .map(|(index, bins, lines)| {
            let name = format!("repetition-{}", index + 1);
            let mut frame = context.frame(&name, Size::Small, bins, "responses/s");
            frame.title = format!("Responses per second in repetition {}", index + 1);
            frame.description = description(&groups, context);
            frame.least_top = highest;
            let seed = context
                .cell
                .repetitions
                .get(index)
                .and_then(|repetition| repetition.seed);
            let seed = seed.map_or_else(String::new, |seed| format!(" · seed {seed}"));
            (
                format!("Repetition {}{seed}", index + 1),
                steps(&frame, &lines, Shape::Steps),
            )
        })
        .collect()
}

fn description(groups: &[Group], context: &Context<'_>) -> String {
    let totals = outcome_totals(&context.run.names, context.traffics);
    let said: Vec<String> = groups
        .iter()
        .map(|group| {
            let mine = totals.iter().filter(|(id, _)| group.members.contains(id));
            let sum: u64 = mine.map(|(_, count)| count).sum();
            format!("{}: {sum} responses", group.label)
        })
        .collect();
    format!("Lines over time. {}.", said.join(", "))
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

fn lines(context: &Context<'_>, groups: &[Group], traffics: &[&Traffic], bins: Bins) -> Vec<Line> {
    groups
        .iter()
        .map(|group| Line {
            label: group.label.clone(),
            class: group.class.clone(),
            values: bins.rates(traffics, |key, tally| {
                if group.members.contains(&key.outcome) {
                    tally.count
                } else {
                    0
                }
            }),
            published: published(context, group, bins.end() as f64),
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
