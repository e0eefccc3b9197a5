//! What goes wrong, and that the lab is stopped all the same.

use std::fs;
use std::time::{Duration, Instant};

use dfaas_experiment::{ExperimentError, FailureKind, Summary, Validity, Verdict, run};
use dfaas_model::{Bound, Event, EventAction, Experiment, Metric, NodeAction};

use super::block_on;
use super::fake_lab::{FakeLabs, Watcher};
use super::results::{assert_written, federation, options};
use super::scenario::{expectation, experiment, flow};
use crate::common::{Received, Server, reply};

pub(crate) const TESTS: &[super::Test] = &[
    (
        "faults::an_interruption_stops_the_lab_and_keeps_what_there_is",
        an_interruption,
    ),
    (
        "faults::an_interruption_while_the_lab_starts_stops_it_too",
        an_interruption_of_the_start,
    ),
    (
        "faults::an_interruption_before_the_start_touches_no_lab",
        an_interruption_before_the_start,
    ),
    (
        "faults::a_lab_that_does_not_start_is_an_error",
        a_lab_that_does_not_start,
    ),
    (
        "faults::a_load_process_that_dies_is_an_error",
        a_load_process_that_dies,
    ),
    (
        "faults::a_load_process_that_babbles_is_an_error",
        a_load_process_that_babbles,
    ),
    ("faults::an_event_that_fails_is_an_error", an_event_that_fails),
    (
        "faults::what_cannot_work_is_refused_before_a_lab_is_started",
        refused_before_the_start,
    ),
    ("faults::a_lab_that_stays_is_told", a_lab_that_stays),
    (
        "faults::requests_that_could_not_be_sent_degrade_the_run",
        requests_not_sent,
    ),
    ("faults::a_run_never_overwrites_another", never_overwrites),
];

const PORT_OF_NOBODY: u16 = 9;

fn an_interruption() {
    let server = federation();
    let folder = tempfile::tempdir().unwrap();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        20.0,
        Duration::from_secs(60),
    );
    let experiment = experiment(vec![users], vec![expectation(Metric::Rate, Bound::AtLeast(1.0))]);
    let labs = FakeLabs::new();
    let watcher = Watcher {
        stop_after: Some(0),
        ..Watcher::new()
    };
    let begin = Instant::now();
    let summary = block_on(run(
        &experiment,
        &labs,
        options(folder.path(), &watcher),
        &watcher,
    ))
    .unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(labs.calls(), ["start fake", "load on user1", "stop fake"]);
    assert_eq!(summary.verdict, Verdict::Error);
    assert_eq!(summary.failure.as_ref().unwrap().kind, FailureKind::Interrupted);
    let repetition = &summary.cells[0].repetitions[0];
    assert!(repetition.expectations.is_empty(), "half a run cannot be judged");
    let requests = repetition.load["users"].requests;
    assert!((20..80).contains(&requests), "{requests}");
    let rows = fs::read_to_string(folder.path().join("cells/0/0/requests.jsonl")).unwrap();
    assert_eq!(rows.lines().count() as u64, requests);
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("summary.json")).unwrap()).unwrap();
    assert_eq!(written["verdict"], "error");
    assert_eq!(
        (&written["error"], &written["error_kind"]),
        (&"interrupted".into(), &"interrupted".into())
    );
    assert!(folder.path().join("cells/0/0/series.json").exists());
}

fn an_interruption_of_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let users = flow("users", "user1", PORT_OF_NOBODY, 20.0, Duration::from_secs(1));
    let experiment = experiment(vec![users], Vec::new());
    let labs = FakeLabs {
        start: Ok(Duration::from_secs(60)),
        ..FakeLabs::new()
    };
    let watcher = Watcher::new();
    let summary = block_on(async {
        let run = run(&experiment, &labs, options(folder.path(), &watcher), &watcher);
        let stop = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            watcher.stop.send_replace(true);
        };
        tokio::join!(run, stop).0.unwrap()
    });
    assert_eq!(labs.calls(), ["start fake", "stop fake"]);
    assert_eq!(summary.failure.unwrap().kind, FailureKind::Interrupted);
    assert_eq!(summary.cells[0].repetitions[0].start, None);
}

