//! The request as environment variables, as the classic watchdog hands it to a program.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::Invocation;

/// Headers that end at this hop or that the platform's own HTTP client rewrites.
const NOT_PASSED: &[&str] = &[
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
    "expect",
];

/// Where the function believes to be reached: in the real container its own address, here the loopback.
const FUNCTION_HOST: &str = "127.0.0.1:8080";

/// The headers a function sees: the request's first values under their canonical names, and what the
/// proxies in between add.
pub(crate) fn passed_headers(invocation: &Invocation) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut passed: Vec<(String, Vec<Vec<u8>>)> = Vec::with_capacity(invocation.headers.len() + 8);
    for name in invocation.headers.keys() {
        if NOT_PASSED.contains(&name.as_str()) {
            continue;
        }
        let values = invocation
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect();
        passed.push((canonical(name.as_str()), values));
    }
    let mut add = |name: &str, value: &[u8]| {
        if !value.is_empty() && !passed.iter().any(|(present, _)| present == name) {
            passed.push((name.to_owned(), vec![value.to_vec()]));
        }
    };
    add("Accept-Encoding", b"gzip");
    add("User-Agent", b"Go-http-client/1.1");
    add("X-Forwarded-For", invocation.peer.to_string().as_bytes());
    add("X-Forwarded-Host", invocation.host.as_bytes());
    if let Some(mark) = &invocation.mark {
        add("X-Call-Id", mark.call_id.as_bytes());
        add("X-Start-Time", mark.start_time.as_bytes());
    }
    passed
}

/// `Http_*` variables of a request, as `NAME=value`.
pub(crate) fn cgi_variables(invocation: &Invocation) -> Vec<OsString> {
    let mut variables: Vec<OsString> = Vec::with_capacity(24);
    let mut add = |name: &str, value: &[u8]| {
        variables.push(OsString::from_vec([name.as_bytes(), b"=", value].concat()));
    };
    for (name, values) in passed_headers(invocation) {
        let first = values.into_iter().next().unwrap_or_default();
        add(&format!("Http_{}", name.replace('-', "_")), &first);
    }
    add("Http_Method", invocation.method.as_str().as_bytes());
    // The proxies pass every body on in chunks, so its length is lost on the way.
    let length: &[u8] = if invocation.has_body { b"-1" } else { b"0" };
    add("Http_ContentLength", length);
    add("Http_Content_Length", length);
    if invocation.has_body {
        add("Http_Transfer_Encoding", b"chunked");
    }
    if let Some(query) = invocation.query.as_deref().filter(|query| !query.is_empty()) {
        add("Http_Query", query.as_bytes());
    }
    add("Http_Path", &invocation.path);
    add("Http_Host", FUNCTION_HOST.as_bytes());
    variables
}

/// `x-my-header` → `X-My-Header`.
fn canonical(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|character| {
            let shown = if upper {
                character.to_ascii_uppercase()
            } else {
                character
            };
            upper = character == '-';
            shown
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn header_names_are_canonical() {
        assert_eq!(canonical("x-my-header"), "X-My-Header");
        assert_eq!(canonical("etag"), "Etag");
        assert_eq!(canonical("x--y"), "X--Y");
    }
}
