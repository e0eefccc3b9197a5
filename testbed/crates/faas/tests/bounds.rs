//! Functions and clients that behave badly must neither hang nor exhaust the platform.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use common::{Platform, connect, eventually, exchange, function, is_alive};
use dfaas_faas::Options;

const MEBIBYTE: usize = 1 << 20;

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Sends a body of `length` bytes that never exists as a whole; the reply's head.
fn upload(platform: &Platform, path: &str, length: usize) -> (u16, Vec<u8>) {
    let mut stream = connect(platform.gateway);
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let part = vec![b'x'; 64 * 1024];
    for _ in 0..length / part.len() {
        stream.write_all(&part).unwrap();
    }
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).unwrap();
    let reply = common::Reply::parse(&raw).unwrap();
    (reply.status, reply.body)
}

#[test]
fn a_large_body_flows_through() {
    let platform = Platform::with(&[function("count", "wc -c", &[]), function("cat", "cat", &[])]);
    let before = resident();
    assert_eq!(
        upload(&platform, "/function/count", 300 * MEBIBYTE),
        (200, b"314572800\n".to_vec())
    );
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 * MEBIBYTE, "grew by {grown} bytes");
    let (status, body) = upload(&platform, "/function/cat", 5 * MEBIBYTE);
    assert_eq!((status, body.len()), (200, 5 * MEBIBYTE));
}

#[test]
fn a_function_need_not_read_its_body() {
    let platform = Platform::with(&[
        function("deaf", "true", &[]),
        function("sleepy", "sleep 0.3", &[]),
    ]);
    assert_eq!(upload(&platform, "/function/deaf", 8 * MEBIBYTE).0, 200);
    assert_eq!(upload(&platform, "/function/sleepy", 8 * MEBIBYTE).0, 200);
}

#[test]
fn a_function_may_close_its_output_and_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("closer");
    std::fs::write(&script, "echo early; exec >&- 2>&-; sleep 0.4").unwrap();
    let platform = Platform::with(&[function("closer", &format!("sh {}", script.display()), &[])]);
    let started = Instant::now();
    let reply = platform.post("/function/closer", b"x");
    assert_eq!((reply.status, reply.text().as_str()), (200, "early\n"));
    assert!(
        started.elapsed() >= Duration::from_millis(400),
        "a call ends with its process"
    );
}

#[test]
fn endless_output_is_cut() {
    let platform = Platform::start(Options {
        deployments: vec![function("yes", "yes", &[]), function("cat", "cat", &[])],
        max_output: 4 * MEBIBYTE,
        ..Options::default()
    });
    let before = resident();
    for _ in 0..5 {
        let reply = platform.get("/function/yes");
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (500, "output exceeds 4194304 bytes\n")
        );
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 40 * MEBIBYTE, "grew by {grown} bytes");
    assert_eq!(platform.post("/function/cat", b"still here").text(), "still here");
}

#[test]
fn endless_remarks_are_cut() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("talker");
    std::fs::write(&script, "echo answer; yes >&2").unwrap();
    let command = format!("sh {}", script.display());
    let settings = [("combine_output", "false"), ("exec_timeout", "500ms")];
    let platform = Platform::with(&[function("talker", &command, &settings)]);
    assert_eq!(platform.get("/function/talker").status, 408);
}

#[test]
fn all_functions_share_the_memory_for_output() {
    let platform = Platform::start(Options {
        deployments: vec![function("zeros", "head -c 3000000 /dev/zero", &[])],
        output_memory: 2 * MEBIBYTE,
        ..Options::default()
    });
    for _ in 0..3 {
        let reply = platform.get("/function/zeros");
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (500, "output of all functions exceeds 2097152 bytes\n")
        );
    }
}