fn an_interruption_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let users = flow("users", "user1", PORT_OF_NOBODY, 20.0, Duration::from_secs(1));
    let experiment = experiment(vec![users], Vec::new());
    let (labs, watcher) = (FakeLabs::new(), Watcher::new());
    watcher.stop.send_replace(true);
    let summary = block_on(run(
        &experiment,
        &labs,
        options(folder.path(), &watcher),
        &watcher,
    ))
    .unwrap();
    assert_eq!(summary.failure.unwrap().kind, FailureKind::Interrupted);
    assert!(
        labs.calls().is_empty(),
        "a lab of this name would be somebody else's"
    );
}

/// Runs an experiment on `labs` that is expected to fail, and gives the failure's text.
fn failing(labs: &FakeLabs, kind: FailureKind, events: Vec<Event>) -> String {
    let server = federation();
    let folder = tempfile::tempdir().unwrap();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        20.0,
        Duration::from_secs(3),
    );
    let mut experiment = experiment(vec![users], vec![expectation(Metric::Rate, Bound::AtLeast(1.0))]);
    let again = experiment.cells[0].repetitions[0].clone();
    experiment.cells[0].repetitions.push(again);
    experiment.cells[0].events = events;
    let watcher = Watcher::new();
    let summary = block_on(run(&experiment, labs, options(folder.path(), &watcher), &watcher)).unwrap();
    assert_eq!(summary.verdict, Verdict::Error);
    let failure = summary.failure.clone().unwrap();
    assert_eq!(failure.kind, kind, "{failure:?}");
    assert_eq!(
        summary.cells[0].repetitions.len(),
        1,
        "the second repetition is not begun"
    );
    assert_eq!(summary.cells[0].repetitions[0].failure, Some(failure.clone()));
    assert_written(folder.path(), &summary);
    failure.text
}

fn a_lab_that_does_not_start() {
    let labs = FakeLabs {
        start: Err("node `n1`: haproxy is missing".to_owned()),
        ..FakeLabs::new()
    };
    let text = failing(&labs, FailureKind::Lab, Vec::new());
    assert_eq!(text, "lab `fake` did not start: node `n1`: haproxy is missing");
    assert_eq!(labs.calls(), ["start fake"], "it has undone itself");
}

fn a_load_process_that_dies() {
    let command = ["sh", "-c", "echo no such node >&2; exit 7"]
        .map(str::to_owned)
        .to_vec();
    let labs = FakeLabs {
        instead_of_load: Some(command),
        ..FakeLabs::new()
    };
    let text = failing(&labs, FailureKind::Load, Vec::new());
    assert_eq!(
        text,
        "the load process on `user1` ended early (exit code 7: no such node)"
    );
    assert_eq!(labs.calls().last().unwrap(), "stop fake");

    let labs = FakeLabs {
        instead_of_load: Some(vec!["/nonexistent".to_owned()]),
        ..FakeLabs::new()
    };
    let text = failing(&labs, FailureKind::Load, Vec::new());
    assert!(
        text.starts_with("cannot start load on `user1`: No such file"),
        "{text}"
    );
    assert_eq!(labs.calls().last().unwrap(), "stop fake");
}

fn a_load_process_that_babbles() {
    let command = ["sh", "-c", "echo '\"waiting\"'; echo hello; sleep 30"]
        .map(str::to_owned)
        .to_vec();
    let labs = FakeLabs {
        instead_of_load: Some(command),
        ..FakeLabs::new()
    };
    let text = failing(&labs, FailureKind::Load, Vec::new());
    assert_eq!(
        text,
        "the load process on `user1` wrote something unexpected: hello"
    );
    assert_eq!(labs.calls().last().unwrap(), "stop fake");
}

fn link_down(at: u64) -> Event {
    let action = EventAction::RaiseLink {
        link: "n1--s1".to_owned(),
        up: false,
    };
    Event {
        at: Duration::from_millis(at),
        duration: None,
        action,
    }
}

fn an_event_that_fails() {
    let labs = FakeLabs {
        act: Err("there is no such link".to_owned()),
        ..FakeLabs::new()
    };
    let text = failing(&labs, FailureKind::Event, vec![link_down(500)]);
    assert_eq!(
        text,
        "event at 0.5 s (link n1--s1 down) failed: there is no such link"
    );
    assert_eq!(labs.calls().last().unwrap(), "stop fake");
}

