//! The classic watchdog's rules that no recording shows, or that depend on the distribution's own programs.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::io::Write;
use std::time::{Duration, Instant};

use common::{Platform, Reply, connect, eventually, exchange, function, is_alive, read_reply};
use dfaas_faas::{FunctionDeployment, Options};

#[test]
fn exit_status_comes_with_the_output() {
    let platform = Platform::with(&[
        function("both", "ls / /nonexistent", &[]),
        function("out", "ls / /nonexistent", &[("combine_output", "false")]),
    ]);
    let both = platform.post("/function/both", b"x");
    assert_eq!(both.status, 500);
    assert!(both.text().starts_with("exit status 2\n"), "{}", both.text());
    assert!(both.text().contains("No such file or directory") && both.text().contains("\nusr\n"));
    assert_eq!(both.header("X-Duration-Seconds"), None, "only a success has it");
    let out = platform.post("/function/out", b"x");
    assert_eq!(out.status, 500);
    assert!(
        out.text().contains("\nusr\n") && !out.text().contains("No such file"),
        "{}",
        out.text()
    );
}

/// Programs with arguments that have spaces come from a script file: `fprocess` knows no quoting.
fn script(directory: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    format!("sh {}", path.display())
}

#[test]
fn output_is_in_the_order_of_writing() {
    let directory = tempfile::tempdir().unwrap();
    let command = script(&directory, "mixed", "echo a; echo b >&2; echo c");
    let platform = Platform::with(&[function("mixed", &command, &[])]);
    assert_eq!(platform.get("/function/mixed").text(), "a\nb\nc\n");
}

#[test]
fn a_killed_process_is_named_by_its_signal() {
    let directory = tempfile::tempdir().unwrap();
    let kill = script(&directory, "kill", "kill -9 $$");
    let terminate = script(&directory, "terminate", "echo before; kill -15 $$");
    let platform = Platform::with(&[
        function("kill", &kill, &[]),
        function("terminate", &terminate, &[]),
    ]);
    let killed = platform.get("/function/kill");
    assert_eq!((killed.status, killed.text().as_str()), (500, "signal: killed\n"));
    assert_eq!(
        platform.get("/function/terminate").text(),
        "signal: terminated\nbefore\n"
    );
}

#[test]
fn what_cannot_be_executed_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plain");
    std::fs::write(&path, "no program").unwrap();
    let plain = path.display().to_string();
    let platform = Platform::with(&[
        function("missing", "/no/such/program", &[]),
        function("plain", &plain, &[]),
        function("env", "env", &[]),
    ]);
    assert_eq!(
        platform.get("/function/missing").text(),
        "fork/exec /no/such/program: no such file or directory\n"
    );
    let refused = platform.get("/function/plain");
    assert_eq!(
        (refused.status, refused.text()),
        (500, format!("fork/exec {plain}: permission denied\n"))
    );
    let long = "x".repeat(140_000);
    let reply = platform.send("GET", "/function/env", &[("X-Long", &long)], b"");
    assert_eq!(reply.text(), "fork/exec /usr/bin/env: argument list too long\n");
}

#[test]
fn exec_timeout_kills_the_whole_group() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let command = script(
        &directory,
        "parent",
        &format!("sleep 1000 & echo $! >{}; wait", pid_file.display()),
    );
    let platform = Platform::with(&[function("parent", &command, &[("exec_timeout", "300ms")])]);
    let started = Instant::now();
    let reply = platform.get("/function/parent");
    assert_eq!((reply.status, reply.text().as_str()), (408, "Killed process.\n"));
    assert!(started.elapsed() >= Duration::from_millis(300));
    let grandchild: u32 = std::fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    eventually("the grandchild has gone", || !is_alive(grandchild));
}

