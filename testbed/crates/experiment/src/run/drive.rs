use std::collections::HashSet;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use dfaas_model::Cell;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::clients::{Clients, Report};
use super::collector::Collector;
use super::events::carry_out;
use super::load_plan::{ClientLoad, divide};
use super::request_row::Resolver;
use super::start_time::start_time;
use crate::error::ExperimentError;
use crate::factory::{LabFactory, RunningLab};
use crate::load::LoadMessage;
use crate::measure::Names;
use crate::observer::{Observer, Position};
use crate::sentinel::{Sentinel, SentinelSummary};
use crate::summary::{EventRecord, Failure, FailureKind};

/// How long load processes may take to come up inside their nodes.
const COMING_UP: Duration = Duration::from_secs(30);
/// How long after the last possible answer the load processes must have ended.
const ENDING: Duration = Duration::from_secs(10);
/// Answers that come this long after a second's end are still in its live row.
const LIVE_GRACE: Duration = Duration::from_millis(300);
const SECOND: Duration = Duration::from_secs(1);

/// What a repetition's load and events need to know.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) cell: &'a Cell,
    pub(super) names: &'a Names,
    pub(super) position: Position,
    /// That of the repetition.
    pub(super) seed: u64,
    pub(super) factory: &'a dyn LabFactory,
    pub(super) observer: &'a dyn Observer,
    pub(super) lab: &'a RunningLab,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Driven {
    /// t = 0, when it came to that.
    pub(super) start: Option<Timestamp>,
    /// Everything the load processes reported, when it came to that.
    pub(super) collector: Option<Collector>,
    pub(super) events: Vec<EventRecord>,
    /// What happened to lab and machine meanwhile, when it came to that.
    pub(super) sentinel: Option<SentinelSummary>,
    pub(super) failure: Option<Failure>,
}

/// Puts a ready lab under the cell's load and carries out its events.
pub(super) async fn drive(
    setting: Setting<'_>,
    requests: PathBuf,
    mut stop: watch::Receiver<bool>,
) -> Result<Driven, ExperimentError> {
    let ready = Timestamp::now();
    let mut driven = Driven::default();
    let load = |text| Failure {
        kind: FailureKind::Load,
        text,
    };
    let mut loads = match divide(&setting.cell.flows, setting.lab, setting.seed) {
        Ok(loads) => loads,
        Err(text) => {
            return Ok(Driven {
                failure: Some(load(text)),
                ..driven
            });
        }
    };
    let mut clients = match Clients::spawn(&loads, setting.lab, setting.factory) {
        Ok(clients) => clients,
        Err(text) => {
            return Ok(Driven {
                failure: Some(load(text)),
                ..driven
            });
        }
    };
    let came_up = tokio::select! {
        came_up = come_up(&mut clients, loads.len()) => came_up,
        () = stopped(&mut stop) => Err(interrupted()),
    };
    let outcome = match came_up {
        Err(failure) => {
            driven.failure = Some(failure);
            Ok(())
        }
        Ok(()) => {
            under_load(
                setting,
                requests,
                ready,
                &mut loads,
                &mut clients,
                &mut stop,
                &mut driven,
            )
            .await
        }
    };
    clients.shut_down().await;
    outcome.map(|()| driven)
}

/// Waits until every load process asks for its plan.
async fn come_up(clients: &mut Clients, count: usize) -> Result<(), Failure> {
    let failed = |text| Failure {
        kind: FailureKind::Load,
        text,
    };
    let deadline = Instant::now() + COMING_UP;
    let mut waiting = 0;
    while waiting < count {
        let next = timeout(deadline.saturating_duration_since(Instant::now()), clients.next()).await;
        match next {
            Ok(Some((_, Report::Message(LoadMessage::Waiting)))) => waiting += 1,
            Ok(Some((index, Report::Ended))) => return Err(ended_early(clients, index).await),
            Ok(Some((index, report))) => return Err(unexpected(clients, index, &report)),
            Ok(None) => return Err(failed("the load processes ended before they began".to_owned())),
            Err(_) => {
                let seconds = COMING_UP.as_secs();
                return Err(failed(format!(
                    "the load processes did not come up within {seconds} s"
                )));
            }
        }
    }
    Ok(())
}

