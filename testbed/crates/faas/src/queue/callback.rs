//! Where the result of an asynchronous call goes.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Longest time for a callback to be taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends results.
pub(super) type Sender = Client<HttpConnector, Full<Bytes>>;

pub(super) fn sender() -> Sender {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Checks the value of `X-Callback-Url`.
///
/// # Errors
/// Go's sentence for what is no URL.
pub(crate) fn check_url(text: &str) -> Result<(), String> {
    let wrong = |reason: &str| Err(format!("parse {text:?}: {reason}"));
    if text.chars().any(|character| character.is_ascii_control()) {
        return wrong("net/url: invalid control character in URL");
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return Ok(());
    };
    if scheme.is_empty() {
        return wrong("missing protocol scheme");
    }
    let is_scheme = scheme.bytes().enumerate().all(|(at, byte)| {
        byte.is_ascii_alphabetic() || (at > 0 && (byte.is_ascii_digit() || b"+-.".contains(&byte)))
    });
    if !is_scheme {
        return if scheme.contains('/') || scheme.contains('?') {
            Ok(())
        } else {
            wrong("first path segment in URL cannot contain colon")
        };
    }
    let host = rest
        .strip_prefix("//")
        .map_or("", |rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if let Some(character) = host.chars().find(|character| " <>\"\\^`{|}".contains(*character)) {
        return wrong(&format!(
            "invalid character {:?} in host name",
            character.to_string()
        ));
    }
    let port = host.rsplit_once(':').filter(|_| !host.ends_with(']'));
    match port {
        Some((_, port)) if !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            wrong(&format!("invalid port {:?} after host", format!(":{port}")))
        }
        _ => Ok(()),
    }
}

/// Posts a result.
///
/// # Errors
/// A sentence for the log.
pub(super) async fn post(
    sender: &Sender,
    url: &str,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!(
            "unsupported protocol scheme {:?}",
            uri.scheme_str().unwrap_or_default()
        ));
    }
    // The body is sent as a whole, and these belong to the connection it came over.
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    headers.remove(HOST);
    headers.insert(USER_AGENT, HeaderValue::from_static("Go-http-client/1.1"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let exchange = async {
        let reply = sender.request(request).await.map_err(|error| error.to_string())?;
        let status = reply.status();
        // Read to its end, so that the connection serves again; what it says is of no interest.
        let mut rest = reply.into_body();
        while let Some(Ok(_)) = rest.frame().await {}
        Ok(status)
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::check_url;

    #[test]
    fn urls_are_refused_as_go_refuses_them() {
        for good in [
            "http://127.0.0.1:9098/cb1",
            "http://[::1]:80/",
            "",
            "path/only",
            "http://a",
        ] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for (url, reason) in [
            ("://bad url", "missing protocol scheme"),
            ("1a:b", "first path segment in URL cannot contain colon"),
            ("http://a b/", "invalid character \" \" in host name"),
            ("http://a:b/", "invalid port \":b\" after host"),
            ("http://a/\u{7f}", "net/url: invalid control character in URL"),
        ] {
            assert_eq!(check_url(url), Err(format!("parse {url:?}: {reason}")));
        }
    }
}
