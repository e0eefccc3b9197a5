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
    if let Some(client) = &file.client {
        let others = file.link.is_some() || file.node.is_some() || file.partition.is_some();
        if others || deed.is_some() || file.set.is_some() {
            return Err(refuse("an event with `move` has `to`, `gap` and nothing else"));
        }
        return roam(client, file, context, refuse).map(Half::Done);
    }
    if let Some(stray) = file.to.as_ref().or(file.gap.as_ref()) {
        return Err(wrong_deed("`to` and `gap` belong to `move`", stray.span));
    }
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
                (Some((deed, span)), None) => node_action(node, deed, span, file).map(Half::Done),
                _ => Err(refuse("an event of a node has `do` and nothing else")),
            }
        }
        (None, None, None) if file.set.is_none() && is_heal(deed) => match &file.lasting {
            None => Ok(Half::Done(EventAction::Heal)),
            Some(lasting) => Err(endless("heal", lasting.span)),
        },
        (None, None, Some(groups)) if deed.is_none() && file.set.is_none() => {
            partition(groups, context).map(|groups| Half::Done(EventAction::Partition { groups }))
        }
        _ => Err(refuse(
            "an event has exactly one of `link`, `node`, `partition`, `move` and `do: heal`",
        )),
    }
}

/// Where to a client can move is for the lab to say; that there is such a client and such a node is known here.
fn roam(
    client: &Value,
    file: &EventFile,
    context: &Context<'_>,
    refuse: impl Fn(&str) -> Problem,
) -> Result<EventAction, Problem> {
    let name = no_switch(client, context, "which cannot move")?;
    let to = file
        .to
        .as_ref()
        .ok_or_else(|| refuse("a `move` needs `to`, the switch or node to move to"))?;
    let target = context.node(to)?;
    let nodes = &context.topology.nodes;
    if !nodes.contains_key(&target) || target == name {
        let message = format!(
            "`{name}` cannot move to `{target}`; name the switch or node that its link is to lead to"
        );
        return Err(wrong_deed(&message, to.span));
    }
    let mut others = context.topology.links.iter().filter_map(|link| {
        let [a, b] = link.endpoints.each_ref().map(|end| end.node.as_str());
        match (a == name, b == name) {
            (true, _) => Some(b),
            (_, true) => Some(a),
            _ => None,
        }
    });
    let (Some(from), None) = (others.next(), others.next()) else {
        let message = format!("`{name}` must have one link to move");
        return Err(wrong_deed(&message, client.span));
    };
    Ok(EventAction::Move {
        client: name,
        to: target,
        from: from.to_owned(),
        gap: context.time(file.gap.as_ref())?.unwrap_or_default(),
    })
}

fn is_heal(deed: Option<(DeedFile, Span)>) -> bool {
    deed.is_some_and(|(deed, _)| deed == DeedFile::Heal)
}

fn node_action(node: String, deed: DeedFile, span: Span, file: &EventFile) -> Result<EventAction, Problem> {
    let Some(action) = deed.to_node() else {
        let words = "a node can `stop`, `start`, `restart`, `pause`, `resume` or be `kill`ed";
        return Err(wrong_deed(words, span));
    };
    match &file.lasting {
        Some(lasting) if action.undone_by().is_none() => Err(endless(action.as_str(), lasting.span)),
        _ => Ok(EventAction::Node { node, action }),
    }
}

fn endless(deed: &str, span: Span) -> Problem {
    let message = format!("`{deed}` has no end, so it cannot have a `for`");
    Problem::new(Fault::Contradiction { message }, span)
        .label("here")
        .help("`stop`, `kill` and `pause` of nodes, changes of links, and partitions can end")
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
    no_switch(value, context, "which runs nothing; take its links down instead")
}

fn no_switch(value: &Value, context: &Context<'_>, instead: &str) -> Result<String, Problem> {
    let name = context.node(value)?;
    if context
        .topology
        .nodes
        .get(&name)
        .is_some_and(|node| node.kind == NodeKind::Switch)
    {
        let message = format!("`{name}` is a switch, {instead}");
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
            let name = no_switch(
                value,
                context,
                "which has no address; name the nodes behind it instead",
            )?;
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
