//! The watchdogs. The classic one: one process per request, the body on its standard input, the reply from its
//! standard output when it has ended. And of-watchdog in its modes: the same as `serializing` or, with the reply passed
//! on as it comes, `streaming`; one process that is an HTTP server for all requests (`http`); files (`static`).
//!
//! Unlike the originals, which hold the whole body and the whole output in memory, a body larger than one
//! pipe is streamed, and output is collected up to a bound, beyond which the process is killed. A process
//! that outlives the platform's patience is killed too, with its process group.

mod body;
mod environment;
mod files;
mod fork;
mod output;
mod process;
mod program;
mod proxy;
mod run;
mod settings;
mod sniff;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::time::Instant;

use crate::call::{Mark, RequestBody};
use crate::reply::Reply;

pub(crate) use output::OutputBudget;
pub(crate) use program::{find as find_program, sentence};
pub(crate) use proxy::{Upstream, supervise};
pub(crate) use run::{Bounds, run};
pub(crate) use settings::{Mode, Settings};
pub(crate) use sniff::content_type;

/// A request on its way to a function.
pub(crate) struct Invocation {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// The `Host` the client asked for.
    pub(crate) host: String,
    /// What follows the function's name, decoded; `/` at least.
    pub(crate) path: Vec<u8>,
    /// The query as sent.
    pub(crate) query: Option<String>,
    pub(crate) peer: SocketAddr,
    /// What the gateway adds; a request straight to the provider has none.
    pub(crate) mark: Option<Mark>,
    pub(crate) has_body: bool,
    pub(crate) body: RequestBody,
    /// When the request arrived.
    pub(crate) arrived: Instant,
}

/// How an invocation ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The process ended well.
    Success { output: Bytes, duration: Duration },
    /// The process could not be started, ended badly or was killed: Go's sentence, and what it wrote.
    Failed { reason: String, output: Bytes },
    /// `exec_timeout` passed.
    ExecTimeout,
    /// `max_inflight` (the number) requests are being served.
    Busy(usize),
    /// The classic watchdog serves GET, POST, PUT, PATCH and DELETE.
    MethodNotAllowed,
    /// The body did not arrive.
    BadBody(String),
    /// The watchdog would have closed the connection without a reply.
    Unreachable,
    /// What an of-watchdog answers.
    Reply(Box<Reply>),
    /// The provider's own patience ended.
    ServiceTimeout,
}
