//! Asynchronous calls and logs against what was observed on the real platform.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use common::observed::replay;
use common::{Platform, connect, eventually, exchange, function};
use dfaas_faas::Options;

const ASYNC: &str = include_str!("data/async.txt");

/// A callback that came in: path, headers, body.
struct Callback {
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Callback {
    fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// Takes callbacks on a port of its own.
fn receiver() -> (SocketAddr, mpsc::Receiver<Callback>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, callbacks) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                while let Some(callback) = read_callback(&mut stream) {
                    stream
                        .get_mut()
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        .unwrap();
                    if sender.send(callback).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, callbacks)
}

fn read_callback(stream: &mut impl BufRead) -> Option<Callback> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let mut callback = Callback {
        path,
        headers,
        body: String::new(),
    };
    let mut body = vec![0; callback.header("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    callback.body = String::from_utf8(body).unwrap();
    Some(callback)
}

#[test]
fn results_are_posted_as_observed() {
    let platform = Platform::with(&[function("shasum", "sha512sum", &[])]);
    let (address, callbacks) = receiver();
    replay(
        platform.gateway,
        &ASYNC.replace("127.0.0.1:9098", &address.to_string()),
    );
    let digest = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f  -\n";
    let unknown = "error finding function nofn.openfaas-fn: server returned non-200 status code (404) for function, nofn, body: ";
    let form = "application/x-www-form-urlencoded";
    for (path, name, status, kind, body) in [
        ("/cb1", "shasum", "200", form, digest),
        ("/cb2", "shasum.openfaas-fn", "200", form, digest),
        ("/cb3", "nofn", "404", "text/plain; charset=utf-8", unknown),
    ] {
        let callback = callbacks.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(callback.path, path, "first in, first out");
        assert_eq!(callback.header("X-Function-Name"), name);
        assert_eq!(callback.header("X-Function-Status"), status);
        assert_eq!(callback.header("Content-Type"), kind);
        assert_eq!(callback.header("User-Agent"), "Go-http-client/1.1");
        assert_eq!(callback.header("Accept-Encoding"), "gzip");
        assert_eq!(callback.header("Host"), address.to_string());
        assert!(callback.header("X-Duration-Seconds").parse::<f64>().unwrap() > 0.0);
        assert_eq!(callback.header("X-Served-By").is_empty(), status == "404");
        assert_eq!(callback.header("X-Start-Time").is_empty(), status == "404");
        assert_eq!(callback.header("X-Call-Id") == "my-id", path == "/cb2");
        assert!(!callback.header("X-Call-Id").is_empty() && !callback.header("Date").is_empty());
        assert_eq!(callback.body, body);
    }
}

#[test]
fn the_queue_takes_what_the_broker_takes() {
    let platform = Platform::with(&[function("wc", "wc -c", &[])]);
    let (address, callbacks) = receiver();
    let url = format!("http://{address}/");
    let send = |length: usize| {
        let headers = [("X-Callback-Url", url.as_str())];
        platform.send("POST", "/async-function/wc/p?a=b", &headers, &vec![b'x'; length])
    };
    assert_eq!(send(700_000).status, 202);
    let refused = send(800_000);
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (500, "nats: maximum payload exceeded\n")
    );
    assert_eq!(
        callbacks.recv_timeout(Duration::from_secs(30)).unwrap().body,
        "700000\n"
    );
    let without = Platform::start(Options {
        queue: false,
        ..Options::default()
    });
    assert_eq!(without.post("/async-function/wc", b"").status, 404);
}

#[test]
fn a_stopping_platform_runs_what_is_queued() {
    let platform = Platform::with(&[function("slow", "sleep 0.2", &[])]);
    let (address, callbacks) = receiver();
    let url = format!("http://{address}/");
    for _ in 0..3 {
        let headers = [("X-Callback-Url", url.as_str())];
        assert_eq!(
            platform
                .send("POST", "/async-function/slow", &headers, b"")
                .status,
            202
        );
    }
    platform.shut_down(Duration::from_secs(20));
    let arrived: Vec<Callback> = callbacks.try_iter().collect();
    assert_eq!(arrived.len(), 3);
    assert!(
        arrived
            .iter()
            .all(|callback| callback.header("X-Function-Status") == "200")
    );
}

/// The texts of a log, without the time in front.
fn texts(log: &str) -> Vec<String> {
    log.lines()
        .map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = message["text"].as_str().unwrap();
            assert!(
                text.as_bytes()[4] == b'/' && text.as_bytes()[19] == b' ',
                "{text}"
            );
            text[20..].to_owned()
        })
        .collect()
}

