use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::Full;

use super::error::LoadError;
use super::plan::LoadFlow;

const AGENT_NAME: &str = concat!("dfaas-testbed/", env!("CARGO_PKG_VERSION"));

/// A flow's request, checked once so that sending it cannot fail on the user's text.
#[derive(Debug)]
pub(super) struct RequestTemplate {
    method: Method,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
    recorded: Vec<(HeaderName, String)>,
}

impl RequestTemplate {
    pub(super) fn new(flow: &LoadFlow) -> Result<RequestTemplate, LoadError> {
        let unsendable = |what, value: &str, reason: &dyn std::fmt::Display| LoadError::Unsendable {
            flow: flow.name.clone(),
            what,
            value: value.to_owned(),
            reason: reason.to_string(),
        };
        let name_of = |name: &str| {
            HeaderName::from_bytes(name.as_bytes()).map_err(|error| unsendable("header name", name, &error))
        };
        let method = Method::from_bytes(flow.method.as_bytes())
            .map_err(|error| unsendable("method", &flow.method, &error))?;
        let path: Uri = flow
            .path
            .parse()
            .map_err(|error| unsendable("path", &flow.path, &error))?;
        if !flow.path.starts_with('/') {
            return Err(unsendable("path", &flow.path, &"it must start with `/`"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT_NAME));
        let host =
            HeaderValue::from_str(&flow.host).map_err(|error| unsendable("host", &flow.host, &error))?;
        headers.insert(HOST, host);
        let mut given = HeaderMap::new();
        for (name, text) in &flow.headers {
            let value =
                HeaderValue::from_str(text).map_err(|error| unsendable("header value", text, &error))?;
            given.append(name_of(name)?, value);
        }
        // Replaces the two above where the user gives their own.
        headers.extend(given);
        let recorded = flow
            .recorded_headers
            .iter()
            .map(|name| Ok((name_of(name)?, name.clone())))
            .collect::<Result<_, LoadError>>()?;
        Ok(RequestTemplate {
            method,
            path,
            headers,
            body: Bytes::from(flow.body.clone()),
            recorded,
        })
    }

    /// A fresh request.
    pub(super) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Bytes of the request's body.
    pub(super) fn body_length(&self) -> u64 {
        self.body.len() as u64
    }

    /// Those of a response's headers that the plan asks for.
    pub(super) fn recorded(&self, headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::new();
        for (name, spelling) in &self.recorded {
            let values: Vec<String> = headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            if !values.is_empty() {
                found.insert(spelling.clone(), values);
            }
        }
        found
    }
}