/// From fixing t = 0 to the last row.
async fn under_load(
    setting: Setting<'_>,
    requests: PathBuf,
    ready: Timestamp,
    loads: &mut [ClientLoad],
    clients: &mut Clients,
    stop: &mut watch::Receiver<bool>,
    driven: &mut Driven,
) -> Result<(), ExperimentError> {
    let now = (Timestamp::now(), Instant::now());
    let start = start_time(ready, now.0, setting.cell.recalc_period);
    let distance = i128::from(start) - now.0.as_nanosecond();
    let start_instant = now.1 + Duration::from_nanos(u64::try_from(distance).unwrap_or(0));
    let start_stamp = Timestamp::from_nanosecond(start.into()).unwrap_or(Timestamp::MAX);
    for load in loads.iter_mut() {
        load.plan.start_unix_nanoseconds = start;
    }
    let resolver = Resolver::new(&setting.cell.flows, setting.names, setting.lab, start);
    let collector = driven.collector.insert(Collector::create(requests, resolver)?);
    driven.start = Some(start_stamp);
    setting
        .observer
        .lab_ready(setting.position, &setting.lab.name, start_stamp);
    if let Err(text) = clients.give_plans(loads).await {
        driven.failure = Some(Failure {
            kind: FailureKind::Load,
            text,
        });
        return Ok(());
    }
    let sentinel = Sentinel::new(setting.factory, setting.lab, flapping(setting.cell));
    let events = carry_out(
        &setting.cell.events,
        setting.factory,
        &sentinel,
        &setting.lab.name,
        start_instant,
    );
    let mut course = Course {
        setting,
        loads,
        clients,
        collector,
        events: Box::pin(events),
        records: &mut driven.events,
        running: loads.len(),
        events_over: false,
        finished: vec![false; loads.len()],
        start: start_instant,
        failure: None,
    };
    let mut failure = None;
    tokio::select! {
        ended = course.run(stop) => ended?,
        () = sentinel.watch() => {}
        text = not_begun(setting, start_instant) => {
            let kind = FailureKind::Event;
            failure = Some(Failure { kind, text });
        }
    }
    let failure = course.failure.take().or(failure);
    drop(course);
    driven.failure = failure;
    driven.sentinel = sentinel.conclude().await;
    Ok(())
}

/// Tells the lab at t = 0 that it is. Comes to an end only if that fails, with the reason.
async fn not_begun(setting: Setting<'_>, start: Instant) -> String {
    sleep_until(start).await;
    match setting.factory.begin(&setting.lab.name).await {
        Ok(()) => std::future::pending().await,
        Err(reason) => format!("traces of links did not begin at t = 0: {reason}"),
    }
}

/// Links that go up and down by themselves; the same in every repetition.
fn flapping(cell: &Cell) -> HashSet<String> {
    let links = cell.repetitions.iter().flat_map(|one| &one.topology.links);
    links
        .filter(|link| link.flap.is_some())
        .map(|link| link.name.clone())
        .collect()
}

/// The time between t = 0 and the last row.
struct Course<'a> {
    setting: Setting<'a>,
    loads: &'a [ClientLoad],
    clients: &'a mut Clients,
    collector: &'a mut Collector,
    events: Pin<Box<dyn Stream<Item = EventRecord> + Send + 'a>>,
    records: &'a mut Vec<EventRecord>,
    running: usize,
    events_over: bool,
    finished: Vec<bool>,
    start: Instant,
    failure: Option<Failure>,
}

