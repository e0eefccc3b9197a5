//! Watches a lab and its machine during a repetition, to say afterwards whether the result can be trusted.
//!
//! Twice a second it asks the lab for its links and compares them with what they should be: a change that is not an
//! event of the scenario came from somebody else. It also notes how late the link engine sends, what it drops for want
//! of memory, how busy the processors are, and whether a cgroup holds the supervisor back. Of a lab with very many links it
//! asks less often, so as not to be a load of its own.

mod links;
mod machine;
mod verdict;

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::factory::{LabFactory, RunningLab};
use links::LinkStates;
use machine::Machine;
pub use verdict::SentinelSummary;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(500);
/// Between two looks at the links at least this for each of them (measured: a look takes 0.13 ms of processor time per link).
const PER_LINK: Duration = Duration::from_millis(2);

/// Watches one lab.
pub(crate) struct Sentinel<'a> {
    factory: &'a dyn LabFactory,
    lab: &'a str,
    flapping: HashSet<String>,
    watched: Mutex<Watched>,
}

/// What was seen so far.
struct Watched {
    /// What the links should be; none before the first look, and of labs that cannot be looked at.
    expected: Option<LinkStates>,
    /// Until when the links are left alone.
    rest: Instant,
    machine: Machine,
    summary: SentinelSummary,
}

impl<'a> Sentinel<'a> {
    /// `flapping` are the links that go up and down by themselves.
    pub(crate) fn new(
        factory: &'a dyn LabFactory,
        lab: &'a RunningLab,
        flapping: HashSet<String>,
    ) -> Sentinel<'a> {
        let supervisor = lab.detail.get("pid").and_then(serde_json::Value::as_i64);
        Sentinel {
            factory,
            lab: &lab.name,
            flapping,
            watched: Mutex::new(Watched {
                expected: LinkStates::read(lab.detail.clone()),
                rest: Instant::now(),
                machine: Machine::new(supervisor),
                summary: SentinelSummary::default(),
            }),
        }
    }

    /// Looks again and again, until it is dropped.
    pub(crate) async fn watch(&self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut watched = self.watched.lock().await;
            if watched.rest <= Instant::now() {
                self.look(&mut watched, false).await;
            } else {
                watched.look_at_machine();
            }
        }
    }

    /// Carries out an event of the scenario: what it changes is as it should be.
    pub(crate) async fn during<T>(&self, event: impl Future<Output = T>) -> T {
        let mut watched = self.watched.lock().await;
        // What was changed before the event is not its doing.
        self.look(&mut watched, false).await;
        let outcome = event.await;
        self.look(&mut watched, true).await;
        outcome
    }

    /// The last look, and all that was seen; none of a lab that cannot be looked at.
    pub(crate) async fn conclude(&self) -> Option<SentinelSummary> {
        let mut watched = self.watched.lock().await;
        self.look(&mut watched, false).await;
        let summary = &watched.summary;
        (summary.looks > 0 || summary.unanswered.is_some()).then(|| summary.clone())
    }

    /// With `accept`, what the links are now is what they should be.
    async fn look(&self, watched: &mut Watched, accept: bool) {
        let asked = Instant::now();
        let detail = match self.factory.look(self.lab).await {
            Ok(Some(detail)) => detail,
            // Not a lab of this machine, so the machine says nothing about it either.
            Ok(None) => return,
            Err(reason) => {
                watched.summary.unanswered.get_or_insert(reason);
                return;
            }
        };
        watched.look_at_machine();
        let summary = &mut watched.summary;
        summary.longest_answer_ms = summary.longest_answer_ms.max(asked.elapsed().as_secs_f64() * 1e3);
        let Some(now) = LinkStates::read(detail) else {
            return;
        };
        watched.rest = asked + PER_LINK * now.count();
        watched.take(now, accept, &self.flapping);
    }
}

impl Watched {
    fn look_at_machine(&mut self) {
        self.machine.look(&mut self.summary);
        self.summary.looks += 1;
    }

    fn take(&mut self, now: LinkStates, accept: bool, flapping: &HashSet<String>) {
        let summary = &mut self.summary;
        if let Some(before) = &self.expected {
            if accept {
                summary.events += 1;
            } else {
                for change in now.differences(before, flapping) {
                    if !summary.changed_links.contains(&change) {
                        summary.changed_links.push(change);
                    }
                }
            }
        }
        now.engine(summary);
        self.expected = Some(now);
    }
}