#[test]
fn a_call_leaves_no_process_behind() {
    let directory = tempfile::tempdir().unwrap();
    let command = script(&directory, "leaver", "sleep 1000 >/dev/null 2>&1 & echo $!");
    let platform = Platform::with(&[function("leaver", &command, &[])]);
    let reply = platform.get("/function/leaver");
    assert_eq!(reply.status, 200);
    let left: u32 = reply.text().trim().parse().unwrap();
    eventually("the background process has gone", || !is_alive(left));
}

#[test]
fn a_late_reply_is_not_sent() {
    let platform = Platform::with(&[function("late", "sleep 0.6", &[("write_timeout", "200ms")])]);
    let started = Instant::now();
    let reply = platform.get("/function/late");
    assert!(
        started.elapsed() >= Duration::from_millis(600),
        "cut when the process ends, not at the timeout"
    );
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (500, "Can't reach service for: late.\n")
    );
    assert_eq!(reply.header("X-Openfaas-Internal"), Some("proxy"));
}

/// Observed with a service timeout of 3 s: 502 without a body or a content type.
#[test]
fn the_service_timeout_is_a_bad_gateway() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let command = script(
        &directory,
        "slow",
        &format!("echo $$ >{}; exec sleep 1000", pid_file.display()),
    );
    let platform = Platform::start(Options {
        deployments: vec![function("slow", &command, &[])],
        service_timeout: Duration::from_millis(400),
        ..Options::default()
    });
    let reply = platform.get("/function/slow");
    assert_eq!((reply.status, reply.body.len()), (502, 0));
    assert_eq!(reply.header("Content-Type"), None);
    assert!(reply.header("X-Call-Id").is_some() && reply.header("X-Start-Time").is_some());
    let pid: u32 = std::fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    eventually("the process has gone", || !is_alive(pid));
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let platform = Platform::with(&[function("cat", "cat", &[("read_timeout", "300ms")])]);
    let mut stream = connect(platform.gateway);
    stream
        .write_all(b"POST /function/cat HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        .unwrap();
    assert_eq!(read_reply(&mut stream).status, 400);
}

#[test]
fn bodies_arrive_however_they_are_sent() {
    let platform = Platform::with(&[function("sum", "sha512sum", &[]), function("env", "env", &[])]);
    let abc = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f  -\n";
    assert_eq!(platform.post("/function/sum", b"abc").text(), abc);
    let chunked = b"POST /function/sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
    assert_eq!(common::send_raw(platform.gateway, chunked).text(), abc);
    let chunked =
        b"POST /function/env HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let environment = common::send_raw(platform.gateway, chunked).text();
    assert!(
        environment.contains("\nHttp_Transfer_Encoding=chunked\n"),
        "{environment}"
    );
    assert!(environment.contains("\nHttp_ContentLength=-1\n"), "{environment}");
    let empty = platform.post("/function/env", b"").text();
    assert!(
        empty.contains("\nHttp_ContentLength=0\n") && !empty.contains("Http_Transfer_Encoding"),
        "{empty}"
    );
    assert!(
        empty.contains("\nHttp_User_Agent=Go-http-client/1.1\n"),
        "what Go's client adds: {empty}"
    );
}

