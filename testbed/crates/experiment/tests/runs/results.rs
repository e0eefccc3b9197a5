//! What a run measures and writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dfaas_experiment::{RunOptions, Summary, Verdict, run};
use dfaas_model::{Arrivals, Bound, Event, EventAction, Experiment, Flow, Metric, RateStage, Statistic};
use serde_json::Value;

use super::block_on;
use super::fake_lab::{FakeLabs, Watcher};
use super::scenario::{expectation, experiment, flow};
use crate::common::{Received, Server, reply};

pub(crate) const TESTS: &[super::Test] = &[
    (
        "results::a_run_counts_who_served_what",
        a_run_counts_who_served_what,
    ),
    (
        "results::requests_go_out_as_stages_chance_and_recordings_say",
        requests_go_out_as_stages_chance_and_recordings_say,
    ),
    (
        "results::a_run_directory_is_complete",
        a_run_directory_is_complete,
    ),
    ("results::the_summary_has_this_shape", the_summary_has_this_shape),
    (
        "results::an_expectation_must_hold_in_every_repetition",
        an_expectation_must_hold_in_every_repetition,
    ),
    (
        "results::a_mean_may_be_judged_instead",
        a_mean_may_be_judged_instead,
    ),
    (
        "results::events_happen_at_their_times",
        events_happen_at_their_times,
    ),
    (
        "results::load_begins_on_a_multiple_of_the_period",
        load_begins_on_a_multiple_of_the_period,
    ),
];

/// Of five requests n1 serves one, n2 two (named by address and by peer id), and two are refused with 503.
pub(crate) fn federation() -> Server {
    let count = AtomicU64::new(0);
    Server::start(move |_: Received| {
        let turn = count.fetch_add(1, Ordering::SeqCst) % 5;
        async move {
            let (status, header) = match turn {
                0 => (200, Some(("x-server", "10.0.0.1"))),
                1 => (200, Some(("x-server", "10.0.0.2"))),
                2 => (200, Some(("dfaas-node-id", "12D3KooWPeerOfN2"))),
                // A proxy may name itself on a refusal, too; that is no service.
                3 => (503, Some(("x-server", "10.0.0.1"))),
                _ => (503, None),
            };
            let mut reply = reply(status, "body");
            if let Some((name, value)) = header {
                reply.headers_mut().append(name, value.parse().unwrap());
            }
            reply
        }
    })
}

pub(crate) fn options(out: &Path, watcher: &Watcher) -> RunOptions {
    RunOptions {
        out: out.to_owned(),
        stop: watcher.stop.subscribe(),
        command: vec!["dfaas-testbed".to_owned(), "run".to_owned()],
        tool_version: "0.0.0".to_owned(),
    }
}

/// The summary on disk is the one that was returned. Texts are compared: reading a number back may change its last bit.
pub(crate) fn assert_written(out: &Path, summary: &Summary) {
    let written = fs::read_to_string(out.join("summary.json")).unwrap();
    assert_eq!(written.trim_end(), serde_json::to_string_pretty(summary).unwrap());
    assert_eq!(
        serde_json::from_str::<Summary>(&written).unwrap().failure,
        summary.failure
    );
}

