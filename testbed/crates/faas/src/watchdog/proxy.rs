//! of-watchdog's mode `http`: one process of the function serves all requests, over connections that are kept.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use super::environment::passed_headers;
use super::fork::{Subject, time_limit, timed};
use super::process::{Input, Process};
use super::{Invocation, Verdict, program};
use crate::call::RequestBody;
use crate::duration::go_text;
use crate::function::{Function, InFlight, Replica};
use crate::reply::{self, INTERNAL, Reply};
use crate::runtime::Instance;

/// Connections that are kept for the next request.
const KEPT: usize = 128;
/// Time for a new process to listen, within which refused connections are tried again.
const START: Duration = Duration::from_secs(2);

/// The process behind a replica, and the connections to it.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: Result<SocketAddr, String>,
    host: String,
    idle: Mutex<Vec<SendRequest<RequestBody>>>,
    started: Instant,
    /// Whether a connection was ever made.
    has_listened: std::sync::atomic::AtomicBool,
}

impl Upstream {
    /// Knows where the process will listen.
    pub(crate) fn new(url: &str) -> Self {
        let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let with_port = if host.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let address = with_port.replace("localhost", "127.0.0.1").parse();
        Upstream {
            address: address.map_err(|_| format!("dial tcp: lookup {host}: no such host")),
            host: host.to_owned(),
            idle: Mutex::default(),
            started: Instant::now(),
            has_listened: false.into(),
        }
    }

    fn take(&self) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(sender) = idle.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn give_back(&self, sender: SendRequest<RequestBody>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT && !sender.is_closed() {
            idle.push(sender);
        }
    }

    async fn connect(&self, instance: &Instance) -> Result<SendRequest<RequestBody>, String> {
        use std::sync::atomic::Ordering;
        let address = self.address.clone()?;
        loop {
            let socket = instance.socket(address.is_ipv6()).await;
            let socket = socket.map_err(|error| error.to_string())?;
            let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
            match socket.connect(address).await {
                Ok(stream) => {
                    self.has_listened.store(true, Ordering::Relaxed);
                    // Without it replies come later, and nothing else changes.
                    let _ = stream.set_nodelay(true);
                    let handshake = http1::handshake(TokioIo::new(stream)).await;
                    let (sender, connection) = handshake.map_err(|error| error.to_string())?;
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            debug!("connection to a function: {error}");
                        }
                    });
                    return Ok(sender);
                }
                // It may be about to listen.
                Err(_)
                    if !self.has_listened.load(Ordering::Relaxed)
                        && !instance.has_ended()
                        && self.started.elapsed() < START =>
                {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(error) => {
                    let reason = crate::watchdog::sentence(&error);
                    return Err(format!("dial tcp {address}: connect: {reason}"));
                }
            }
        }
    }
}

/// Keeps the function's process company: its output goes to the log, and its end is that of the replica.
pub(crate) async fn supervise(function: Arc<Function>, replica: Arc<Replica>) {
    let started = Process::spawn(&function, &replica.instance, &[], Input::Whole(Vec::new()), false).await;
    let outcome = match started {
        Ok(mut process) => {
            let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
            let weak = Arc::downgrade(&replica);
            let mut removed = replica.removed();
            // Lives on while its process has time to end.
            let _instance = replica.instance.clone();
            drop(replica);
            tokio::spawn(note(function.clone(), "stdout: ", stdout));
            tokio::spawn(note(function.clone(), "stderr: ", stderr));
            let asked = tokio::select! {
                status = process.wait() => Err(status),
                _ = removed.wait_for(|removed| *removed) => Ok(()),
            };
            match asked {
                Ok(()) => {
                    // It is to go: SIGTERM first, SIGKILL when its time is over.
                    process.signal(nix::libc::SIGTERM);
                    let _ = timeout(function.settings.healthcheck_interval.min(START), process.wait()).await;
                    return;
                }
                Err(status) => {
                    if let Some(replica) = weak.upgrade() {
                        replica.end();
                    }
                    status
                }
            }
        }
        Err(reason) => {
            replica.end();
            Err(reason)
        }
    };
    let how = match outcome {
        Ok(status) => program::exit_failure(status).unwrap_or_else(|| "<nil>".to_owned()),
        Err(reason) => reason,
    };
    function.say(&format!("Forked function has terminated: {how}"));
    info!("{}: its process has ended: {how}", function.name());
}

async fn note(
    function: Arc<Function>,
    stream: &'static str,
    source: Option<tokio::net::unix::pipe::Receiver>,
) {
    const LONGEST: usize = 64 * 1024;
    let Some(source) = source else { return };
    let prefix = if function.settings.prefix_logs { stream } else { "" };
    let mut source = tokio::io::BufReader::new(source);
    let mut line = Vec::new();
    loop {
        let part = match source.fill_buf().await {
            Ok(part) if !part.is_empty() => part,
            Ok(_) | Err(_) => break,
        };
        let end = part.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(part.len(), |end| end + 1);
        line.extend_from_slice(&part[..taken]);
        source.consume(taken);
        if end.is_some() || line.len() >= LONGEST {
            crate::logs::function_output(&function, prefix, &line, 0);
            line.clear();
        }
    }
    crate::logs::function_output(&function, prefix, &line, 0);
}

