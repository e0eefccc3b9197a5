//! of-watchdog's modes that start a process per request.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderName, StatusCode};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::environment::cgi_variables;
use super::output::{Collected, read_for_log};
use super::process::Process;
use super::run::{Bounds, Trouble, drive, read_body, start};
use super::{Invocation, Verdict, program};
use crate::function::{Function, InFlight, Replica};
use crate::logs;
use crate::reply::{self, Reply};

const DURATION: HeaderName = HeaderName::from_static("x-duration-seconds");
/// What a Go server holds back before it decides that a reply has no known length.
const HELD_BACK: usize = 2048;

/// What is logged about a request.
pub(super) struct Subject {
    method_and_path: String,
    call_id: Option<String>,
    started: Instant,
}

impl Subject {
    pub(super) fn of(function: &Function, invocation: &Invocation) -> Self {
        let query = invocation
            .query
            .as_ref()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let path = String::from_utf8_lossy(&invocation.path);
        let call_id = invocation.mark.as_ref().filter(|_| function.settings.log_call_id);
        Subject {
            method_and_path: format!("{} {path}{query}", invocation.method),
            call_id: call_id.map(|mark| mark.call_id.clone()),
            started: Instant::now(),
        }
    }

    pub(super) fn log(&self, function: &Function, status: &str, length: i64) {
        let id = self
            .call_id
            .as_ref()
            .map(|id| format!(" [{id}]"))
            .unwrap_or_default();
        function.say(&format!(
            "{} - {status} - ContentLength: {} ({:.4}s){id}",
            self.method_and_path,
            human_size(length),
            self.started.elapsed().as_secs_f64()
        ));
    }