fn run_in(out: &Path, experiment: &Experiment, labs: &FakeLabs, watcher: &Watcher) -> Summary {
    block_on(run(experiment, labs, options(out, watcher), watcher)).unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn a_run_counts_who_served_what() {
    let server = federation();
    let folder = tempfile::tempdir().unwrap();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        50.0,
        Duration::from_secs(2),
    );
    let served = |node: &str, from, to| dfaas_model::Expectation {
        node: Some(node.to_owned()),
        ..expectation(Metric::ServedBy, Bound::Between(from, to))
    };
    let expectations = vec![
        served("n1", 10.0, 10.0),
        served("n2", 20.0, 20.0),
        expectation(Metric::SuccessRate, Bound::Between(60.0, 60.0)),
        expectation(Metric::Forwarded, Bound::AtLeast(20.0)),
        expectation(Metric::Rate, Bound::Between(50.0, 50.0)),
    ];
    let (labs, watcher) = (FakeLabs::new(), Watcher::new());
    let summary = run_in(
        folder.path(),
        &experiment(vec![users], expectations),
        &labs,
        &watcher,
    );

    let repetition = &summary.cells[0].repetitions[0];
    let measured: Vec<Option<f64>> = repetition.expectations.iter().map(|one| one.measured).collect();
    assert_eq!(measured, [10.0, 20.0, 60.0, 20.0, 50.0].map(Some));
    assert_eq!(summary.verdict, Verdict::Pass, "{repetition:?}");
    let load = &repetition.load["users"];
    assert_eq!(
        (load.requests, load.rate, load.not_sent, load.forwarded),
        (100, 50.0, 0, 40)
    );
    assert_eq!(load.by_code, BTreeMap::from([(200, 60), (503, 40)]));
    assert_eq!(
        load.served_by,
        BTreeMap::from([("n1".to_owned(), 20), ("n2".to_owned(), 40)])
    );
    assert_eq!(labs.calls(), ["start fake", "load on user1", "stop fake"]);

    let rows = watcher.rows.lock().unwrap();
    assert_eq!(rows.iter().map(|row| row.second).collect::<Vec<_>>(), [0, 1]);
    // An answer that takes longer than a moment is not in the live rows.
    let shown: u64 = rows.iter().map(|row| row.requests).sum();
    assert!((50..=100).contains(&shown), "{shown}");
    for row in rows.iter() {
        assert_eq!(row.by_code.values().sum::<u64>(), row.requests);
        assert_eq!(row.served_by.values().sum::<u64>(), row.by_code[&200]);
        assert_eq!(row.flows["users"].sent, row.requests);
    }
    assert!(rows[1].latency_p95_ms.is_some());
    assert_eq!(watcher.finished.lock().unwrap()[0], *repetition);
}

fn requests_go_out_as_stages_chance_and_recordings_say() {
    let server = federation();
    let port = server.address.port();
    let second = Duration::from_secs(1);
    let of = |name: &str, from: &str, arrivals: Arrivals| Flow {
        arrivals,
        ..flow(name, from, port, 1.0, 2 * second)
    };
    let poisson = Arrivals::Poisson { per_second: 100.0 };
    let stages = Arrivals::Stages {
        stages: [(0.0, 100.0), (20.0, 20.0)]
            .map(|(from, to)| RateStage {
                from,
                to,
                duration: second,
            })
            .into(),
        poisson: false,
    };
    let recorded = [0, 250, 250, 1_750].map(Duration::from_millis);
    let trace = Arrivals::Trace {
        times: recorded.into(),
    };
    let flows = vec![
        of("chance", "user1", poisson.clone()),
        of("other", "user2", poisson),
        of("stages", "user1", stages),
        of("trace", "user1", trace),
    ];
    let experiment = experiment(flows, Vec::new());
    let offsets = |name: &str, out: &Path| -> Vec<f64> {
        let rows = lines(&out.join("cells/0/0/requests.jsonl"));
        let own = rows.iter().filter(|row| row["attack"] == name);
        let mut offsets: Vec<f64> = own.map(|row| row["offset"].as_f64().unwrap()).collect();
        offsets.sort_by(f64::total_cmp);
        offsets
    };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        run_in(folder.path(), &experiment, &FakeLabs::new(), &Watcher::new());
    }
    let [first, second] = folders.each_ref().map(tempfile::TempDir::path);
    for name in ["chance", "other", "stages", "trace"] {
        assert_eq!(
            offsets(name, first),
            offsets(name, second),
            "{name}: one seed, other times"
        );
    }
    assert_ne!(
        offsets("chance", first),
        offsets("other", first),
        "flows of one rate"
    );
    let ramp = offsets("stages", first);
    let early = ramp.iter().filter(|offset| **offset < 1.0).count();
    assert_eq!((early, ramp.len() - early), (50, 20));
    assert_eq!(offsets("trace", first), recorded.map(|time| time.as_secs_f64()));
}

