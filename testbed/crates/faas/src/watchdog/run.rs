//! One invocation from its request to its verdict.

use std::ffi::OsString;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use super::body::{Body, Headers};
use super::environment::cgi_variables;
use super::output::{Collected, OutputBudget, read_for_log};
use super::process::{Input, Process};
use super::settings::Mode;
use super::{Invocation, Verdict, fork, program, proxy};
use crate::function::{Function, Replica};
use crate::{logs, reply};

/// What the platform allows all its functions together.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// The provider's patience with one request.
    pub(crate) service_timeout: Duration,
    /// Output of one process in bytes.
    pub(crate) output: usize,
    /// Output of all processes.
    pub(crate) output_budget: Arc<OutputBudget>,
    /// Processes at the same time; further requests wait.
    pub(crate) processes: Arc<Semaphore>,
    /// Turns true when all processes have to end now.
    pub(crate) abort: watch::Receiver<bool>,
}

/// Serves one request. Run it as a task of its own: the process goes on when its client has gone, as in the
/// original, but never beyond the service timeout.
pub(crate) async fn run(
    function: Arc<Function>,
    replica: Arc<Replica>,
    invocation: Invocation,
    bounds: Bounds,
) -> Verdict {
    if let Some(verdict) = about_itself(&function, &invocation) {
        return verdict;
    }
    let Some(place) = function.admit() else {
        return Verdict::Busy(function.settings.max_in_flight);
    };
    let mode = function.settings.mode;
    if mode == Mode::Classic
        && !matches!(
            invocation.method,
            Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE
        )
    {
        return Verdict::MethodNotAllowed;
    }
    let arrived = invocation.arrived;
    let mut abort = bounds.abort.clone();
    let serve = async {
        match mode {
            Mode::Classic => serve(&function, &replica, invocation, &bounds).await,
            Mode::Streaming => fork::stream(function.clone(), &replica, invocation, &bounds, place).await,
            Mode::Serializing => fork::serialize(&function, &replica, invocation, &bounds).await,
            Mode::Http => proxy::forward(&function, &replica, invocation, place).await,
            Mode::Static => super::files::serve(&function, &replica, invocation).await,
        }
    };
    let verdict = tokio::select! {
        verdict = serve => verdict,
        () = sleep_until(arrived + bounds.service_timeout) => Verdict::ServiceTimeout,
        _ = abort.wait_for(|abort| *abort) => Verdict::ServiceTimeout,
    };
    let limit = function.settings.write_timeout;
    if !limit.is_zero() && arrived.elapsed() > limit && !matches!(verdict, Verdict::ServiceTimeout) {
        return Verdict::Unreachable;
    }
    verdict
}

/// What a watchdog answers itself, whatever its function does.
fn about_itself(function: &Function, invocation: &Invocation) -> Option<Verdict> {
    let settings = &function.settings;
    let answer = match invocation.path.as_slice() {
        b"/_/health" if invocation.method != Method::GET => reply::method_not_allowed(),
        b"/_/health" => reply::text(StatusCode::OK, "OK"),
        b"/_/ready" if settings.mode != Mode::Classic => {
            let free = settings.max_in_flight == 0 || function.in_flight() < settings.max_in_flight;
            reply::empty(if free {
                StatusCode::OK
            } else {
                StatusCode::TOO_MANY_REQUESTS
            })
        }
        _ => return None,
    };
    Some(Verdict::Reply(Box::new(answer)))
}