fn refused_before_the_start() {
    let stop = EventAction::Node {
        node: "n1".to_owned(),
        action: NodeAction::Stop,
    };
    let stop = Event {
        at: Duration::from_secs(1),
        duration: None,
        action: stop,
    };
    let error = refused(|experiment| experiment.cells[0].events = vec![link_down(0), stop]);
    assert!(matches!(error, ExperimentError::Event { .. }));
    assert_eq!(
        error.to_string(),
        "event at 1 s cannot be done: nodes cannot be stopped"
    );

    let error = refused(|experiment| experiment.cells[0].flows[0].path = "/func tion".to_owned());
    assert!(matches!(error, ExperimentError::Flow(_)));
    let text = error.to_string();
    assert!(
        text.starts_with("flow `users`: path `/func tion` cannot be sent"),
        "{text}"
    );

    let error = refused(|experiment| experiment.reference = Some("/nonexistent/published.csv".to_owned()));
    let text = error.to_string();
    assert!(
        text.starts_with("cannot read reference /nonexistent/published.csv"),
        "{text}"
    );
}

/// The error of an experiment changed so that it cannot be run; nothing is started or written for it.
fn refused(change: impl FnOnce(&mut Experiment)) -> ExperimentError {
    let users = flow("users", "user1", PORT_OF_NOBODY, 1.0, Duration::from_secs(1));
    let mut experiment = experiment(vec![users], Vec::new());
    change(&mut experiment);
    let (labs, watcher) = (FakeLabs::new(), Watcher::new());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let error = block_on(run(&experiment, &labs, options(&out, &watcher), &watcher)).unwrap_err();
    assert!(labs.calls().is_empty());
    assert!(!out.exists());
    error
}

fn a_lab_that_stays() {
    let server = federation();
    let folder = tempfile::tempdir().unwrap();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        20.0,
        Duration::from_secs(1),
    );
    let labs = FakeLabs {
        stop: Err("cgroup x is busy".to_owned()),
        ..FakeLabs::new()
    };
    let watcher = Watcher::new();
    let experiment = experiment(vec![users], Vec::new());
    let error = block_on(run(
        &experiment,
        &labs,
        options(folder.path(), &watcher),
        &watcher,
    ))
    .unwrap_err();
    assert!(matches!(&error, ExperimentError::CleanUp { lab, .. } if lab == "fake"));
    assert_eq!(
        error.to_string(),
        "lab `fake` could not be taken down completely: cgroup x is busy"
    );
    let written = fs::read(folder.path().join("summary.json")).unwrap();
    let summary: Summary = serde_json::from_slice(&written).unwrap();
    assert_eq!(summary.failure.unwrap().kind, FailureKind::CleanUp);
    assert_eq!(
        summary.cells[0].repetitions[0].load["users"].requests, 20,
        "what was measured is kept"
    );
}

fn requests_not_sent() {
    // More requests hang than may be under way at once.
    let server = Server::start(|_: Received| async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        reply(200, "")
    });
    let folder = tempfile::tempdir().unwrap();
    let mut users = flow(
        "users",
        "user1",
        server.address.port(),
        6000.0,
        Duration::from_secs(2),
    );
    users.timeout = Duration::from_secs(4);
    let watcher = Watcher::new();
    let experiment = experiment(
        vec![users],
        vec![expectation(Metric::SuccessRate, Bound::AtMost(0.0))],
    );
    let labs = FakeLabs::new();
    let summary = block_on(run(
        &experiment,
        &labs,
        options(folder.path(), &watcher),
        &watcher,
    ))
    .unwrap();
    let load = &summary.cells[0].repetitions[0].load["users"];
    assert_eq!(load.requests, 12_000, "none may vanish");
    assert_eq!(load.by_code.get(&0), Some(&12_000));
    assert!(load.not_sent >= 2_000, "{}", load.not_sent);
    assert_eq!(
        (summary.verdict, summary.validity),
        (Verdict::Pass, Validity::Degraded)
    );
    assert!(
        summary
            .validity_reasons
            .iter()
            .any(|reason| reason.contains("were not sent"))
    );
}

fn never_overwrites() {
    let server = federation();
    let folder = tempfile::tempdir().unwrap();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        20.0,
        Duration::from_secs(1),
    );
    let experiment = experiment(vec![users], Vec::new());
    let watcher = Watcher::new();
    fs::write(folder.path().join("run.json"), "mine").unwrap();
    let labs = FakeLabs::new();
    let error = block_on(run(
        &experiment,
        &labs,
        options(folder.path(), &watcher),
        &watcher,
    ))
    .unwrap_err();
    assert!(matches!(error, ExperimentError::NotEmpty { .. }), "{error}");
    assert_eq!(
        fs::read_to_string(folder.path().join("run.json")).unwrap(),
        "mine"
    );
    assert!(labs.calls().is_empty());
}