fn a_run_directory_is_complete() {
    let server = federation();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let logs = folder.path().join("logs");
    fs::create_dir_all(logs.join("n1")).unwrap();
    fs::write(logs.join("n1/agent.log"), "started\n").unwrap();
    fs::write(folder.path().join("published.csv"), "series,value\n").unwrap();
    let labs = FakeLabs {
        log_directory: logs,
        ..FakeLabs::new()
    };
    let port = server.address.port();
    let second = Duration::from_secs(1);
    let flows = vec![
        flow("users", "user1", port, 40.0, second),
        flow("others", "user2", port, 10.0, second),
        flow("more", "user1", port, 10.0, second),
    ];
    let mut experiment = experiment(flows, Vec::new());
    experiment.reference = Some(folder.path().join("published.csv").to_str().unwrap().to_owned());
    run_in(&out, &experiment, &labs, &Watcher::new());

    assert_eq!(
        labs.calls(),
        ["start fake", "load on user1", "load on user2", "stop fake"]
    );
    check_files(&out);
    check_rows(&out, port);
}

fn json(out: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(out.join(name)).unwrap()).unwrap()
}

/// Everything but the rows.
fn check_files(out: &Path) {
    let description = json(out, "run.json");
    assert_eq!(description["schema"], 1);
    assert_eq!(description["name"], "fake-scenario");
    assert_eq!(description["title"], "A fake");
    assert_eq!(description["seed"], 7);
    assert_eq!(
        description["command"],
        serde_json::json!(["dfaas-testbed", "run"])
    );
    assert_eq!(description["reference"], "reference.csv");
    assert!(description["memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(
        fs::read_to_string(out.join("reference.csv")).unwrap(),
        "series,value\n"
    );
    assert_eq!(
        fs::read_to_string(out.join("sources/fake-scenario.yaml")).unwrap(),
        "topology: fake.yaml\n"
    );
    assert_eq!(json(out, "cells/0/0/lab.json")["name"], "fake");
    assert_eq!(
        fs::read_to_string(out.join("cells/0/0/logs/n1/agent.log")).unwrap(),
        "started\n"
    );
    assert_eq!(
        json(out, "cells/0/0/series.json")["seconds"][0]["flows"]["users"]["sent"],
        40
    );
}

fn check_rows(out: &Path, port: u16) {
    let rows = lines(&out.join("cells/0/0/requests.jsonl"));
    assert_eq!(rows.len(), 60);
    let start: jiff::Timestamp = json(out, "summary.json")["cells"][0]["repetitions"][0]["start"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    for name in ["users", "others", "more"] {
        let own: Vec<&Value> = rows.iter().filter(|row| row["attack"] == name).collect();
        assert_eq!(own.len(), if name == "users" { 40 } else { 10 });
        for row in own {
            let url = format!("http://127.0.0.1:{port}/function/figlet");
            assert_eq!(
                (row["url"].as_str(), row["method"].as_str()),
                (Some(url.as_str()), Some("POST"))
            );
            assert_eq!((&row["function"], &row["to"]), (&"figlet".into(), &"n1".into()));
            assert_eq!((&row["bytes_out"], &row["bytes_in"]), (&18.into(), &4.into()));
            let stamp: jiff::Timestamp = row["timestamp"].as_str().unwrap().parse().unwrap();
            let offset = (stamp.as_nanosecond() - start.as_nanosecond()) as f64 / 1e9;
            assert!((offset - row["offset"].as_f64().unwrap()).abs() < 1e-9);
            let served = row["served_by"].as_str();
            assert_eq!(served.is_some(), row["code"] == 200, "{row}");
            assert_eq!(row["forwarded"], served == Some("n2"));
        }
    }
}

fn the_summary_has_this_shape() {
    let server = federation();
    let folder = tempfile::tempdir().unwrap();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        10.0,
        Duration::from_secs(1),
    );
    let latency = dfaas_model::Expectation {
        statistic: Some(Statistic::P95),
        ..expectation(Metric::Latency, Bound::AtMost(1500.0))
    };
    run_in(
        folder.path(),
        &experiment(vec![users], vec![latency]),
        &FakeLabs::new(),
        &Watcher::new(),
    );
    let mut summary = json(folder.path(), "summary.json");
    fix_what_differs(&mut summary);
    assert_eq!(
        serde_json::to_string_pretty(&summary).unwrap(),
        serde_json::to_string_pretty(&expected_summary()).unwrap()
    );
}

/// Checks what differs from run to run for its type and puts it in a fixed form.
fn fix_what_differs(summary: &mut Value) {
    let fix = |value: &mut Value, replacement: &str| {
        assert!(value.is_number() || value.is_string(), "{replacement} is {value}");
        *value = replacement.into();
    };
    fix(&mut summary["started"], "WHEN");
    // With ten requests, one that a busy machine sent late degrades the run.
    let valid = |value: &Value| value == "valid" || value == "degraded";
    assert!(valid(&summary["validity"]) && valid(&summary["cells"][0]["repetitions"][0]["validity"]));
    for place in ["", "/cells/0/repetitions/0"] {
        let place = summary.pointer_mut(place).unwrap();
        place["validity"] = "valid".into();
        place["validity_reasons"].as_array_mut().unwrap().clear();
    }
    let repetition = &mut summary["cells"][0]["repetitions"][0];
    fix(&mut repetition["start"], "WHEN");
    fix(&mut repetition["expectations"][0]["measured"], "MS");
    for name in ["p50", "p95", "p99", "max", "mean"] {
        fix(&mut repetition["load"]["users"]["latency_ms"][name], "MS");
    }
}

fn expected_summary() -> Value {
    serde_json::json!({
        "schema": 1,
        "name": "fake-scenario",
        "title": "A fake",
        "started": "WHEN",
        "verdict": "pass",
        "validity": "valid",
        "validity_reasons": [],
        "cells": [{
            "params": { "T": "500ms" },
            "recalc_period": 0.5,
            "events": [],
            "repetitions": [{
                "seed": 11,
                "directory": "cells/0/0",
                "start": "WHEN",
                "verdict": "pass",
                "validity": "valid",
                "validity_reasons": [],
                "expectations": [{
                    "text": "latency of users",
                    "metric": "latency",
                    "of": "users",
                    "node": null,
                    "measured": "MS",
                    "unit": "ms",
                    "bound": { "at_most": 1500.0 },
                    "pass": true,
                }],
                "load": { "users": {
                    "requests": 10,
                    "rate": 10.0,
                    "success_rate": 60.0,
                    "by_code": { "200": 6, "503": 4 },
                    "served_by": { "n1": 2, "n2": 4 },
                    "forwarded": 4,
                    "not_sent": 0,
                    "latency_ms": { "p50": "MS", "p95": "MS", "p99": "MS", "max": "MS", "mean": "MS" },
                } },
            }],
        }],
    })
}

/// The first repetition of twenty requests gets 200, the second 500.
fn good_then_bad() -> Server {
    let count = AtomicU64::new(0);
    Server::start(move |_: Received| {
        let status = if count.fetch_add(1, Ordering::SeqCst) < 20 {
            200
        } else {
            500
        };
        async move { reply(status, "") }
    })
}

fn an_expectation_must_hold_in_every_repetition() {
    let server = good_then_bad();
    let folder = tempfile::tempdir().unwrap();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        20.0,
        Duration::from_secs(1),
    );
    let mut experiment = experiment(
        vec![users],
        vec![expectation(Metric::SuccessRate, Bound::AtLeast(99.0))],
    );
    let mut second = experiment.cells[0].repetitions[0].clone();
    second.seed = 12;
    experiment.cells[0].repetitions.push(second);
    let labs = FakeLabs::new();
    let summary = run_in(folder.path(), &experiment, &labs, &Watcher::new());
    let repetitions = &summary.cells[0].repetitions;
    assert_eq!(
        [repetitions[0].verdict, repetitions[1].verdict],
        [Verdict::Pass, Verdict::Fail]
    );
    assert_eq!([repetitions[0].seed, repetitions[1].seed], [11, 12]);
    assert_eq!(repetitions[1].expectations[0].measured, Some(0.0));
    assert_eq!(summary.verdict, Verdict::Fail);
    assert_eq!(
        labs.calls().iter().filter(|call| *call == "stop fake").count(),
        2,
        "a fresh lab for each"
    );
    // What replays by itself begins with each repetition's t = 0.
    let begun = labs.begun.lock().unwrap();
    assert_eq!(begun.len(), 2);
    for (begun, repetition) in begun.iter().zip(repetitions) {
        let start: jiff::Timestamp = repetition.start.as_ref().unwrap().parse().unwrap();
        assert!(*begun >= start, "{begun} is before {start}");
    }
    assert_written(folder.path(), &summary);
    assert_eq!(lines(&folder.path().join("cells/0/1/requests.jsonl")).len(), 20);
}

