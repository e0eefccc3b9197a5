//! A lab whose every node is this machine's loopback.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dfaas_experiment::{LabFactory, Observer, Position, RepetitionSummary, RunningLab, SecondRow};
use dfaas_model::{Event, EventAction, NodeAction, Topology};
use futures::future::BoxFuture;
use tokio::sync::watch;

/// How a fake lab behaves, and what was asked of it.
pub(crate) struct FakeLabs {
    pub(crate) calls: Mutex<Vec<String>>,
    /// When each lab was told that it is t = 0.
    pub(crate) begun: Mutex<Vec<jiff::Timestamp>>,
    pub(crate) log_directory: PathBuf,
    pub(crate) start: Result<Duration, String>,
    pub(crate) stop: Result<(), String>,
    pub(crate) act: Result<(), String>,
    /// Delays of the one link this lab claims to have, one per look; the last one stays. Empty for a lab that cannot be
    /// looked at.
    pub(crate) delays: Mutex<Vec<&'static str>>,
    /// How many more links it claims to have.
    pub(crate) others: u32,
    /// How often it was looked at.
    pub(crate) looks: AtomicU32,
    /// What runs instead of the load process.
    pub(crate) instead_of_load: Option<Vec<String>>,
}

impl FakeLabs {
    pub(crate) fn new() -> FakeLabs {
        FakeLabs {
            calls: Mutex::new(Vec::new()),
            begun: Mutex::default(),
            log_directory: PathBuf::from("/nonexistent"),
            start: Ok(Duration::ZERO),
            stop: Ok(()),
            act: Ok(()),
            delays: Mutex::default(),
            others: 0,
            looks: AtomicU32::new(0),
            instead_of_load: None,
        }
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn detail(&self, name: &str) -> serde_json::Value {
        let mut delays = self.delays.lock().unwrap();
        let delay = if delays.len() > 1 {
            Some(delays.remove(0))
        } else {
            delays.first().copied()
        };
        match delay {
            Some(delay) => {
                let link = |name: String, forward| serde_json::json!({ "name": name, "up": true, "forward": forward, "backward": {} });
                let others =
                    (0..self.others).map(|number| link(format!("other-{number}"), serde_json::json!({})));
                let first = link("n1--s1".to_owned(), serde_json::json!({ "delay": delay }));
                let links: Vec<_> = std::iter::once(first).chain(others).collect();
                serde_json::json!({ "name": name, "links": links })
            }
            None => serde_json::json!({ "name": name }),
        }
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

impl LabFactory for FakeLabs {
    fn start<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<RunningLab, String>> {
        Box::pin(async move {
            self.note(format!("start {}", topology.name));
            tokio::time::sleep(self.start.clone()?).await;
            let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
            Ok(RunningLab {
                name: topology.name.clone(),
                detail: self.detail(&topology.name),
                node_names_by_key: BTreeMap::from([
                    ("10.0.0.1".to_owned(), "n1".to_owned()),
                    ("10.0.0.2".to_owned(), "n2".to_owned()),
                    ("12D3KooWPeerOfN2".to_owned(), "n2".to_owned()),
                ]),
                addresses: topology
                    .nodes
                    .keys()
                    .map(|name| (name.clone(), loopback))
                    .collect(),
                log_directory: self.log_directory.clone(),
            })
        })
    }

    fn stop<'a>(&'a self, lab: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.note(format!("stop {lab}"));
            self.stop.clone()
        })
    }

    fn supports(&self, _: &Topology, event: &Event) -> Result<(), String> {
        match &event.action {
            EventAction::Node {
                action: NodeAction::Stop,
                ..
            } => Err("nodes cannot be stopped".to_owned()),
            _ => Ok(()),
        }
    }

    fn begin<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), String>> {
        self.begun.lock().unwrap().push(jiff::Timestamp::now());
        Box::pin(async { Ok(()) })
    }

    fn look<'a>(&'a self, lab: &'a str) -> BoxFuture<'a, Result<Option<serde_json::Value>, String>> {
        let seen = self.delays.lock().unwrap().is_empty();
        self.looks.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok((!seen).then(|| self.detail(lab))) })
    }

    fn act<'a>(&'a self, _: &'a str, action: &'a EventAction) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.note(format!("act {}", link_of(action)));
            let mut delays = self.delays.lock().unwrap();
            if !delays.is_empty() {
                *delays = vec!["9ms"];
            }
            drop(delays);
            self.act.clone()
        })
    }

    fn undo<'a>(&'a self, _: &'a str, action: &'a EventAction) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.note(format!("undo {}", link_of(action)));
            Ok(())
        })
    }

    fn node_command(&self, _: &str, node: &str, arguments: &[String]) -> Command {
        self.note(format!("load on {node}"));
        if let Some([program, others @ ..]) = self.instead_of_load.as_deref() {
            let mut command = Command::new(program);
            command.args(others);
            return command;
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments);
        command
    }
}

fn link_of(action: &EventAction) -> &str {
    match action {
        EventAction::SetLink { link, .. } | EventAction::RaiseLink { link, .. } => link,
        _ => "something",
    }
}

/// Keeps the live rows, and asks for an end after the given one.
pub(crate) struct Watcher {
    pub(crate) rows: Mutex<Vec<SecondRow>>,
    pub(crate) finished: Mutex<Vec<RepetitionSummary>>,
    pub(crate) stop_after: Option<u64>,
    pub(crate) stop: watch::Sender<bool>,
}

impl Watcher {
    pub(crate) fn new() -> Watcher {
        Watcher {
            rows: Mutex::default(),
            finished: Mutex::default(),
            stop_after: None,
            stop: watch::Sender::new(false),
        }
    }
}

impl Observer for Watcher {
    fn second(&self, row: &SecondRow) {
        self.rows.lock().unwrap().push(row.clone());
        if self.stop_after == Some(row.second) {
            self.stop.send_replace(true);
        }
    }

    fn repetition_finished(&self, _: Position, summary: &RepetitionSummary) {
        self.finished.lock().unwrap().push(summary.clone());
    }
}
