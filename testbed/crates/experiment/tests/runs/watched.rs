//! What the sentinel says about a lab that is not what it should be.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dfaas_experiment::{Summary, Validity, Verdict, run};
use dfaas_model::{Bound, Event, EventAction, Metric};

use super::block_on;
use super::fake_lab::{FakeLabs, Watcher};
use super::results::{federation, options};
use super::scenario::{expectation, experiment, flow};

pub(crate) const TESTS: &[super::Test] = &[
    (
        "watched::a_link_changed_by_somebody_else_makes_the_run_invalid",
        changed_by_somebody_else,
    ),
    (
        "watched::a_link_changed_by_the_scenario_is_as_it_should_be",
        changed_by_the_scenario,
    ),
    ("watched::a_lab_that_cannot_be_seen_is_not_judged", unseen),
    ("watched::a_lab_of_many_links_is_asked_less_often", many_links),
];

fn run_with(delays: &[&'static str], events: Vec<Event>) -> Summary {
    let labs = FakeLabs::new();
    *labs.delays.lock().unwrap() = delays.to_vec();
    run_on(&labs, events)
}

fn run_on(labs: &FakeLabs, events: Vec<Event>) -> Summary {
    let server = federation();
    let folder = tempfile::tempdir().unwrap();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        20.0,
        Duration::from_millis(2_200),
    );
    let mut experiment = experiment(vec![users], vec![expectation(Metric::Rate, Bound::AtLeast(1.0))]);
    experiment.cells[0].events = events;
    let watcher = Watcher::new();
    block_on(run(&experiment, labs, options(folder.path(), &watcher), &watcher)).unwrap()
}

fn about_links(summary: &Summary) -> Vec<&str> {
    let reasons = summary.validity_reasons.iter().map(String::as_str);
    reasons
        .filter(|reason| reason.contains("changed a link"))
        .collect()
}

fn changed_by_somebody_else() {
    let summary = run_with(&["5ms", "5ms", "5ms", "9ms"], Vec::new());
    assert_eq!(summary.validity, Validity::Invalid);
    assert_eq!(
        about_links(&summary),
        [
            "cells/0/0: somebody else than the scenario changed a link: link n1--s1 is delay 9ms forward, not delay 5ms"
        ]
    );
    assert_eq!(summary.verdict, Verdict::Pass, "the verdict is another question");
    let seen = summary.cells[0].repetitions[0].sentinel.as_ref().unwrap();
    assert!(seen.looks >= 4 && seen.seconds > 2.0, "{seen:?}");
}

fn changed_by_the_scenario() {
    let event = Event {
        at: Duration::from_secs(1),
        duration: None,
        action: EventAction::RaiseLink {
            link: "n1--s1".to_owned(),
            up: true,
        },
    };
    let summary = run_with(&["5ms"], vec![event]);
    assert!(about_links(&summary).is_empty(), "{:?}", summary.validity_reasons);
    let seen = summary.cells[0].repetitions[0].sentinel.as_ref().unwrap();
    assert_eq!((seen.events, seen.changed_links.len()), (1, 0));
}

fn many_links() {
    let labs = FakeLabs {
        others: 999,
        ..FakeLabs::new()
    };
    *labs.delays.lock().unwrap() = vec!["5ms"];
    let summary = run_on(&labs, Vec::new());
    let seen = summary.cells[0].repetitions[0].sentinel.as_ref().unwrap();
    // Every two seconds between the first and the last look, and at the machine every half second all the same.
    let most = 2.0 + seen.seconds / 2.0;
    let asked = labs.looks.load(Ordering::Relaxed);
    assert!(f64::from(asked) <= most, "{asked} in {seen:?}");
    assert!(seen.looks >= 4, "{seen:?}");
}

fn unseen() {
    let summary = run_with(&[], Vec::new());
    assert_eq!(summary.cells[0].repetitions[0].sentinel, None);
    // A busy machine may delay the load; that is seen without looking at the lab.
    let about_load = |reason: &String| reason.contains("load generator") || reason.contains("not sent");
    assert!(
        summary.validity_reasons.iter().all(about_load),
        "{:?}",
        summary.validity_reasons
    );
}
