//! One invocation from its request to its verdict.

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use super::body::{Body, Headers};
use super::environment::cgi_variables;
use super::output::{Collected, OutputBudget, read_for_log};
use super::process::{Input, Process};
use super::{Invocation, Verdict, program};
use crate::function::Function;
use crate::logs;

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
pub(crate) async fn run(function: Arc<Function>, invocation: Invocation, bounds: Bounds) -> Verdict {
    let Some(_place) = function.admit() else {
        return Verdict::Busy(function.settings.max_in_flight);
    };
    if !matches!(
        invocation.method,
        Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE
    ) {
        return Verdict::MethodNotAllowed;
    }
    let arrived = invocation.arrived;
    let mut abort = bounds.abort.clone();
    let verdict = tokio::select! {
        verdict = serve(&function, invocation, &bounds) => verdict,
        () = sleep_until(arrived + bounds.service_timeout) => Verdict::ServiceTimeout,
        _ = abort.wait_for(|abort| *abort) => Verdict::ServiceTimeout,
    };
    let limit = function.settings.write_timeout;
    if !limit.is_zero() && arrived.elapsed() > limit && !matches!(verdict, Verdict::ServiceTimeout) {
        return Verdict::Unreachable;
    }
    verdict
}

/// Reads the body, runs the process, judges its end.
async fn serve(function: &Function, invocation: Invocation, bounds: &Bounds) -> Verdict {
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
    let (mut process, body) = match start(function, &variables, body) {
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
        Err(Trouble::Wait(error)) => return failed(function, format!("wait: {error}"), output),
    };
    match program::exit_failure(status) {
        Some(reason) => failed(function, reason, output),
        None => succeeded(function, started.elapsed(), output),
    }
}

async fn read_body(function: &Function, invocation: Invocation, limit: usize) -> Result<Body, String> {
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
fn start(
    function: &Function,
    variables: &[(OsString, OsString)],
    body: Body,
) -> Result<(Process, Option<Body>), String> {
    let name = function.settings.command.first().map_or("", String::as_str);
    let search_path = function
        .environment
        .first()
        .map_or("", |(_, value)| value.as_str());
    let path = program::find(name, search_path)?;
    let (input, body) = match body.complete_within(Input::LARGEST_WHOLE) {
        Some(whole) => (Input::Whole(whole), None),
        None => (Input::Stream, Some(body)),
    };
    let process = Process::spawn(function, &path, variables, input)
        .map_err(|error| program::spawn_failure(&path, &error))?;
    Ok((process, body))
}

/// Why a process could not be followed to its end; it is killed then.
enum Trouble {
    Body(String),
    Output(String),
    Wait(io::Error),
}

/// Feeds the process, collects what it writes, and waits for it. The order matters: as long as it has not been
/// waited for, its group can be killed without hitting anybody else.
async fn drive(
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
