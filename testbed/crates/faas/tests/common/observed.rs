//! Requests and replies observed on the real platform, and how to compare with them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::{Reply, send_raw};

/// One step of a recorded session.
pub(crate) enum Step {
    /// A function, as JSON, to be deployed or updated.
    Deploy(String),
    Exchange {
        request: String,
        reply: String,
    },
}

/// The steps of a recording.
pub(crate) fn steps(recording: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut request = String::new();
    for part in recording.strip_suffix('\n').unwrap().split("\n### ").skip(1) {
        let (kind, content) = part.split_once('\n').unwrap();
        match kind {
            "deploy" => steps.push(Step::Deploy(content.to_owned())),
            "request" => content.clone_into(&mut request),
            "response" => {
                steps.push(Step::Exchange {
                    request: std::mem::take(&mut request),
                    reply: content.to_owned(),
                });
            }
            other => panic!("unknown part {other}"),
        }
    }
    steps
}

/// Repeats every request of a recording and compares the replies.
pub(crate) fn replay(address: SocketAddr, recording: &str) {
    let mut exchanges = 0;
    for step in steps(recording) {
        match step {
            Step::Deploy(function) => deploy(address, &function),
            Step::Exchange { request, reply } => {
                let got = send_raw(address, &wire(&request));
                let observed = Reply::parse(&wire(&reply)).unwrap();
                assert_eq!(normal(&got), normal(&observed), "\nreply to:\n{request}");
                exchanges += 1;
            }
        }
    }
    assert!(exchanges > 0, "the recording is empty");
}

fn deploy(address: SocketAddr, function: &str) {
    let request = |method: &str| {
        let head = format!("{method} /system/functions HTTP/1.1\r\nHost: x\r\n");
        send_raw(
            address,
            format!("{head}Content-Length: {}\r\n\r\n{function}", function.len()).as_bytes(),
        )
    };
    if request("PUT").status == 404 {
        assert_eq!(request("POST").status, 200, "{function}");
    }
}

/// Recorded text with the line ends of the wire in its head.
pub(crate) fn wire(text: &str) -> Vec<u8> {
    let (head, body) = text.split_once("\n\n").unwrap();
    format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n")).into_bytes()
}

/// A reply without what differs from run to run: times, identifiers, addresses, the order of headers, of variables
/// and of functions, and the lengths of bodies with such things in them.
pub(crate) fn normal(reply: &Reply) -> (u16, BTreeSet<String>, BTreeSet<String>) {
    let body = reply.text().replace("0.27.5-mit", "0.27.5");
    let volatile = ["createdAt", "Http_Host", "X-Call-Id", "\"release\"", "fprocess="]
        .iter()
        .any(|mark| body.contains(mark));
    let headers = reply
        .headers
        .iter()
        .filter(|(name, _)| name != "Date" && name != "Connection")
        .map(|(name, value)| match name.as_str() {
            "X-Call-Id" | "X-Start-Time" => format!("{name}: {}", shape(value)),
            "X-Duration-Seconds" => format!("{name}: 0.{}", shape(value.split_once('.').unwrap().1)),
            "Content-Length" if volatile => format!("{name}: *"),
            _ => format!("{name}: {}", value.replace("-mit", "")),
        })
        .collect();
    (reply.status, headers, parts(&body, volatile))
}

/// Digits and letters by kind, so that only the form of a value counts.
fn shape(value: &str) -> String {
    value
        .chars()
        .map(|c| if c.is_ascii_hexdigit() { 'x' } else { c })
        .collect()
}

/// A body as the set of its parts when their order is arbitrary.
fn parts(body: &str, volatile: bool) -> BTreeSet<String> {
    if !volatile {
        return BTreeSet::from([body.to_owned()]);
    }
    if let Some(list) = body.strip_prefix('[') {
        return list
            .trim_end_matches(']')
            .split("},{\"name\"")
            .map(status)
            .collect();
    }
    if body.starts_with("{\"header\"") {
        let mut document = body.to_owned();
        for header in ["X-Call-Id", "X-Forwarded-For", "X-Start-Time"] {
            let (before, after) = document.split_once(&format!("\"{header}\":[\"")).unwrap();
            document = format!("{before}\"{header}\":[\"{}", after.split_once('"').unwrap().1);
        }
        return BTreeSet::from([document]);
    }
    if body.starts_with('{') {
        return BTreeSet::from([status(body)]);
    }
    body.lines()
        .map(|line| match line.split_once('=').unwrap_or((line, "")) {
            (name @ ("Http_X_Call_Id" | "Http_X_Start_Time"), value) => format!("{name}={}", shape(value)),
            (name @ ("Http_Host" | "Http_X_Forwarded_For"), value) => {
                assert!(value.parse::<SocketAddr>().is_ok(), "{line}");
                format!("{name}=*")
            }
            _ => line.to_owned(),
        })
        .collect()
}

/// A function's status without creation time and number of calls.
fn status(entry: &str) -> String {
    let mut kept = entry
        .trim_start_matches("{\"name\"")
        .trim_end_matches('}')
        .to_owned();
    for member in ["\"invocationCount\":", "\"createdAt\":"] {
        if let Some((before, after)) = kept.split_once(member) {
            let rest = after.find(',').map_or("", |comma| &after[comma..]);
            kept = format!("{}{rest}", before.trim_end_matches(','));
        }
    }
    kept
}
