//! Events.

use std::collections::HashMap;
use std::sync::Arc;

use super::Context;
use crate::document::spanned::Spanned;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::scenario::experiment::{Event, EventAction};
use crate::scenario::file::{DeedFile, EventFile, Value};
use crate::topology::link_file::{HasImpairments, ImpairmentFile, LinkChangeFile};
use crate::topology::preset::Direction;
use crate::topology::validate::impairment;
use crate::topology::{Impairment, Link, NodeKind, Topology};
use crate::trace::Trace;

/// Checks one event.
pub(super) fn event(file: &EventFile, context: &Context<'_>, problems: &mut Problems) -> Option<Event> {
    let at = problems.keep(context.parameters.time(&file.at));
    let duration = problems.keep(context.time(file.lasting.as_ref()));
    let action = problems.keep(action(file, context, problems_of(file)))?;
    let action = match action {
        Half::Done(action) => action,
        Half::Change { link, change } => set_link(context.topology, link, change, problems),
    };
    Some(Event {
        at: at?,
        duration: duration?,
        action,
    })
}

/// An action, or a change of a link whose keys are still to be checked.
enum Half<'a> {
    Done(EventAction),
    Change {
        link: &'a Link,
        change: &'a LinkChangeFile,
    },
}

fn problems_of(file: &EventFile) -> impl Fn(&str) -> Problem {
    let span = file.at.span;
    move |message: &str| {
        Problem::new(
            Fault::Contradiction {
                message: message.to_owned(),
            },
            span,
        )
        .label("this event")
    }
}

fn action<'a>(
    file: &'a EventFile,
    context: &'a Context<'_>,
    refuse: impl Fn(&str) -> Problem,
) -> Result<Half<'a>, Problem> {
    let deed = file.deed.as_ref().map(|deed| (deed.value, deed.span));
    match (&file.link, &file.node, &file.partition) {
        (Some(name), None, None) => {
            let link = link(name, context)?;
            match (&file.set, deed) {
                (Some(change), None) => Ok(Half::Change {
                    link,
                    change: &change.value,
                }),
                (None, Some((DeedFile::Up | DeedFile::Down, _))) => Ok(Half::Done(EventAction::RaiseLink {
                    link: link.name.clone(),
                    up: deed.is_some_and(|(deed, _)| deed == DeedFile::Up),
                })),
                (None, Some((_, span))) => Err(wrong_deed("a link goes `up` or `down`", span)),
                _ => Err(refuse("an event of a link has either `set` or `do`")),
            }
        }
        (None, Some(name), None) => {
            let node = node(name, context)?;
            match (deed, &file.set) {
                (Some((deed, span)), None) => match deed.to_node() {
                    Some(action) => Ok(Half::Done(EventAction::Node { node, action })),
                    None => Err(wrong_deed("a node can `stop`, `start` or be `kill`ed", span)),
                },
                _ => Err(refuse("an event of a node has `do` and nothing else")),
            }
        }
        (None, None, Some(groups)) if deed.is_none() && file.set.is_none() => {
            partition(groups, context).map(|groups| Half::Done(EventAction::Partition { groups }))
        }
        _ => Err(refuse(
            "an event has exactly one of `link`, `node` and `partition`",
        )),
    }
}

fn wrong_deed(message: &str, span: Span) -> Problem {
    Problem::new(
        Fault::Contradiction {
            message: message.to_owned(),
        },
        span,
    )
    .label("here")
}

fn link<'a>(value: &Value, context: &'a Context<'_>) -> Result<&'a Link, Problem> {
    let (name, span) = context.parameters.text(value)?;
    context.topology.link(name).ok_or_else(|| {
        let known = context.topology.links.iter().map(|link| link.name.as_str());
        Problem::new(
            Fault::UnknownLink {
                name: name.to_owned(),
            },
            span,
        )
        .label("the topology has no such link")
        .suggest(name, known)
    })
}

fn node(value: &Value, context: &Context<'_>) -> Result<String, Problem> {
    let name = context.node(value)?;
    if context
        .topology
        .nodes
        .get(&name)
        .is_some_and(|node| node.kind == NodeKind::Switch)
    {
        let message = format!("`{name}` is a switch, which runs nothing; take its links down instead");
        return Err(Problem::new(Fault::Contradiction { message }, value.span).label("here"));
    }
    Ok(name)
}

fn set_link(topology: &Topology, link: &Link, file: &LinkChangeFile, problems: &mut Problems) -> EventAction {
    let both_file = file.impairments();
    for own in [Some(&both_file), file.forward.as_ref(), file.backward.as_ref()]
        .into_iter()
        .flatten()
    {
        impairment::refuse_files(own, problems);
    }
    let [forward_trace, backward_trace] = topology.traces_of(link);
    let mut change =
        |own: Option<&ImpairmentFile>, direction, before: &Impairment, trace: Option<&Arc<Trace>>| {
            let both = impairment::change(&both_file, direction, problems);
            let change = match own {
                Some(own) => impairment::change(own, direction, problems).or(&both),
                None => both,
            };
            let after = change.applied_to(before);
            let files = [own, Some(&both_file)];
            impairment::check(&after, link.mtu, trace.map(Arc::as_ref), &files, problems);
            change
        };
    let forward = change(
        file.forward.as_ref(),
        Direction::Forward,
        &link.forward,
        forward_trace,
    );
    let backward = change(
        file.backward.as_ref(),
        Direction::Backward,
        &link.backward,
        backward_trace,
    );
    EventAction::SetLink {
        link: link.name.clone(),
        forward: Box::new(forward),
        backward: Box::new(backward),
    }
}

fn partition(groups: &Spanned<Vec<Vec<Value>>>, context: &Context<'_>) -> Result<Vec<Vec<String>>, Problem> {
    if groups.value.len() < 2 || groups.value.iter().any(Vec::is_empty) {
        let message = "a partition has two groups of nodes or more, none of them empty".to_owned();
        return Err(Problem::new(Fault::Contradiction { message }, groups.span).label("here"));
    }
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut named = Vec::with_capacity(groups.value.len());
    for group in &groups.value {
        let mut names = Vec::with_capacity(group.len());
        for value in group {
            let name = context.node(value)?;
            if let Some(first) = seen.insert(name.clone(), value.span) {
                let message = format!("`{name}` is in the partition twice");
                return Err(Problem::new(Fault::Contradiction { message }, value.span)
                    .label("again here")
                    .also(first, "first here"));
            }
            names.push(name);
        }
        named.push(names);
    }
    Ok(named)
}
