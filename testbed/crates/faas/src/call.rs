//! Calling a function: what gateway and provider add around the watchdog.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Body as _;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

use http_body_util::combinators::UnsyncBoxBody;

use crate::function::{Function, Replica};
use crate::identity::GATEWAY_RELEASE;
use crate::metrics::Metrics;
use crate::platform::Platform;
use crate::reply::{self, INTERNAL, PLAIN, Reply};
use crate::route::split_namespace;
use crate::types::NAMESPACE;
use crate::watchdog::{self, Invocation, Verdict};

/// The body of a request: from a connection, or from the queue.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
pub(crate) const START_TIME: HeaderName = HeaderName::from_static("x-start-time");
const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");
const DURATION: HeaderName = HeaderName::from_static("x-duration-seconds");

/// Where a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// With marks, metrics and scaling from zero.
    Gateway,
    /// Straight to the provider.
    Provider,
}

/// What the gateway adds to every call.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) call_id: String,
    /// Unix time in nanoseconds.
    pub(crate) start_time: String,
}

impl Mark {
    /// The mark of a request, and whether its identifier was given by the client.
    pub(crate) fn for_headers(headers: &HeaderMap) -> (Self, bool) {
        let given = headers
            .get(CALL_ID)
            .map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        let is_given = given.is_some();
        let mark = Mark {
            call_id: given.unwrap_or_else(|| Uuid::new_v4().to_string()),
            start_time: Timestamp::now().as_nanosecond().to_string(),
        };
        (mark, is_given)
    }

    /// Marks a reply; a client that gave the identifier is not told it again.
    pub(crate) fn put_on(&self, headers: &mut HeaderMap, with_call_id: bool) {
        if with_call_id {
            insert(headers, CALL_ID, &self.call_id);
        }
        insert(headers, START_TIME, &self.start_time);
        insert(
            headers,
            SERVED_BY,
            &format!("openfaas-community/{GATEWAY_RELEASE}"),
        );
    }
}

/// The time of now as HTTP writes it.
pub(crate) fn http_date() -> Option<HeaderValue> {
    let text = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).ok()
}

/// The answer to `/function/{name}{path}`; `path` is decoded.
pub(crate) async fn answer(
    platform: Arc<Platform>,
    entrance: Entrance,
    peer: SocketAddr,
    name: &str,
    path: Vec<u8>,
    request: Request<RequestBody>,
) -> Reply {
    let arrived = Instant::now();
    let function = match find(&platform, entrance, name, request.headers()) {
        Ok(function) => function,
        Err(refusal) => return *refusal,
    };
    if entrance == Entrance::Provider {
        let invocation = invocation(peer, path, None, arrived, request);
        return perform(platform, function, invocation).await;
    }
    let (mark, given) = Mark::for_headers(request.headers());
    let invocation = invocation(peer, path, Some(mark.clone()), arrived, request);
    let count = Count::begin(&platform.metrics, &function, arrived);
    let mut answer = perform(platform.clone(), function.clone(), invocation).await;
    count.end(answer.status());
    mark.put_on(answer.headers_mut(), !given);
    answer
}

/// One call in the metrics. A client that goes away early leaves the count of a gateway that lost its
/// connection: 502.
struct Count<'a> {
    metrics: &'a Metrics,
    function: Arc<str>,
    arrived: Instant,
    code: StatusCode,
}

impl<'a> Count<'a> {
    fn begin(metrics: &'a Metrics, function: &Function, arrived: Instant) -> Self {
        metrics.started(&function.full_name);
        Count {
            metrics,
            function: function.full_name.clone(),
            arrived,
            code: StatusCode::BAD_GATEWAY,
        }
    }

    fn end(mut self, code: StatusCode) {
        self.code = code;
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.metrics
            .finished(&self.function, self.code.as_u16(), self.arrived.elapsed());
    }
}

/// The function of a call; the gateway wakes one that is scaled to zero.
fn find(
    platform: &Platform,
    entrance: Entrance,
    name: &str,
    headers: &HeaderMap,
) -> Result<Arc<Function>, Box<Reply>> {
    let (service, namespace) = split_namespace(name);
    let namespaces = &platform.registry.namespaces;
    let known = namespaces
        .resolve(namespace)
        .map(|namespace| platform.registry.find(namespace, service));
    match (entrance, known) {
        (Entrance::Gateway, Ok(Some(function))) => {
            if function.is_scaled_to_zero() {
                function.scale(1);
            }
            Ok(function)
        }
        // The real provider sends these to the gateway itself, which has no such route.
        (Entrance::Provider, Ok(Some(function))) if function.is_scaled_to_zero() => {
            let mut refusal = reply::method_not_allowed();
            complete_content_type(refusal.headers_mut(), headers.get(CONTENT_TYPE));
            Err(Box::new(refusal))
        }
        (Entrance::Provider, Ok(Some(function))) => Ok(function),
        (Entrance::Provider, _) => {
            let mut refusal = reply::error(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("No endpoints available for: {name}."),
            );
            insert(refusal.headers_mut(), INTERNAL, "proxy");
            Err(Box::new(refusal))
        }
        (Entrance::Gateway, outcome) => {
            let (code, body) = match &outcome {
                Ok(_) => (404, String::new()),
                Err(refusal) => (400, format!("{}\n", refusal.text())),
            };
            let namespace = if namespace.is_empty() {
                NAMESPACE
            } else {
                namespace
            };
            let sentence = format!(
                "error finding function {service}.{namespace}: server returned non-200 status code ({code}) for \
                 function, {service}, body: {body}"
            );
            Err(Box::new(reply::text(StatusCode::NOT_FOUND, sentence)))
        }
    }
}