    pub(super) fn duration(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A length as the original's log writes it: four digits and a decimal unit.
fn human_size(length: i64) -> String {
    let (mut size, mut unit) = (length as f64, "B");
    for larger in ["kB", "MB", "GB", "TB"] {
        if size < 1000.0 {
            break;
        }
        size /= 1000.0;
        unit = larger;
    }
    let digits = if size >= 100.0 {
        1
    } else if size >= 10.0 {
        2
    } else {
        3
    };
    let text = format!("{size:.digits$}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The time a request may take: a header may shorten it.
pub(super) fn time_limit(function: &Function, invocation: &Invocation) -> Option<Duration> {
    let own = Some(function.settings.exec_timeout).filter(|limit| !limit.is_zero());
    let asked = invocation.headers.get("x-timeout").and_then(|text| {
        let text = text.to_str().ok()?;
        crate::duration::parse_go_duration(text).filter(|asked| !asked.is_zero())
    });
    match (own, asked) {
        (Some(own), Some(asked)) => Some(own.min(asked)),
        (own, _) => own,
    }
}

fn typed(function: &Function, mut reply: Reply) -> Reply {
    let kind = HeaderValue::from_str(&function.settings.content_type)
        .ok()
        .filter(|kind| !kind.is_empty())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

pub(super) fn timed(mut reply: Reply, duration: Duration) -> Reply {
    if let Ok(text) = HeaderValue::from_str(&format!("{:.6}", duration.as_secs_f64())) {
        reply.headers_mut().insert(DURATION, text);
    }
    reply
}

/// Serves one request in mode `serializing`.
pub(super) async fn serialize(
    function: &Function,
    replica: &Replica,
    invocation: Invocation,
    bounds: &Bounds,
) -> Verdict {
    let subject = Subject::of(function, &invocation);
    let limit = time_limit(function, &invocation);
    let variables = cgi_variables(&invocation);
    let body = match read_body(function, invocation, bounds.output).await {
        Ok(body) => body,
        Err(reason) => return Verdict::BadBody(reason),
    };
    let _permit = bounds.processes.acquire().await;
    let mut output = Collected::new(&bounds.output_budget);
    let outcome = async {
        let (mut process, body) = start(function, replica, &variables, body, false).await?;
        function.say("Started logging: stderr from function.");
        let driven = drive(function, &mut process, body, &mut output, bounds.output);
        let ended = match limit {
            Some(limit) => timeout(limit, driven)
                .await
                .map_err(|_| "signal: killed".to_owned())?,
            None => driven.await,
        };
        match ended {
            Ok(status) => program::exit_failure(status).map_or(Ok(()), Err),
            Err(Trouble::Body(reason) | Trouble::Output(reason) | Trouble::Wait(reason)) => Err(reason),
        }
    }
    .await;
    let (status, body, failure) = match outcome {
        Ok(()) => (StatusCode::OK, output.into_bytes(), None),
        Err(reason) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            Bytes::from(reason.clone()),
            Some(reason),
        ),
    };
    subject.log(function, "200", i64::try_from(body.len()).unwrap_or(i64::MAX));
    if let Some(failure) = failure {
        function.say(&failure);
    }
    let reply = typed(function, reply::with_body(status, body));
    Verdict::Reply(Box::new(timed(reply, subject.duration())))
}

/// Serves one request in mode `streaming`: once the process has started the status is 200, whatever comes.
pub(super) async fn stream(
    function: Arc<Function>,
    replica: &Replica,
    invocation: Invocation,
    bounds: &Bounds,
    place: InFlight,
) -> Verdict {
    let subject = Subject::of(&function, &invocation);
    let limit = time_limit(&function, &invocation);
    let variables = cgi_variables(&invocation);
    let body = match read_body(&function, invocation, bounds.output).await {
        Ok(body) => body,
        Err(reason) => return Verdict::BadBody(reason),
    };
    let Ok(permit) = bounds.processes.clone().acquire_owned().await else {
        return Verdict::Unreachable;
    };
    let (mut process, body) = match start(&function, replica, &variables, body, false).await {
        Ok(started) => started,
        Err(reason) => return refuse(&function, &subject, reason),
    };
    function.say("Started logging: stderr from function.");
    let (sender, mut parts) = mpsc::channel(4);
    let mut abort = bounds.abort.clone();
    let (typed_for, patience) = (function.clone(), bounds.service_timeout);
    tokio::spawn(async move {
        let _held = (place, permit);
        let stdin = process.stdin.take();
        let feed = async {
            match (body, stdin) {
                (Some(body), Some(stdin)) => body.feed(stdin).await,
                _ => Ok(()),
            }
        };
        let limit = limit.unwrap_or(patience).min(patience);
        let outcome = tokio::select! {
            outcome = timeout(limit, follow(&function, process, feed, sender)) => {
                outcome.unwrap_or_else(|_| (0, Some("signal: killed".to_owned())))
            }
            _ = abort.wait_for(|abort| *abort) => (0, Some("signal: killed".to_owned())),
        };
        let (length, failure) = outcome;
        if let Some(failure) = &failure {
            function.say(failure);
        }
        subject.log(&function, if failure.is_some() { "500" } else { "200" }, length);
    });
    let mut first = BytesMut::new();
    while first.len() <= HELD_BACK {
        match parts.recv().await {
            Some(Ok(part)) => first.extend_from_slice(&part),
            Some(Err(_)) => break,
            None => {
                return Verdict::Reply(Box::new(typed(
                    &typed_for,
                    reply::with_body(StatusCode::OK, first.freeze()),
                )));
            }
        }
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut next = Some(Ok(first.freeze()));
        while let Some(part) = next {
            if sender.send(part).await.is_err() {
                return;
            }
            next = parts.recv().await;
        }
    });
    Verdict::Reply(Box::new(typed(
        &typed_for,
        reply::with_stream(StatusCode::OK, receiver),
    )))
}

fn refuse(function: &Function, subject: &Subject, reason: String) -> Verdict {
    function.say(&reason);
    subject.log(function, "500", 0);
    Verdict::Reply(Box::new(typed(function, reply::empty(StatusCode::OK))))
}

/// Passes on what a process writes until it ends; how much that was, and what went wrong.
async fn follow(
    function: &Function,
    mut process: Process,
    feed: impl Future<Output = Result<(), String>>,
    parts: mpsc::Sender<std::io::Result<Bytes>>,
) -> (i64, Option<String>) {
    let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
    let pass_on = async {
        match stdout {
            Some(stdout) => pass_on(stdout, parts).await,
            None => 0,
        }
    };
    let note = async {
        if let Some(stderr) = stderr {
            let (kept, dropped) = read_for_log(stderr).await;
            let prefix = if function.settings.prefix_logs {
                "stderr: "
            } else {
                ""
            };
            logs::function_output(function, prefix, &kept, dropped);
        }
    };
    let (length, (), fed) = tokio::join!(pass_on, note, feed);
    let failure = match (process.wait().await, fed) {
        (Ok(status), Ok(())) => program::exit_failure(status),
        (Ok(_), Err(reason)) | (Err(reason), _) => Some(reason),
    };
    (length, failure)
}

async fn pass_on(mut stdout: pipe::Receiver, parts: mpsc::Sender<std::io::Result<Bytes>>) -> i64 {
    let mut length = 0;
    loop {
        let mut part = BytesMut::with_capacity(16 * 1024);
        match stdout.read_buf(&mut part).await {
            Ok(read @ 1..) => {
                length += i64::try_from(read).unwrap_or_default();
                // The reader has gone; a process that still writes finds its pipe closed.
                if parts.send(Ok(part.freeze())).await.is_err() {
                    return length;
                }
            }
            Ok(_) | Err(_) => return length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::human_size;

    #[test]
    fn lengths_have_four_digits() {
        for (length, text) in [
            (0, "0B"),
            (421, "421B"),
            (-1, "-1B"),
            (1500, "1.5kB"),
            (12_345, "12.35kB"),
            (5_000_000, "5MB"),
        ] {
            assert_eq!(human_size(length), text);
        }
    }
}