/// Reads the body, runs the process, judges its end.
async fn serve(function: &Function, replica: &Replica, invocation: Invocation, bounds: &Bounds) -> Verdict {
    let settings = &function.settings;
    let variables = if settings.cgi_headers {
        cgi_variables(&invocation)
    } else {
        Vec::new()
    };
    let body = match read_body(function, invocation, bounds.output).await {
        Ok(body) => body,
        Err(reason) => return Verdict::BadBody(reason),
    };
    // Never closed, so there is always a permit to wait for.
    let _permit = bounds.processes.acquire().await;
    function.say("Forking fprocess.");
    let started = Instant::now();
    let combine = settings.combine_output;
    let (mut process, body) = match start(function, replica, &variables, body, combine).await {
        Ok(started) => started,
        Err(reason) => return failed(function, reason, Collected::new(&bounds.output_budget)),
    };
    let mut output = Collected::new(&bounds.output_budget);
    let driven = drive(function, &mut process, body, &mut output, bounds.output);
    let ended = if settings.exec_timeout.is_zero() {
        driven.await
    } else {
        match timeout(settings.exec_timeout, driven).await {
            Ok(ended) => ended,
            Err(_) => {
                function.say(&format!("Killing process: {}", settings.command.join(" ")));
                info!("{}: killed at its exec_timeout", function.name());
                return Verdict::ExecTimeout;
            }
        }
    };
    let status = match ended {
        Ok(status) => status,
        Err(Trouble::Body(reason)) => return Verdict::BadBody(reason),
        // What was written so far is not worth sending: it is as long as the bound.
        Err(Trouble::Output(reason)) => {
            return failed(function, reason, Collected::new(&bounds.output_budget));
        }
        Err(Trouble::Wait(reason)) => return failed(function, reason, output),
    };
    match program::exit_failure(status) {
        Some(reason) => failed(function, reason, output),
        None => succeeded(function, started.elapsed(), output),
    }
}

pub(super) async fn read_body(
    function: &Function,
    invocation: Invocation,
    limit: usize,
) -> Result<Body, String> {
    let settings = &function.settings;
    let headers = settings.marshal_request.then(|| Headers::of(&invocation));
    let deadline = (!settings.read_timeout.is_zero()).then(|| invocation.arrived + settings.read_timeout);
    let body = if invocation.has_body {
        Body::begin(invocation.body, deadline).await?
    } else {
        Body::empty()
    };
    match headers {
        Some(headers) => body.marshal(&headers, limit).await,
        None => Ok(body),
    }
}

/// Starts the process. A body that surely fits into a pipe is in it before the process exists; any other is
/// handed back for [`drive`].
pub(super) async fn start(
    function: &Function,
    replica: &Replica,
    variables: &[OsString],
    body: Body,
    combine_output: bool,
) -> Result<(Process, Option<Body>), String> {
    let (input, body) = match body.complete_within(Input::LARGEST_WHOLE) {
        Some(whole) => (Input::Whole(whole), None),
        None => (Input::Stream, Some(body)),
    };
    let process = Process::spawn(function, &replica.instance, variables, input, combine_output).await?;
    Ok((process, body))
}

/// Why a process could not be followed to its end; it is killed then.
pub(super) enum Trouble {
    Body(String),
    Output(String),
    Wait(String),
}

/// Feeds the process, collects what it writes, and waits for it.
pub(super) async fn drive(
    function: &Function,
    process: &mut Process,
    body: Option<Body>,
    output: &mut Collected,
    limit: usize,
) -> Result<ExitStatus, Trouble> {
    let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
    let feed = async {
        match (body, stdin) {
            (Some(body), Some(stdin)) => body.feed(stdin).await.map_err(Trouble::Body),
            _ => Ok(()),
        }
    };
    let collect = async {
        match stdout {
            Some(stdout) => output.fill(stdout, limit).await.map_err(Trouble::Output),
            None => Ok(()),
        }
    };
    let note = async {
        if let Some(stderr) = stderr {
            let (kept, dropped) = read_for_log(stderr).await;
            logs::function_output(function, "stderr: ", &kept, dropped);
        }
        Ok(())
    };
    tokio::try_join!(feed, collect, note)?;
    process.wait().await.map_err(Trouble::Wait)
}

fn succeeded(function: &Function, duration: Duration, output: Collected) -> Verdict {
    let output = output.into_bytes();
    let seconds = duration.as_secs_f64();
    if function.settings.write_debug {
        logs::function_output(function, "", &output, 0);
        function.say(&format!("Duration: {seconds:.6}s"));
    } else {
        let length = output.len();
        function.say(&format!("Wrote {length} Bytes - Duration: {seconds:.6}s"));
    }
    debug!("{}: {seconds:.6} s, {} bytes", function.name(), output.len());
    Verdict::Success { output, duration }
}

fn failed(function: &Function, reason: String, output: Collected) -> Verdict {
    function.say(&reason);
    info!("{}: {reason}", function.name());
    Verdict::Failed {
        reason,
        output: output.into_bytes(),
    }
}