fn a_mean_may_be_judged_instead() {
    let mean = |bound| dfaas_model::Expectation {
        of_mean: true,
        ..expectation(Metric::SuccessRate, bound)
    };
    for (bound, verdict) in [
        (Bound::Between(50.0, 50.0), Verdict::Pass),
        (Bound::AtLeast(51.0), Verdict::Fail),
    ] {
        let server = good_then_bad();
        let folder = tempfile::tempdir().unwrap();
        let port = server.address.port();
        let users = flow("users", "user1", port, 20.0, Duration::from_secs(1));
        let mut experiment = experiment(vec![users], vec![mean(bound)]);
        let second = experiment.cells[0].repetitions[0].clone();
        experiment.cells[0].repetitions.push(second);
        let summary = run_in(folder.path(), &experiment, &FakeLabs::new(), &Watcher::new());
        let results = summary.cells[0].repetitions.iter();
        let results = results.map(|one| {
            (
                one.verdict,
                one.expectations[0].measured,
                one.expectations[0].mean,
            )
        });
        let expected = [100.0, 0.0].map(|measured| (verdict, Some(measured), Some(50.0)));
        assert_eq!(results.collect::<Vec<_>>(), expected);
        assert_eq!(summary.verdict, verdict);
        assert_written(folder.path(), &summary);
    }
}