#[test]
fn a_client_may_go_at_any_time() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let done_file = directory.path().join("done");
    let script = directory.path().join("worker");
    let text = format!(
        "echo $$ >{}; cat >/dev/null; sleep 0.5; echo >{}",
        pid_file.display(),
        done_file.display()
    );
    std::fs::write(&script, text).unwrap();
    let command = format!("sh {}", script.display());
    let platform = Platform::with(&[function("worker", &command, &[("max_inflight", "1")])]);
    let pid = || {
        std::fs::read_to_string(&pid_file)
            .ok()
            .and_then(|pid| pid.trim().parse::<u32>().ok())
    };
    // With the whole body sent, the process goes on to its end, and its place is taken until then.
    let mut stream = connect(platform.gateway);
    stream
        .write_all(b"POST /function/worker HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
        .unwrap();
    eventually("the process has started", || pid().is_some());
    drop(stream);
    assert_eq!(platform.post("/function/worker", b"x").status, 429);
    eventually("the process has ended its work", || done_file.exists());
    eventually("its place is free", || {
        platform.send("HEAD", "/function/worker", &[], b"").status == 405
    });
    std::fs::remove_file(&pid_file).unwrap();
    std::fs::remove_file(&done_file).unwrap();
    // With the body broken off, there is nothing to work on.
    let mut stream = connect(platform.gateway);
    stream
        .write_all(b"POST /function/worker HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
        .unwrap();
    stream.write_all(&[b'x'; 200_000]).unwrap();
    eventually("the process has started", || pid().is_some());
    let worker = pid().unwrap();
    drop(stream);
    eventually("the process is killed", || !is_alive(worker));
    assert!(!done_file.exists());
    eventually("its place is free", || {
        platform.send("HEAD", "/function/worker", &[], b"").status == 405
    });
}

#[test]
fn calls_beyond_the_process_limit_wait() {
    let platform = Platform::start(Options {
        deployments: vec![function("nap", "sleep 0.2", &[])],
        max_processes: 2,
        ..Options::default()
    });
    let started = Instant::now();
    let gateway = platform.gateway;
    let calls: Vec<_> = (0..6)
        .map(|_| std::thread::spawn(move || exchange(gateway, "GET", "/function/nap", &[], b"").status))
        .collect();
    assert!(calls.into_iter().all(|call| call.join().unwrap() == 200));
    assert!(started.elapsed() >= Duration::from_millis(600), "two at a time");
}

#[test]
fn many_calls_at_once_leave_nothing() {
    let platform = Platform::with(&[function("cat", "cat", &[])]);
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let gateway = platform.gateway;
    let round = || {
        let calls: Vec<_> = (0..32)
            .map(|number: u32| {
                std::thread::spawn(move || {
                    let body = number.to_string().repeat(5000);
                    let reply = exchange(gateway, "POST", "/function/cat", &[], body.as_bytes());
                    assert_eq!(reply.text(), body);
                })
            })
            .collect();
        for call in calls {
            call.join().unwrap();
        }
    };
    round();
    let before = descriptors();
    for _ in 0..5 {
        round();
    }
    eventually("descriptors are closed", || descriptors() <= before);
}

/// Children of this process that have ended and not been waited for.
fn zombies() -> usize {
    let own = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").unwrap();
    let stats = entries.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let mut fields = stat
                .rsplit_once(") ")
                .map(|(_, rest)| rest.split(' '))
                .into_iter()
                .flatten();
            fields.next() == Some("Z") && fields.next() == Some(&own)
        })
        .count()
}

#[test]
fn killed_processes_are_reaped() {
    let platform = Platform::with(&[function("slow", "sleep 1000", &[("exec_timeout", "50ms")])]);
    let gateway = platform.gateway;
    let calls: Vec<_> = (0..20)
        .map(|_| std::thread::spawn(move || exchange(gateway, "GET", "/function/slow", &[], b"").status))
        .collect();
    assert!(calls.into_iter().all(|call| call.join().unwrap() == 408));
    eventually("no zombie is left", || zombies() == 0);
}

#[test]
fn old_and_patient_clients_are_served() {
    let platform = Platform::with(&[function("cat", "cat", &[])]);
    // As a load balancer's health check asks.
    let mut stream = connect(platform.gateway);
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).unwrap();
    assert_eq!(common::Reply::parse(&raw).unwrap().status, 200);
    // Many requests on one connection, the last with the permission to send its body.
    let mut stream = connect(platform.gateway);
    for _ in 0..3 {
        stream
            .write_all(b"POST /function/cat HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
            .unwrap();
        assert_eq!(common::read_reply(&mut stream).body, b"hi");
    }
    let expecting =
        b"POST /function/cat HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(expecting).unwrap();
    assert_eq!(common::read_reply(&mut stream).status, 100);
    stream.write_all(b"ok").unwrap();
    assert_eq!(common::read_reply(&mut stream).body, b"ok");
}