impl Course<'_> {
    async fn run(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), ExperimentError> {
        let mut ticks = interval_at(self.start + SECOND + LIVE_GRACE, SECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline = self.start + self.longest();
        while !self.is_over() {
            let failed_before = self.failure.is_some();
            tokio::select! {
                report = self.clients.next(), if self.running > 0 => self.take(report).await?,
                record = self.events.next(), if !self.events_over && !failed_before => self.record(record),
                _ = ticks.tick() => self.show(self.seconds_past())?,
                () = stopped(stop), if !failed_before => self.fail(interrupted()),
                () = sleep_until(deadline) => {
                    if !failed_before && self.running > 0 {
                        let text = "the load processes did not end in time".to_owned();
                        self.fail(Failure { kind: FailureKind::Load, text });
                    }
                    break;
                }
            }
            if self.failure.is_some() && !failed_before {
                // They give up on open requests after a second; what they still report is kept.
                self.clients.terminate();
                deadline = Instant::now() + Duration::from_secs(3);
            }
        }
        let whole = u64::try_from(self.setting.cell.duration.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        let begun = self.start.elapsed().as_secs() + 1;
        self.show(if self.failure.is_none() {
            whole
        } else {
            whole.min(begun)
        })
    }

    /// The last moment at which a load process may still have something to say.
    fn longest(&self) -> Duration {
        let cell = self.setting.cell;
        let answers = cell
            .flows
            .iter()
            .map(|flow| flow.start + flow.duration + flow.timeout)
            .max();
        match answers {
            Some(last) => last.max(cell.duration) + ENDING,
            None => cell.duration,
        }
    }

    fn is_over(&self) -> bool {
        let without_load = self.loads.is_empty() && self.failure.is_none();
        self.running == 0 && (self.events_over || self.failure.is_some()) && !without_load
    }

    async fn take(&mut self, report: Option<(usize, Report)>) -> Result<(), ExperimentError> {
        let Some((index, report)) = report else {
            self.running = 0;
            return Ok(());
        };
        match report {
            Report::Message(LoadMessage::Row(row)) => {
                let flow = self.loads.get(index).and_then(|load| load.flows.get(row.flow));
                if let Some(flow) = flow {
                    self.collector.add(*flow, &row)?;
                }
            }
            Report::Message(LoadMessage::Finished { interrupted: cut, .. }) => {
                self.finished[index] = true;
                if cut {
                    self.fail(interrupted());
                }
            }
            Report::Ended => {
                self.running = self.running.saturating_sub(1);
                if !self.finished[index] {
                    let failure = ended_early(self.clients, index).await;
                    self.fail(failure);
                }
            }
            other => self.fail(unexpected(self.clients, index, &other)),
        }
        Ok(())
    }

    fn record(&mut self, record: Option<EventRecord>) {
        let Some(record) = record else {
            self.events_over = true;
            return;
        };
        let outcome = record.error.clone().map_or(Ok(()), Err);
        let achieved = Duration::try_from_secs_f64(record.achieved).unwrap_or_default();
        self.setting
            .observer
            .event(self.setting.position, &record.text, achieved, &outcome);
        if let Err(reason) = outcome {
            let text = format!("event at {} s ({}) failed: {reason}", record.at, record.text);
            self.fail(Failure {
                kind: FailureKind::Event,
                text,
            });
        }
        self.records.push(record);
    }

    /// Keeps the first failure: the others follow from it.
    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// Seconds whose live rows are due.
    fn seconds_past(&self) -> u64 {
        self.start.elapsed().saturating_sub(LIVE_GRACE).as_secs()
    }

    fn show(&mut self, until: u64) -> Result<(), ExperimentError> {
        let Setting {
            cell,
            names,
            position,
            observer,
            ..
        } = self.setting;
        for row in self.collector.seconds(until, position, cell, names) {
            observer.second(&row);
        }
        self.collector.flush()
    }
}

/// Returns when the user wants the run to end; never when nobody can say so any more.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

pub(super) fn interrupted() -> Failure {
    Failure {
        kind: FailureKind::Interrupted,
        text: "interrupted".to_owned(),
    }
}

async fn ended_early(clients: &mut Clients, index: usize) -> Failure {
    let outcome = clients.outcome(index).await;
    let text = format!(
        "the load process on `{}` ended early ({outcome})",
        clients.node(index)
    );
    Failure {
        kind: FailureKind::Load,
        text,
    }
}

fn unexpected(clients: &Clients, index: usize, report: &Report) -> Failure {
    let line = match report {
        Report::Garbled(line) => line.chars().take(200).collect(),
        other => format!("{other:?}"),
    };
    let text = format!(
        "the load process on `{}` wrote something unexpected: {line}",
        clients.node(index)
    );
    Failure {
        kind: FailureKind::Load,
        text,
    }
}