fn events_happen_at_their_times() {
    let server = federation();
    let folder = tempfile::tempdir().unwrap();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        20.0,
        Duration::from_secs(1),
    );
    let mut experiment = experiment(vec![users], Vec::new());
    let down = |link: &str| EventAction::RaiseLink {
        link: link.to_owned(),
        up: false,
    };
    let at = Duration::from_millis;
    experiment.cells[0].events = vec![
        Event {
            at: at(300),
            duration: Some(at(400)),
            action: down("n1--s1"),
        },
        Event {
            at: at(1200),
            duration: None,
            action: down("n2--s1"),
        },
    ];
    let labs = FakeLabs::new();
    let summary = run_in(folder.path(), &experiment, &labs, &Watcher::new());
    let events = &summary.cells[0].repetitions[0].events;
    let due: Vec<(f64, &str)> = events
        .iter()
        .map(|event| (event.at, event.text.as_str()))
        .collect();
    assert_eq!(
        due,
        [
            (0.3, "link n1--s1 down"),
            (0.7, "end of: link n1--s1 down"),
            (1.2, "link n2--s1 down")
        ]
    );
    for event in events {
        assert!((event.at..event.at + 0.5).contains(&event.achieved), "{event:?}");
        assert_eq!(event.error, None);
    }
    assert_eq!(
        labs.calls()[2..],
        ["act n1--s1", "undo n1--s1", "act n2--s1", "stop fake"]
    );
}

fn load_begins_on_a_multiple_of_the_period() {
    let server = federation();
    let folder = tempfile::tempdir().unwrap();
    let users = flow(
        "users",
        "user1",
        server.address.port(),
        10.0,
        Duration::from_secs(1),
    );
    let mut experiment = experiment(vec![users], Vec::new());
    experiment.cells[0].recalc_period = Duration::from_millis(1300);
    let before = jiff::Timestamp::now();
    let summary = run_in(folder.path(), &experiment, &FakeLabs::new(), &Watcher::new());
    let start: jiff::Timestamp = summary.cells[0].repetitions[0]
        .start
        .as_deref()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(start.as_nanosecond() % 1_300_000_000, 0);
    let wait = (start.as_nanosecond() - before.as_nanosecond()) as f64 / 1e9;
    assert!((1.0..5.0).contains(&wait), "{wait} s after the start of the run");
}
