//! of-watchdog's modes against what was observed of the real one (0.10.10), here behind the provider.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::time::Duration;

use common::{Platform, Reply, eventually, exchange, function};
use dfaas_faas::{FunctionDeployment, Options};
use tempfile::TempDir;

/// A platform with an image that has of-watchdog and nothing else.
fn platform(deployments: &[FunctionDeployment]) -> (Platform, TempDir) {
    let images = tempfile::tempdir().unwrap();
    let folder = images.path().join("ofw");
    std::fs::create_dir_all(folder.join("public/sub")).unwrap();
    let manifest = "description: for tests\nwatchdog: of-watchdog\n";
    std::fs::write(folder.join("image.yaml"), manifest).unwrap();
    for (file, content) in [
        ("a.css", "p {}\n"),
        ("index.html", "<p>hi</p>\n"),
        ("sub/x", "plain\n"),
    ] {
        std::fs::write(folder.join("public").join(file), content).unwrap();
    }
    let public = folder.join("public").display().to_string();
    let deployments = deployments.iter().cloned().map(|mut deployment| {
        deployment.image = "ofw".to_owned();
        if deployment.env_vars.contains_key("static_path") {
            deployment
                .env_vars
                .insert("static_path".to_owned(), public.clone());
        }
        deployment
    });
    let platform = Platform::start(Options {
        deployments: deployments.collect(),
        images: Some(images.path().to_owned()),
        ..Options::default()
    });
    (platform, images)
}

fn call(platform: &Platform, path: &str, body: &[u8]) -> Reply {
    let method = if body.is_empty() { "GET" } else { "POST" };
    exchange(platform.provider, method, &format!("/function/{path}"), &[], body)
}

/// The texts of a function's log without their times.
fn log(platform: &Platform, name: &str) -> Vec<String> {
    let text = exchange(
        platform.provider,
        "GET",
        &format!("/system/logs?name={name}"),
        &[],
        b"",
    )
    .text();
    let messages = text.lines().filter(|line| line.starts_with('{'));
    messages
        .map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).unwrap();
            message["text"].as_str().unwrap()[20..].to_owned()
        })
        .collect()
}

/// A line about a request, without its time.
fn has_line(platform: &Platform, name: &str, line: &str) -> bool {
    log(platform, name)
        .iter()
        .any(|logged| logged == line || logged.rsplit_once(" (").is_some_and(|(rest, _)| rest == line))
}

const OCTETS: Option<&str> = Some("application/octet-stream");

#[test]
fn streaming_is_always_200() {
    let (platform, _images) = platform(&[
        function("cat", "cat", &[]),
        function("late", "sleep 3", &[("exec_timeout", "300ms")]),
        function("wrong", "ls /nonexist", &[("mode", "streaming")]),
        function("none", "no-such-program", &[]),
        function("much", "head -c 3000000 /dev/zero", &[]),
    ]);
    let reply = call(&platform, "cat", b"hello");
    assert_eq!((reply.status, reply.header("Content-Type")), (200, OCTETS));
    assert_eq!(
        (reply.header("Content-Length"), reply.text().as_str()),
        (Some("5"), "hello")
    );
    assert_eq!(reply.header("X-Duration-Seconds"), None);
    let expected = [
        "Version: 0.10.10\tSHA: 467ba069d6b200d6a414075cf6e09ed53fb48e10",
        "Watchdog mode: streaming\tfprocess: \"cat\"",
        "Timeouts: read: 30s write: 30s hard: 30s health: 30s",
        "Listening on port: 8080",
        "Writing lock-file to: /tmp/.lock",
        "Metrics listening on port: 8081",
        "Started logging: stderr from function.",
    ];
    assert_eq!(log(&platform, "cat")[..7], expected);
    eventually("the line", || {
        has_line(&platform, "cat", "POST / - 200 - ContentLength: 5B")
    });
    for (name, line, before) in [
        ("late", "POST / - 500 - ContentLength: 0B", "signal: killed"),
        ("wrong", "POST / - 500 - ContentLength: 0B", "exit status 2"),
    ] {
        let reply = call(&platform, name, b"hello");
        assert_eq!(
            (reply.status, reply.header("Content-Length")),
            (200, Some("0")),
            "{name}"
        );
        eventually(line, || {
            has_line(&platform, name, line) && has_line(&platform, name, before)
        });
    }
    let stderr = "stderr: ls: cannot access '/nonexist': No such file or directory";
    assert!(has_line(&platform, "wrong", stderr));
    assert_eq!(call(&platform, "none", b"x").status, 200);
    let much = call(&platform, "much", b"x");
    assert_eq!(much.header("Transfer-Encoding"), Some("chunked"));
    assert!(much.body.len() > 3_000_000);
}

#[test]
fn serializing_tells_failures() {
    let (platform, _images) = platform(&[
        function(
            "cat",
            "cat",
            &[("mode", "serializing"), ("content_type", "application/json")],
        ),
        function("wrong", "ls /nonexist", &[("mode", "serializing")]),
        function(
            "late",
            "sleep 3",
            &[("mode", "serializing"), ("exec_timeout", "300ms")],
        ),
    ]);
    for (name, status, kind, body, line) in [
        (
            "cat",
            200,
            Some("application/json"),
            "hello",
            "POST / - 200 - ContentLength: 5B",
        ),
        (
            "wrong",
            500,
            OCTETS,
            "exit status 2",
            "POST / - 200 - ContentLength: 13B",
        ),
        (
            "late",
            500,
            OCTETS,
            "signal: killed",
            "POST / - 200 - ContentLength: 14B",
        ),
    ] {
        let reply = call(&platform, name, b"hello");
        assert_eq!(
            (reply.status, reply.header("Content-Type")),
            (status, kind),
            "{name}"
        );
        assert_eq!(reply.text(), body);
        assert!(reply.header("X-Duration-Seconds").is_some());
        assert!(has_line(&platform, name, line), "{:?}", log(&platform, name));
    }
    let short = [("X-Timeout", "100ms")];
    let reply = exchange(platform.provider, "POST", "/function/late", &short, b"x");
    let taken: f64 = reply.header("X-Duration-Seconds").unwrap().parse().unwrap();
    assert!((0.1..0.3).contains(&taken), "{taken}");
}

