//! Replies as a Go HTTP server writes them.

use bytes::Bytes;
use http::header::{
    CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::json;
use crate::registry::Refusal;

/// A reply of this crate: its whole body is known.
pub(crate) type Reply = Response<Full<Bytes>>;

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
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply
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

/// To the user interface, which is not part of this platform.
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

/// The outcome of a change of functions.
pub(crate) fn outcome(result: Result<(), Refusal>) -> Reply {
    match result {
        Ok(()) => empty(StatusCode::OK),
        Err(Refusal::Invalid(message)) => error(StatusCode::BAD_REQUEST, &message),
        Err(Refusal::NotFound(message)) => error(StatusCode::NOT_FOUND, &message),
    }
}