fn invocation(
    peer: SocketAddr,
    path: Vec<u8>,
    mark: Option<Mark>,
    arrived: Instant,
    request: Request<RequestBody>,
) -> Invocation {
    let (parts, body) = request.into_parts();
    let host = match parts.headers.get(HOST) {
        Some(host) => String::from_utf8_lossy(host.as_bytes()).into_owned(),
        None => parts.uri.authority().map(ToString::to_string).unwrap_or_default(),
    };
    Invocation {
        method: parts.method,
        host,
        path,
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        peer,
        mark,
        has_body: !body.is_end_stream(),
        body,
        arrived,
    }
}

/// What the provider's proxy makes of the watchdog's verdict.
async fn perform(platform: Arc<Platform>, function: Arc<Function>, invocation: Invocation) -> Reply {
    let proxied = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::HEAD,
    ];
    if !proxied.contains(&invocation.method) {
        return reply::method_not_allowed();
    }
    let caller_type = invocation.headers.get(CONTENT_TYPE).cloned();
    let verdict = match replica(&platform, &function).await {
        Some(replica) => {
            let run = watchdog::run(function.clone(), replica, invocation, platform.bounds.clone());
            // A task of its own, because it goes on when the client does not.
            tokio::spawn(run).await.unwrap_or(Verdict::Unreachable)
        }
        None => Verdict::Unreachable,
    };
    let mut answer = reply_to(verdict, &function, caller_type.as_ref());
    if answer.status() != StatusCode::BAD_GATEWAY {
        complete_content_type(answer.headers_mut(), caller_type.as_ref());
    }
    answer
}

/// A replica to serve a call; started again when there is none, as after the end of its process.
async fn replica(platform: &Arc<Platform>, function: &Arc<Function>) -> Option<Arc<Replica>> {
    if let Some(replica) = function.replica() {
        return Some(replica);
    }
    let (runtime_of, filled) = (platform.clone(), function.clone());
    let filling = tokio::task::spawn_blocking(move || filled.fill(&runtime_of.registry.runtime));
    if let Ok(Err(reason)) = filling.await {
        warn!("{}: {reason}", function.name());
    }
    function.replica()
}

fn reply_to(verdict: Verdict, function: &Function, caller_type: Option<&HeaderValue>) -> Reply {
    match verdict {
        Verdict::Success { output, duration } => {
            let mut answer = reply::with_body(StatusCode::OK, output.clone());
            let headers = answer.headers_mut();
            match (function.settings.content_type.as_str(), caller_type) {
                ("", Some(caller_type)) => {
                    headers.insert(CONTENT_TYPE, caller_type.clone());
                }
                ("", None) => sniff(headers, &output),
                (fixed, _) => insert(headers, CONTENT_TYPE, fixed),
            }
            insert(headers, DURATION, &format!("{:.6}", duration.as_secs_f64()));
            answer
        }
        Verdict::Failed { reason, output } => {
            let body = Bytes::from([reason.as_bytes(), b"\n", &output].concat());
            let mut answer = reply::with_body(StatusCode::INTERNAL_SERVER_ERROR, body.clone());
            sniff(answer.headers_mut(), &body);
            answer
        }
        Verdict::ExecTimeout => reply::text(StatusCode::REQUEST_TIMEOUT, "Killed process.\n"),
        Verdict::Busy(limit) => {
            let sentence = format!("Concurrent request limit exceeded. Max concurrent requests: {limit}\n");
            let mut answer = reply::with_body(StatusCode::TOO_MANY_REQUESTS, sentence);
            answer.headers_mut().insert(CONTENT_TYPE, PLAIN);
            insert(answer.headers_mut(), INTERNAL, "faas-middleware");
            answer
        }
        Verdict::MethodNotAllowed => reply::method_not_allowed(),
        Verdict::BadBody(reason) => reply::text(StatusCode::BAD_REQUEST, format!("{reason}\n")),
        Verdict::Unreachable => {
            let sentence = format!("Can't reach service for: {}.", function.name());
            let mut answer = reply::error(StatusCode::INTERNAL_SERVER_ERROR, &sentence);
            insert(answer.headers_mut(), INTERNAL, "proxy");
            answer
        }
        Verdict::Reply(reply) => *reply,
        Verdict::ServiceTimeout => reply::empty(StatusCode::BAD_GATEWAY),
    }
}

fn sniff(headers: &mut HeaderMap, content: &[u8]) {
    if !content.is_empty() {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(watchdog::content_type(content)),
        );
    }
}

/// A reply without a type gets the caller's, or plain text.
fn complete_content_type(headers: &mut HeaderMap, caller_type: Option<&HeaderValue>) {
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, caller_type.cloned().unwrap_or(PLAIN));
    }
}

/// Sets a header; a value that cannot be one (only `content_type` of a function may be such) is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