#[test]
fn documents_are_bounded() {
    let platform = Platform::with(&[]);
    let large = vec![b' '; 5 * MEBIBYTE];
    let reply = platform.post("/system/functions", &large);
    assert_eq!(reply.status, 413);
    let deep = "[".repeat(500_000);
    assert_eq!(
        platform.post("/system/functions", deep.as_bytes()).text(),
        "exceeded max depth\n"
    );
}

#[test]
fn names_and_headers_are_bounded() {
    let platform = Platform::with(&[function("cat", "cat", &[])]);
    let long = "x".repeat(MEBIBYTE);
    let deploy = |name: &str| {
        let body = format!(r#"{{"service":"{name}","image":"cat"}}"#);
        platform.post("/system/functions", body.as_bytes())
    };
    let refused = deploy(&long);
    assert_eq!(refused.status, 400);
    assert!(
        refused
            .text()
            .contains("greater than maximum length (76 characters)"),
        "{} bytes",
        refused.body.len()
    );
    let path = |length: usize| format!("/function/{}", &long[..length]);
    assert_eq!(platform.get(&path(60_000)).status, 404);
    assert_eq!(platform.get(&path(100_000)).status, 414);
    // Most of it is still on its way when it is refused, so that the answer may be lost.
    let mut flood = connect(platform.gateway);
    let _ = flood.write_all(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path(MEBIBYTE)).as_bytes());
    drop(flood);
    let headers: Vec<(String, String)> = (0..150)
        .map(|number| (format!("X-Header-{number}"), "x".to_owned()))
        .collect();
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(platform.send("POST", "/function/cat", &headers, b"x").status, 431);
    assert_eq!(
        platform
            .send("POST", "/function/cat", &headers[..90], b"x")
            .text(),
        "x"
    );
    let body = br#"{"functionName":"../../etc/passwd","namespace":"../x"}"#;
    let removed = platform.send("DELETE", "/system/functions", &[], body);
    assert_eq!(
        (removed.status, removed.text().as_str()),
        (400, "namespace not valid\n")
    );
}

#[test]
fn slow_clients_hold_up_nobody() {
    let platform = Platform::with(&[function("cat", "cat", &[("max_inflight", "4")])]);
    let mut slow: Vec<_> = (0..300).map(|_| connect(platform.gateway)).collect();
    // Half of them stay in the head, the others in the body, of which the function has not seen a byte.
    for (number, stream) in slow.iter_mut().enumerate() {
        let part: &[u8] = match number % 2 {
            0 => b"POST /function/cat HTTP/1.1\r\nHost: x\r\nX-Slow: ",
            _ => b"POST /system/functions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        };
        stream.write_all(part).unwrap();
    }
    for _ in 0..20 {
        assert_eq!(platform.post("/function/cat", b"x").text(), "x");
    }
    for stream in slow.iter_mut().step_by(2) {
        stream.write_all(b"y").unwrap();
    }
    assert_eq!(platform.post("/function/cat", b"x").text(), "x");
}

/// Requests whose length can be understood in two ways: whoever stands before the platform may have understood the other.
#[test]
fn no_request_hides_in_another() {
    let platform = Platform::with(&[function("cat", "cat", &[])]);
    let hidden = "GET /function/cat HTTP/1.1\r\nHost: x\r\n\r\n";
    for (framing, body, expected) in [
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "12345", 400),
        ("Content-Length: 5, 6\r\n", "12345", 400),
        ("Content-Length: +5\r\n", "12345", 400),
        ("Content-Length: 0x5\r\n", "12345", 400),
        ("Content-Length: -1\r\n", "", 400),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n", 400),
        (" Transfer-Encoding: chunked\r\n", "0\r\n\r\n", 400),
    ] {
        let request = format!("POST /function/cat HTTP/1.1\r\nHost: x\r\n{framing}\r\n{body}{hidden}");
        let mut stream = connect(platform.gateway);
        stream.write_all(request.as_bytes()).unwrap();
        let mut raw = Vec::new();
        // The connection ends with the refusal, so what hides behind it is never read.
        let _ = stream.read_to_end(&mut raw);
        let reply = common::Reply::parse(&raw).unwrap();
        assert_eq!(reply.status, expected, "{framing:?}");
        assert_eq!(
            String::from_utf8_lossy(&raw).matches("HTTP/1.1 ").count(),
            1,
            "{framing:?}"
        );
    }
    assert_eq!(platform.post("/function/cat", b"x").text(), "x");
}
