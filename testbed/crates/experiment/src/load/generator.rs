use std::sync::Arc;
use std::sync::mpsc::Sender;

use tokio::sync::{Semaphore, watch};

use super::clock::{Monotonic, PreciseTimer, monotonic_now, monotonic_of, nanoseconds};
use super::connection::ConnectionPool;
use super::error::LoadError;
use super::exchange::{Answer, exchange};
use super::plan::{LoadFlow, LoadPlan};
use super::row::LoadRow;
use super::schedule::Schedule;
use super::template::RequestTemplate;

/// After this many requests that are already due, others get their turn.
const BURST: u64 = 32;

/// How far a load process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Requests are sent as they fall due.
    Sending,
    /// No new requests; those under way may end.
    Draining,
    /// Those still under way are given up.
    Abandoning,
}

/// Everything the requests of one flow share.
struct Flow {
    index: usize,
    plan: LoadFlow,
    template: RequestTemplate,
    pool: Arc<ConnectionPool>,
    rows: Sender<LoadRow>,
    phase: watch::Receiver<Phase>,
    begins: Monotonic,
}

/// Sends every request of `plan` at its time and waits for all of them to end; each gives one row, in order of
/// completion. `phase` may end the work before its time.
///
/// # Errors
/// A flow that cannot be sent over HTTP, or a kernel without clocks and timers. What happens to requests is in the rows.
pub async fn generate(
    plan: &LoadPlan,
    rows: Sender<LoadRow>,
    phase: &watch::Receiver<Phase>,
) -> Result<(), LoadError> {
    let zero = monotonic_of(plan.start_unix_nanoseconds).map_err(LoadError::kernel("clock"))?;
    let limit = plan
        .in_flight_limit
        .clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
    let in_flight = Arc::new(Semaphore::new(limit));
    let mut flows = Vec::new();
    for (index, flow) in plan.flows.iter().enumerate() {
        flows.push(Arc::new(Flow {
            index,
            plan: flow.clone(),
            template: RequestTemplate::new(flow)?,
            pool: Arc::new(ConnectionPool::new(flow.target, flow.max_connections)),
            rows: rows.clone(),
            phase: phase.clone(),
            begins: zero.saturating_add(nanoseconds(flow.start)),
        }));
    }
    let pacers = flows.into_iter().map(|flow| pace(flow, Arc::clone(&in_flight)));
    let outcome: Result<Vec<()>, LoadError> = futures::future::try_join_all(pacers).await;
    // Holding every permit means that no request is under way.
    let _ = in_flight.acquire_many(limit as u32).await;
    outcome.map(drop)
}

/// Starts the requests of one flow at their times, whatever becomes of the earlier ones.
async fn pace(flow: Arc<Flow>, in_flight: Arc<Semaphore>) -> Result<(), LoadError> {
    let timer = PreciseTimer::new().map_err(LoadError::kernel("timer"))?;
    let mut phase = flow.phase.clone();
    let offsets = Schedule::new(&flow.plan.arrivals, flow.plan.duration);
    for (seq, offset) in (0u64..).zip(offsets) {
        let due = flow.begins.saturating_add(nanoseconds(offset));
        tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase != Phase::Sending) => return Ok(()),
            slept = timer.sleep_until(due) => slept.map_err(LoadError::kernel("timer"))?,
        }
        match Arc::clone(&in_flight).try_acquire_owned() {
            Ok(permit) => {
                let flow = Arc::clone(&flow);
                tokio::spawn(async move {
                    flow.send(seq, due).await;
                    drop(permit);
                });
            }
            Err(_) => flow.refuse(seq, due),
        }
        if seq % BURST == BURST - 1 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

impl Flow {
    /// Sends request `seq`, which was due at `due`, and records what became of it.
    async fn send(&self, seq: u64, due: Monotonic) {
        let sent = monotonic_now().unwrap_or(due);
        let mut phase = self.phase.clone();
        let answer = tokio::select! {
            biased;
            answer = exchange(&self.template, &self.pool) => answer,
            () = tokio::time::sleep(self.plan.timeout) => {
                Answer::failed(format!("no complete response within {} ms", self.plan.timeout.as_millis()))
            }
            _ = phase.wait_for(|phase| *phase == Phase::Abandoning) => {
                Answer::failed("interrupted before the response was complete".to_owned())
            }
        };
        let ended = monotonic_now().unwrap_or(sent);
        self.record(LoadRow {
            code: answer.code,
            sent_after: elapsed(due, sent),
            latency: elapsed(due, ended),
            bytes_out: self.template.body_length(),
            bytes_in: answer.bytes_in,
            sent: true,
            error: answer.error,
            headers: answer.headers,
            ..self.row(seq, due)
        });
    }

    /// Records a request for which there was no room.
    fn refuse(&self, seq: u64, due: Monotonic) {
        let late = elapsed(due, monotonic_now().unwrap_or(due));
        self.record(LoadRow {
            sent_after: late,
            latency: late,
            error: "not sent: too many requests under way".to_owned(),
            ..self.row(seq, due)
        });
    }

    fn row(&self, seq: u64, due: Monotonic) -> LoadRow {
        let offset = elapsed(self.begins, due) + self.plan.start.as_nanos() as u64;
        LoadRow {
            flow: self.index,
            seq,
            offset,
            ..LoadRow::default()
        }
    }

    fn record(&self, row: LoadRow) {
        // The writer only goes away when nobody reads; the process is about to end then.
        let _ = self.rows.send(row);
    }
}

fn elapsed(from: Monotonic, to: Monotonic) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}