#[test]
fn http_functions_are_one_process() {
    let http = [
        ("mode", "http"),
        ("upstream_url", "http://127.0.0.1:18095"),
        ("port", "18095"),
    ];
    let (platform, _images) = platform(&[function("echo", "dfaas-faas function echo", &http)]);
    let reply = call(&platform, "echo/p%20q?x=y", b"hello");
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    assert_eq!(reply.header("X-Path"), Some("/p%20q?x=y"));
    let pid = reply.header("X-Process").map(str::to_owned);
    assert!(pid.is_some() && reply.header("X-Duration-Seconds").is_some());
    assert_eq!(
        call(&platform, "echo", b"again").header("X-Process"),
        pid.as_deref()
    );
    assert!(has_line(
        &platform,
        "echo",
        "POST /p q?x=y - 200 OK - ContentLength: 5B"
    ));
    assert_eq!(
        log(&platform, "echo")[1],
        "Forking: dfaas-faas, arguments: [function echo]"
    );
    let large = vec![b'x'; 5_000_000];
    assert_eq!(call(&platform, "echo", &large).body, large);
}

#[test]
fn http_functions_fail_as_observed() {
    let http = |port: &'static str| {
        [
            ("mode", "http"),
            ("upstream_url", port),
            ("exec_timeout", "300ms"),
            ("port", "18096"),
        ]
    };
    let (platform, _images) = platform(&[
        function(
            "nobody",
            "sleep 100",
            &[("mode", "http"), ("upstream_url", "http://127.0.0.1:18097")],
        ),
        function("ends", "false", &http("http://127.0.0.1:18098")),
        function(
            "slow",
            "dfaas-faas function echo",
            &http("http://127.0.0.1:18096"),
        ),
    ]);
    let refused = call(&platform, "nobody", b"x");
    assert_eq!(
        (refused.status, refused.header("Content-Length")),
        (500, Some("0"))
    );
    assert_eq!(refused.header("X-Openfaas-Internal"), Some("of-watchdog"));
    assert!(refused.header("X-Duration-Seconds").is_some());
    let line = "Upstream HTTP request error: Post \"http://127.0.0.1:18097/\": dial tcp 127.0.0.1:18097: connect: connection refused";
    assert!(
        has_line(&platform, "nobody", line),
        "{:?}",
        log(&platform, "nobody")
    );
    eventually("its end is told", || {
        has_line(&platform, "ends", "Forked function has terminated: exit status 1")
    });
    let status = platform.get("/system/function/ends").text();
    assert!(!status.contains("replicas"), "{status}");
    let headers = [("X-Delay", "2s")];
    let late = exchange(platform.provider, "POST", "/function/slow", &headers, b"x");
    assert_eq!(
        (late.status, late.header("X-Openfaas-Internal")),
        (504, Some("of-watchdog"))
    );
    assert!(has_line(
        &platform,
        "slow",
        "Upstream HTTP killed due to exec_timeout: 300ms"
    ));
}

#[test]
fn limits_and_health() {
    let (platform, _images) = platform(&[
        function("busy", "sleep 0.7", &[("max_inflight", "1")]),
        function("free", "cat", &[]),
    ]);
    let provider = platform.provider;
    let first = std::thread::spawn(move || exchange(provider, "GET", "/function/busy", &[], b"").status);
    std::thread::sleep(Duration::from_millis(200));
    let busy = call(&platform, "busy", b"");
    assert_eq!(busy.status, 429);
    assert_eq!(
        busy.text(),
        "Concurrent request limit exceeded. Max concurrent requests: 1\n"
    );
    assert_eq!(call(&platform, "busy/_/ready", b"").status, 429);
    let health = call(&platform, "busy/_/health", b"");
    assert_eq!((health.status, health.text().as_str()), (200, "OK"));
    assert_eq!(call(&platform, "busy/_/health", b"x").status, 405);
    assert_eq!(call(&platform, "free/_/ready", b"").status, 200);
    assert_eq!(first.join().unwrap(), 200);
}

#[test]
fn files_are_served() {
    let (platform, _images) = platform(&[function("files", "", &[("mode", "static"), ("static_path", "")])]);
    let style = call(&platform, "files/a.css", b"");
    assert_eq!((style.status, style.text().as_str()), (200, "p {}\n"));
    assert_eq!(style.header("Content-Type"), Some("text/css; charset=utf-8"));
    let since = [("If-Modified-Since", style.header("Last-Modified").unwrap())];
    let again = exchange(platform.provider, "GET", "/function/files/a.css", &since, b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(call(&platform, "files/", b"").text(), "<p>hi</p>\n");
    assert_eq!(call(&platform, "files/sub", b"").header("Location"), Some("sub/"));
    assert_eq!(call(&platform, "files/sub/x", b"").text(), "plain\n");
    for path in [
        "files/none",
        "files/..%2Fimage.yaml",
        "files/sub/",
        "files/../../../etc/passwd",
    ] {
        let reply = call(&platform, path, b"");
        assert!((400..=404).contains(&reply.status), "{path}: {}", reply.status);
    }
}
