//! Asynchronous calls: taken at once, run one after the other, their results posted to who asked for them.
//!
//! The queue is in memory: what it holds is lost when the platform ends, after the grace that calls have. The original
//! keeps it in NATS Streaming, which the stock installation runs in memory too.

mod callback;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tracing::{debug, info};

use crate::call::{self, CALL_ID, Entrance, Mark, RequestBody, START_TIME};
use crate::platform::Platform;
use crate::reply::{self, Reply};
pub(crate) use callback::check_url;

const CALLBACK_URL: HeaderName = HeaderName::from_static("x-callback-url");
const DURATION: HeaderName = HeaderName::from_static("x-duration-seconds");
const FUNCTION_NAME: HeaderName = HeaderName::from_static("x-function-name");
const FUNCTION_STATUS: HeaderName = HeaderName::from_static("x-function-status");

/// Longest message the original's broker takes.
const LARGEST_MESSAGE: usize = 1 << 20;
/// Memory for calls that wait, in bytes.
const CAPACITY: usize = 64 << 20;
/// What a waiting call takes besides its body.
const PER_CALL: usize = 2048;

/// A call that waits.
struct Waiting {
    name: String,
    path: Vec<u8>,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
    callback: Option<String>,
}

impl Waiting {
    fn size(&self) -> usize {
        self.body.len() + PER_CALL
    }
}

/// The queue's entrance and its end.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: mpsc::UnboundedSender<Waiting>,
    receiver: Mutex<mpsc::UnboundedReceiver<Waiting>>,
    held: AtomicUsize,
    /// Calls that wait or run.
    open: AtomicUsize,
}

impl Default for Queue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Queue {
            sender,
            receiver: Mutex::new(receiver),
            held: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        }
    }
}

impl Queue {
    fn push(&self, waiting: Waiting) -> Result<(), &'static str> {
        let size = waiting.size();
        if self.held.fetch_add(size, Ordering::Relaxed) + size > CAPACITY {
            self.held.fetch_sub(size, Ordering::Relaxed);
            return Err("stan: publish ack timeout");
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        self.sender.send(waiting).map_err(|_| "stan: connection closed")
    }

    async fn pop(&self) -> Option<Waiting> {
        let waiting = self.receiver.lock().await.recv().await?;
        self.held.fetch_sub(waiting.size(), Ordering::Relaxed);
        Some(waiting)
    }

    /// Whether nothing waits or runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }
}

/// The answer to `POST /async-function/{name}{path}`: the function is not looked for yet.
pub(crate) async fn accept(
    platform: &Platform,
    name: String,
    path: Vec<u8>,
    request: Request<RequestBody>,
) -> Reply {
    if request.method() != Method::POST {
        return reply::method_not_allowed();
    }
    let (mark, given) = Mark::for_headers(request.headers());
    let mut answer = match enqueue(platform, name, path, &mark, request).await {
        Ok(()) => reply::empty(StatusCode::ACCEPTED),
        Err(refusal) => *refusal,
    };
    mark.put_on(answer.headers_mut(), !given);
    answer
}

async fn enqueue(
    platform: &Platform,
    name: String,
    path: Vec<u8>,
    mark: &Mark,
    request: Request<RequestBody>,
) -> Result<(), Box<Reply>> {
    let (parts, body) = request.into_parts();
    let callback = match parts.headers.get(CALLBACK_URL) {
        Some(url) => {
            let url = String::from_utf8_lossy(url.as_bytes()).into_owned();
            callback::check_url(&url).map_err(|reason| refuse(StatusCode::BAD_REQUEST, &reason))?;
            Some(url).filter(|url| !url.is_empty())
        }
        None => None,
    };
    // The original's message is JSON with the body in base64.
    let body = Limited::new(body, LARGEST_MESSAGE / 4 * 3)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                refuse(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "nats: maximum payload exceeded",
                )
            } else {
                refuse(StatusCode::BAD_REQUEST, &error.to_string())
            }
        })?;
    let mut headers = parts.headers;
    if let Ok(id) = HeaderValue::from_str(&mark.call_id) {
        headers.insert(CALL_ID, id);
    }
    headers.remove(START_TIME);
    headers.remove(CALLBACK_URL);
    headers.remove(HOST);
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static("openfaas-ce/nats-queue-worker"),
    );
    let waiting = Waiting {
        name,
        path,
        query: parts.uri.query().map(str::to_owned),
        headers,
        body: body.to_bytes(),
        callback,
    };
    platform
        .queue
        .push(waiting)
        .map_err(|reason| refuse(StatusCode::INTERNAL_SERVER_ERROR, reason))
}

fn refuse(status: StatusCode, text: &str) -> Box<Reply> {
    Box::new(reply::error(status, text))
}

/// Runs queued calls, one at a time, until the platform is gone.
pub(crate) async fn work(platform: Arc<Platform>, gateway: SocketAddr) {
    let sender = callback::sender();
    while let Some(waiting) = platform.queue.pop().await {
        run(&platform, gateway, &sender, waiting).await;
        platform.queue.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn run(platform: &Arc<Platform>, gateway: SocketAddr, sender: &callback::Sender, waiting: Waiting) {
    let Waiting {
        name,
        path,
        query,
        headers,
        body,
        callback,
    } = waiting;
    let call_id = headers.get(CALL_ID).cloned();
    let started = Instant::now();
    let Some(request) = request(gateway, query.as_deref(), headers, body) else {
        info!("{name}: an asynchronous call cannot be made: its query is none");
        return;
    };
    let answer = call::answer(platform.clone(), Entrance::Gateway, gateway, &name, path, request).await;
    let status = answer.status();
    let (parts, body) = answer.into_parts();
    let (status, mut headers, body) = match body.collect().await {
        Ok(body) => (status, parts.headers, body.to_bytes()),
        // Cut off: the original's worker has no reply then.
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new(), Bytes::new()),
    };
    debug!("{name}: asynchronous call ended with {status}");
    let Some(url) = callback else { return };
    let duration = format!("{:.6}", started.elapsed().as_secs_f64());
    let own = [
        (CALL_ID, call_id),
        (DURATION, HeaderValue::from_str(&duration).ok()),
        (FUNCTION_NAME, HeaderValue::from_str(&name).ok()),
        (FUNCTION_STATUS, Some(HeaderValue::from(status.as_u16()))),
        (http::header::DATE, call::http_date()),
    ];
    for (header, value) in own {
        if let Some(value) = value {
            headers.insert(header, value);
        }
    }
    match callback::post(sender, &url, headers, body).await {
        Ok(status) => debug!("{name}: result posted to {url}: {status}"),
        Err(reason) => info!("{name}: result not posted to {url}: {reason}"),
    }
}

fn request(
    gateway: SocketAddr,
    query: Option<&str>,
    headers: HeaderMap,
    body: Bytes,
) -> Option<Request<RequestBody>> {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let uri = format!("/{query}").parse().ok()?;
    let body = Full::new(body).map_err(|never| match never {});
    let mut request = Request::new(body.boxed_unsync());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let host = HeaderValue::from_str(&gateway.to_string()).ok()?;
    request.headers_mut().insert(HOST, host);
    Some(request)
}