/// Serves one request.
pub(super) async fn forward(
    function: &Arc<Function>,
    replica: &Arc<Replica>,
    invocation: Invocation,
    place: InFlight,
) -> Verdict {
    let Some(upstream) = &replica.upstream else {
        return Verdict::Unreachable;
    };
    let subject = Subject::of(function, &invocation);
    let deadline = time_limit(function, &invocation).map(|limit| Instant::now() + limit);
    let request = match request(invocation, &upstream.host) {
        Ok(request) => request,
        Err(reason) => return Verdict::BadBody(reason),
    };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let exchange = async {
        let mut sender = match upstream.take() {
            Some(sender) => sender,
            None => upstream.connect(&replica.instance).await?,
        };
        let response = sender.send_request(request).await;
        response
            .map(|response| (sender, response))
            .map_err(|error| error.to_string())
    };
    let answered = match deadline {
        None => exchange.await,
        Some(deadline) => tokio::select! {
            answered = exchange => answered,
            () = sleep_until(deadline) => return too_late(function),
        },
    };
    let (sender, response) = match answered {
        Ok(answered) => answered,
        Err(reason) => {
            let verb = title_case(method.as_str());
            function.say(&format!(
                "Upstream HTTP request error: {verb} \"http://{}{uri}\": {reason}",
                upstream.host
            ));
            return Verdict::Reply(Box::new(timed(
                internal(StatusCode::INTERNAL_SERVER_ERROR),
                subject.duration(),
            )));
        }
    };
    let status = response.status();
    let length = response
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or(-1);
    subject.log(
        function,
        &format!(
            "{} {}",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        ),
        length,
    );
    Verdict::Reply(Box::new(timed(
        relay(response, sender, replica.clone(), place),
        subject.duration(),
    )))
}

fn too_late(function: &Function) -> Verdict {
    let limit = go_text(function.settings.exec_timeout);
    function.say(&format!("Upstream HTTP killed due to exec_timeout: {limit}"));
    Verdict::Reply(Box::new(internal(StatusCode::GATEWAY_TIMEOUT)))
}

fn internal(status: StatusCode) -> Reply {
    let mut reply = reply::empty(status);
    reply
        .headers_mut()
        .insert(INTERNAL, HeaderValue::from_static("of-watchdog"));
    reply
}

/// `GET` → `Get`, as Go's client names what it tried.
fn title_case(method: &str) -> String {
    let (first, rest) = method.split_at(method.len().min(1));
    format!("{first}{}", rest.to_ascii_lowercase())
}

/// The request as the function's process gets it.
fn request(invocation: Invocation, host: &str) -> Result<Request<RequestBody>, String> {
    let headers = passed_headers(&invocation);
    let mut target = escape(&invocation.path);
    if let Some(query) = &invocation.query {
        target.push('?');
        target.push_str(query);
    }
    let uri: Uri = target.parse().map_err(|error| format!("{target}: {error}"))?;
    let mut request = Request::new(invocation.body);
    *request.method_mut() = invocation.method;
    *request.uri_mut() = uri;
    for (name, values) in headers {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            continue;
        };
        for value in values {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request.headers_mut().append(&name, value);
            }
        }
    }
    if let Ok(host) = HeaderValue::from_str(host) {
        request.headers_mut().insert(HOST, host);
    }
    request.headers_mut().remove(EXPECT);
    Ok(request)
}

/// A decoded path, escaped again.
fn escape(path: &[u8]) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!*'()".contains(byte) {
            escaped.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The reply as it comes; its connection serves again when the last byte has been read.
fn relay(
    response: http::Response<hyper::body::Incoming>,
    sender: SendRequest<RequestBody>,
    replica: Arc<Replica>,
    place: InFlight,
) -> Reply {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONNECTION);
    parts.headers.remove(TRANSFER_ENCODING);
    parts.version = http::Version::HTTP_11;
    let body = Kept {
        body,
        back: Some((sender, replica)),
        _place: place,
    };
    http::Response::from_parts(parts, body.boxed_unsync())
}

struct Kept {
    body: hyper::body::Incoming,
    back: Option<(SendRequest<RequestBody>, Arc<Replica>)>,
    /// The request counts until its reply is complete.
    _place: InFlight,
}

impl hyper::body::Body for Kept {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>>> {
        let polled = std::pin::Pin::new(&mut self.body).poll_frame(context);
        polled.map(|frame| frame.map(|frame| frame.map_err(std::io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// Hyper's sender is ready again only when its reply was read to the end.
impl Drop for Kept {
    fn drop(&mut self) {
        if let Some((sender, replica)) = self.back.take()
            && let Some(upstream) = &replica.upstream
        {
            upstream.give_back(sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Upstream, escape, title_case};

    #[test]
    fn paths_and_addresses_are_read() {
        assert_eq!(escape(b"/a b/\xc3\xa9?x"), "/a%20b/%C3%A9%3Fx");
        assert_eq!(title_case("POST"), "Post");
        let upstream = Upstream::new("http://127.0.0.1:8082");
        assert_eq!(upstream.address.unwrap().port(), 8082);
        assert_eq!(Upstream::new("http://localhost/").address.unwrap().port(), 80);
        assert!(Upstream::new("http://elsewhere:1").address.is_err());
    }
}