#[test]
fn headers_reach_the_function_as_variables() {
    let platform = Platform::with(&[function("env", "env", &[("MINE", "here")])]);
    let headers = [
        ("x-my-header", "one"),
        ("X-My-Header", "two"),
        ("Connection", "x-y"),
        ("TE", "trailers"),
        ("Accept-Encoding", "br"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Call-Id", "mine"),
    ];
    let reply = platform.send("PATCH", "/function/env/a%20b/c?x=%20y", &headers, b"z");
    assert_eq!(reply.header("X-Call-Id"), None, "the client knows its own");
    let text = reply.text();
    let has = |line: &str| text.lines().any(|found| found == line);
    for line in [
        "MINE=here",
        "Http_X_My_Header=one",
        "Http_Accept_Encoding=br",
        "Http_X_Forwarded_For=192.0.2.1",
        "Http_X_Call_Id=mine",
        "Http_Method=PATCH",
        "Http_Path=/a b/c",
        "Http_Query=x=%20y",
    ] {
        assert!(has(line), "{line} in {text}");
    }
    for absent in ["Http_Connection", "Http_Te=", "Http_Host=x", "HOSTNAME", "CARGO"] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
    let nul = platform.get("/function/env/a%00b");
    assert_eq!(
        (nul.status, nul.text().as_str()),
        (500, "exec: environment variable contains NUL\n")
    );
}

#[test]
fn content_types() {
    let directory = tempfile::tempdir().unwrap();
    let html = script(&directory, "html", "echo '<html>'");
    let platform = Platform::with(&[
        function("html", &html, &[]),
        function("cat", "cat", &[]),
        function("fixed", "cat", &[("content_type", "image/png")]),
        function("wrong", "cat", &[("content_type", "a\nb")]),
    ]);
    let kind = |reply: Reply| reply.header("Content-Type").unwrap_or_default().to_owned();
    assert_eq!(kind(platform.get("/function/html")), "text/html; charset=utf-8");
    assert_eq!(
        kind(platform.send("POST", "/function/html", &[("Content-Type", "a/b")], b"x")),
        "a/b"
    );
    assert_eq!(kind(platform.get("/function/cat")), "text/plain");
    assert_eq!(
        kind(platform.post("/function/cat", b"\x00\x01")),
        "application/octet-stream"
    );
    assert_eq!(kind(platform.post("/function/fixed", b"x")), "image/png");
    assert_eq!(
        kind(platform.post("/function/wrong", b"x")),
        "text/plain",
        "a value that no header can have"
    );
}

#[test]
fn a_function_without_command_is_listed_and_cannot_be_reached() {
    let platform = Platform::with(&[function("dead", "", &[])]);
    let status = platform.get("/system/function/dead").text();
    assert!(
        !status.contains("replicas") && !status.contains("envProcess"),
        "{status}"
    );
    let reply = platform.post("/function/dead", b"x");
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (500, "Can't reach service for: dead.\n")
    );
}

#[test]
fn an_update_serves_the_next_call() {
    let platform = Platform::with(&[function("f", "sleep 1", &[])]);
    let gateway = platform.gateway;
    let old = std::thread::spawn(move || exchange(gateway, "GET", "/function/f", &[], b"").status);
    std::thread::sleep(Duration::from_millis(200));
    let update = br#"{"service":"f","image":"cat","labels":{"dfaas.maxrate":"7"}}"#;
    assert_eq!(platform.send("PUT", "/system/functions", &[], update).status, 200);
    assert_eq!(platform.post("/function/f", b"new").text(), "new");
    assert_eq!(
        old.join().unwrap(),
        200,
        "a call in flight ends with the function as it was"
    );
    let delete = platform.send("DELETE", "/system/functions", &[], br#"{"functionName":"f"}"#);
    assert_eq!(delete.status, 200);
    assert_eq!(platform.get("/function/f").status, 404);
    assert_eq!(platform.get("/system/functions").text(), "[]");
}

#[test]
fn functions_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        state_directory: Some(directory.path().join("state")),
        ..Options::default()
    };
    let platform = Platform::start(options.clone());
    let deployment = br#"{"service":"kept","image":"cat","annotations":{"a":"b<c"}}"#;
    assert_eq!(platform.post("/system/functions", deployment).status, 200);
    let before = platform.get("/system/functions").text();
    assert!(before.contains("b\\u003cc"), "{before}");
    platform.shut_down(Duration::from_secs(5));
    let platform = Platform::start(Options {
        deployments: vec![FunctionDeployment {
            service: "added".to_owned(),
            image: "env".to_owned(),
            ..FunctionDeployment::default()
        }],
        ..options
    });
    let after = platform.get("/system/functions").text();
    assert!(after.starts_with(before.trim_end_matches(']')), "{after}");
    assert!(after.contains("\"added\""));
}
