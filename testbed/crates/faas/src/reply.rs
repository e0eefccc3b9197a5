//! Replies as a Go HTTP server writes them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::json;
use crate::registry::Refusal;

/// A reply of this crate.
pub(crate) type Reply = Response<ReplyBody>;

/// The body of a reply: known as a whole mostly, else a stream.
pub(crate) type ReplyBody = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(crate) const PLAIN: HeaderValue = HeaderValue::from_static("text/plain");
pub(crate) const INTERNAL: HeaderName = HeaderName::from_static("x-openfaas-internal");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A status without body.
pub(crate) fn empty(status: StatusCode) -> Reply {
    with_body(status, Bytes::new())
}

/// A status with a body and no content type yet.
pub(crate) fn with_body(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let whole = Full::new(body.into()).map_err(|never| match never {});
    let mut reply = Response::new(whole.boxed_unsync());
    *reply.status_mut() = status;
    reply
}

/// A status with a body that is sent in chunks, as parts come in, and ends when the sender is dropped. An error cuts
/// the connection, so that nobody takes a part for the whole.
pub(crate) fn with_stream(status: StatusCode, parts: mpsc::Receiver<io::Result<Bytes>>) -> Reply {
    let mut reply = Response::new(Parts(parts).boxed_unsync());
    *reply.status_mut() = status;
    reply
}

struct Parts(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Parts {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0
            .poll_recv(context)
            .map(|part| part.map(|part| part.map(Frame::data)))
    }
}

/// A text without the marks of an error.
pub(crate) fn text(status: StatusCode, content: impl Into<Bytes>) -> Reply {
    let mut reply = with_body(status, content);
    reply.headers_mut().insert(CONTENT_TYPE, TEXT);
    reply
}

/// An error as Go's `http.Error` writes it: a line of text that browsers must not guess about.
pub(crate) fn error(status: StatusCode, message: &str) -> Reply {
    let mut reply = text(status, format!("{message}\n"));
    reply
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

pub(crate) fn not_found() -> Reply {
    error(StatusCode::NOT_FOUND, "404 page not found")
}

pub(crate) fn method_not_allowed() -> Reply {
    empty(StatusCode::METHOD_NOT_ALLOWED)
}

/// A reply that asks for credentials.
pub(crate) fn unauthorized() -> Reply {
    let mut reply = text(StatusCode::UNAUTHORIZED, "invalid credentials");
    reply.headers_mut().insert(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"Restricted\""),
    );
    reply
}

/// A document.
pub(crate) fn json<T: Serialize>(document: &T) -> Reply {
    match json::to_bytes(document) {
        Ok(body) => {
            let mut reply = with_body(StatusCode::OK, body);
            reply.headers_mut().insert(CONTENT_TYPE, JSON);
            reply
        }
        Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, &failure.to_string()),
    }
}

/// The user interface: an empty directory, which is what a gateway without its assets shows.
pub(crate) fn user_interface() -> Reply {
    let page = "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n</pre>\n";
    let mut reply = with_body(StatusCode::OK, page);
    for (name, value) in [
        ("access-control-allow-headers", "Content-Type"),
        ("access-control-allow-methods", "GET"),
        ("access-control-allow-origin", "raw.githubusercontent.com"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        reply
            .headers_mut()
            .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    reply
}

/// A document with an end of line, as a stream encoder writes it.
pub(crate) fn json_line<T: Serialize>(document: &T) -> Reply {
    match json::to_bytes(document) {
        Ok(mut body) => {
            body.push(b'\n');
            let mut reply = with_body(StatusCode::OK, body);
            reply.headers_mut().insert(CONTENT_TYPE, JSON);
            reply
        }
        Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, &failure.to_string()),
    }
}

/// To the user interface.
pub(crate) fn to_user_interface() -> Reply {
    let mut reply = with_body(
        StatusCode::MOVED_PERMANENTLY,
        "<a href=\"/ui/\">Moved Permanently</a>.\n\n",
    );
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    reply
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("/ui/"));
    reply
}

/// A refused request.
pub(crate) fn refused(refusal: &Refusal) -> Reply {
    error(refusal.status(), refusal.text())
}

/// The outcome of a change that has nothing to tell.
pub(crate) fn outcome(result: Result<(), Refusal>) -> Reply {
    match result {
        Ok(()) => empty(StatusCode::OK),
        Err(refusal) => refused(&refusal),
    }
}
