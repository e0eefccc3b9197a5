//! Everything that reads what clients and files say, one function for each kind of input, for fuzzers and tests: it may be
//! refused, but nothing panics.

use jiff::Timestamp;

use crate::auth::Credentials;
use crate::catalogue::{Image, WatchdogMode};
use crate::duration::parse_duration;
use crate::logs::LogRequest;
use crate::namespaces::FunctionNamespace;
use crate::queue::check_url;
use crate::route::{query_value, resource, split_namespace};
use crate::secrets::Secret;
use crate::types::{DeleteRequest, FunctionDeployment, ScaleRequest};
use crate::{quantity, reference, scaling, watchdog};

/// The body of a request: every document that there is.
pub fn document(body: &[u8]) {
    let _ = FunctionDeployment::from_body(body);
    let _ = DeleteRequest::from_body(body);
    let _ = ScaleRequest::from_body(body);
    let _ = FunctionNamespace::from_body(body, None);
    let _ = FunctionNamespace::from_body(body, Some("x"));
    let _ = Secret::from_body(body);
    let _ = scaling::read(body);
    if !body.is_empty() {
        watchdog::content_type(body);
    }
}

/// The target of a request: path and query.
pub fn target(target: &[u8]) {
    // Servers read HTTP before that, and refuse what is no text.
    let Ok(target) = std::str::from_utf8(target) else {
        return;
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let _ = resource(path);
    split_namespace(path);
    for name in ["name", "namespace", "tail"] {
        query_value(Some(query), name);
    }
    let _ = LogRequest::from_query(Some(query), Timestamp::UNIX_EPOCH);
}

/// Words of deployments and headers, one in each line: image references, quantities, times, addresses, settings.
pub fn words(words: &[u8]) {
    let Ok(words) = std::str::from_utf8(words) else {
        return;
    };
    let mut environment = Vec::new();
    for word in words.lines() {
        let _ = reference::parse(word);
        let _ = quantity::parse(word);
        let _ = quantity::amount(word);
        let _ = parse_duration(word);
        let _ = check_url(word);
        if let Some((name, value)) = word.split_once('=') {
            environment.push((name.to_owned(), value.to_owned()));
        }
    }
    for kind in [WatchdogMode::Classic, WatchdogMode::OfWatchdog] {
        watchdog::Settings::from_environment(&environment, kind).introduction();
    }
    let mut headers = http::HeaderMap::new();
    if let Ok(value) = http::HeaderValue::from_str(words) {
        headers.insert(http::header::AUTHORIZATION, value);
    }
    Credentials::new("admin", "secret").admit(&headers);
}

/// The manifest of an image.
pub fn manifest(text: &[u8]) {
    if let Ok(text) = std::str::from_utf8(text) {
        let _ = serde_yaml::from_str::<Image>(text);
    }
}
