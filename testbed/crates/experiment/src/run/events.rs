use std::time::Duration;

use dfaas_model::{Event, EventAction};
use futures::{Stream, StreamExt};
use tokio::time::{Instant, sleep_until};

use crate::factory::LabFactory;
use crate::sentinel::Sentinel;
use crate::summary::{EventRecord, PlannedEvent};

/// One thing to do at one time.
#[derive(Debug)]
struct Step<'a> {
    at: Duration,
    undo: bool,
    action: &'a EventAction,
}

/// Carries the events of a cell out one after the other, each at its time or as soon after it as the earlier ones are
/// done. Gives a record of each.
pub(super) fn carry_out<'a>(
    events: &'a [Event],
    factory: &'a dyn LabFactory,
    sentinel: &'a Sentinel<'a>,
    lab: &'a str,
    start: Instant,
) -> impl Stream<Item = EventRecord> + Send + 'a {
    futures::stream::iter(steps(events)).then(move |step| async move {
        sleep_until(start + step.at).await;
        let deed = match step.undo {
            false => factory.act(lab, step.action),
            true => factory.undo(lab, step.action),
        };
        let outcome = sentinel.during(deed).await;
        EventRecord {
            at: step.at.as_secs_f64(),
            achieved: start.elapsed().as_secs_f64(),
            text: describe(step.action, step.undo),
            error: outcome.err(),
        }
    })
}

/// The same as a list for people.
pub(super) fn planned(events: &[Event]) -> Vec<PlannedEvent> {
    let planned = |step: Step<'_>| PlannedEvent {
        at: step.at.as_secs_f64(),
        text: describe(step.action, step.undo),
    };
    steps(events).into_iter().map(planned).collect()
}

/// Beginnings and ends in the order of time; at the same instant an end comes first, so that what follows it stays.
fn steps(events: &[Event]) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for event in events {
        steps.push(Step {
            at: event.at,
            undo: false,
            action: &event.action,
        });
        if let Some(duration) = event.duration {
            steps.push(Step {
                at: event.at.saturating_add(duration),
                undo: true,
                action: &event.action,
            });
        }
    }
    steps.sort_by_key(|step| (step.at, !step.undo));
    steps
}

/// An action in a few words.
fn describe(action: &EventAction, undo: bool) -> String {
    let what = match action {
        EventAction::SetLink { link, .. } => format!("change link {link}"),
        EventAction::RaiseLink { link, up: true } => format!("link {link} up"),
        EventAction::RaiseLink { link, up: false } => format!("link {link} down"),
        EventAction::Node { node, action } => format!("{action} node {node}"),
        EventAction::Partition { groups } => {
            let groups: Vec<String> = groups.iter().map(|nodes| nodes.join(", ")).collect();
            format!("partition {}", groups.join(" / "))
        }
        EventAction::Heal => "heal all partitions".to_owned(),
        EventAction::Move { client, to, .. } => format!("move {client} to {to}"),
    };
    if undo { format!("end of: {what}") } else { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_come_in_time_order_and_before_a_beginning_at_the_same_instant() {
        let event = |at, duration: Option<u64>, link: &str| Event {
            at: Duration::from_secs(at),
            duration: duration.map(Duration::from_secs),
            action: EventAction::RaiseLink {
                link: link.to_owned(),
                up: false,
            },
        };
        let events = [
            event(10, None, "c"),
            event(0, Some(10), "a"),
            event(5, Some(2), "b"),
        ];
        let order: Vec<(u64, String)> = steps(&events)
            .iter()
            .map(|step| (step.at.as_secs(), describe(step.action, step.undo)))
            .collect();
        let expected = [
            (0, "link a down"),
            (5, "link b down"),
            (7, "end of: link b down"),
            (10, "end of: link a down"),
            (10, "link c down"),
        ];
        assert_eq!(order, expected.map(|(at, what)| (at, what.to_owned())));
    }
}