#[test]
fn logs_are_the_watchdogs() {
    let platform = Platform::with(&[function("sha", "sha512sum", &[])]);
    platform.post("/function/sha", b"abc");
    let reply = platform.get("/system/logs?name=sha&tail=-1&follow=false");
    assert_eq!(reply.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("Transfer-Encoding"), Some("chunked"));
    let reply = exchange(platform.provider, "GET", "/system/logs?name=sha", &[], b"");
    assert_eq!(reply.header("Content-Type"), Some("application/x-ndjson"));
    let lines = texts(&dechunk(&reply.text()));
    let expected = [
        "Version: 0.3.3\tSHA: bf545828573185cd03ebc60254ba3d01d6bbcc5b",
        "Timeouts: read: 30s write: 30s hard: 0s health: 30s.",
        "Listening on port: 8080",
        "Writing lock-file to: /tmp/.lock",
        "Metrics listening on port: 8081",
        "Forking fprocess.",
    ];
    assert_eq!(lines[..6], expected);
    assert!(
        lines[6].starts_with("Wrote 132 Bytes - Duration: 0.") && lines[6].ends_with('s'),
        "{lines:?}"
    );
    let two = platform.get("/system/logs?name=sha&tail=2").text();
    assert_eq!(texts(&dechunk(&two)), expected[..2], "the first, as the original");
    let since = "/system/logs?name=sha&since=2000-01-01T00%3A00%3A00Z";
    assert_eq!(texts(&dechunk(&platform.get(since).text())).len(), 7);
    let refused = exchange(platform.provider, "GET", "/system/logs?name=sha&tail=x", &[], b"");
    assert_eq!(refused.status, 422);
}

/// The content of a chunked body.
fn dechunk(body: &str) -> String {
    let (mut rest, mut content) = (body, String::new());
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        content.push_str(&after[..length]);
        rest = &after[length + 2..];
    }
    content
}

#[test]
fn followers_see_lines_as_they_come() {
    let platform = Platform::with(&[function("cat", "cat", &[])]);
    let mut stream = connect(platform.gateway);
    stream
        .write_all(b"GET /system/logs?name=cat&follow=true HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut received = String::new();
    let mut reader = stream.try_clone().unwrap();
    let mut read = |until: &str| {
        let mut part = [0; 4096];
        while !received.contains(until) {
            let length = reader.read(&mut part).unwrap();
            assert!(length > 0, "{received}");
            received.push_str(&String::from_utf8_lossy(&part[..length]));
        }
    };
    read("Metrics listening");
    platform.post("/function/cat", b"x");
    read("Wrote 1 Bytes");
    // A follower of something that is not there yet waits for it.
    drop(stream);
    let mut early = connect(platform.gateway);
    early
        .write_all(b"GET /system/logs?name=later&follow=true HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let body = br#"{"service":"later","image":"cat"}"#;
    assert_eq!(platform.post("/system/functions", body).status, 200);
    let mut text = String::new();
    eventually("the new function's lines come", || {
        let mut part = [0; 4096];
        let length = early.read(&mut part).unwrap();
        text.push_str(&String::from_utf8_lossy(&part[..length]));
        text.contains("Listening on port")
    });
}
