//! The load generator against a real HTTP server on loopback.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking and speaks to people"
)]

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Received, Server, reply};
use dfaas_experiment::load::{Arrivals, LoadError, LoadFlow, LoadPlan, LoadRow, Phase, check, generate};
use tokio::sync::watch;

/// Time between making the plan and its t = 0.
const LEAD: Duration = Duration::from_millis(100);

fn flow(target: SocketAddr, per_second: f64, duration: Duration) -> LoadFlow {
    LoadFlow {
        name: "users".to_owned(),
        target,
        host: "n1".to_owned(),
        path: "/function/figlet".to_owned(),
        method: "POST".to_owned(),
        headers: vec![("X-Flavour".to_owned(), "lemon".to_owned())],
        body: b"Hello DFaaS world!".to_vec(),
        start: Duration::ZERO,
        duration,
        arrivals: Arrivals::Constant { per_second },
        timeout: Duration::from_secs(5),
        max_connections: None,
        recorded_headers: vec!["X-Server".to_owned(), "DFaaS-Node-ID".to_owned()],
    }
}

fn plan(flows: Vec<LoadFlow>) -> LoadPlan {
    let start = jiff::Timestamp::now().as_nanosecond() as i64 + LEAD.as_nanos() as i64;
    LoadPlan {
        start_unix_nanoseconds: start,
        in_flight_limit: 10_000,
        flows,
    }
}

/// Runs a plan to its end on a runtime like the load process' own; rows in order of completion.
fn run(plan: &LoadPlan) -> Vec<LoadRow> {
    run_until(plan, std::future::pending())
}

fn run_until(plan: &LoadPlan, stop: impl Future<Output = ()>) -> Vec<LoadRow> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(8)
        .build()
        .unwrap();
    let (sender, receiver) = channel();
    let (set_phase, phase) = watch::channel(Phase::Sending);
    runtime.block_on(async {
        let work = generate(plan, sender, &phase);
        tokio::pin!(work, stop);
        tokio::select! {
            outcome = &mut work => outcome.unwrap(),
            () = &mut stop => {
                set_phase.send_replace(Phase::Draining);
                tokio::time::sleep(Duration::from_millis(200)).await;
                set_phase.send_replace(Phase::Abandoning);
                work.await.unwrap();
            }
        }
    });
    receiver.into_iter().collect()
}

fn by_seq(mut rows: Vec<LoadRow>) -> Vec<LoadRow> {
    rows.sort_by_key(|row| (row.flow, row.seq));
    rows
}

fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds / 1_000_000
}

#[test]
fn every_request_is_sent_once_and_described_completely() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start({
        let seen = Arc::clone(&seen);
        move |request: Received| {
            seen.lock().unwrap().push(request);
            async {
                let mut reply = reply(200, "twelve bytes");
                reply
                    .headers_mut()
                    .append("x-server", "10.0.0.1".parse().unwrap());
                reply
                    .headers_mut()
                    .append("x-server", "10.0.0.2".parse().unwrap());
                reply.headers_mut().append("x-other", "ignored".parse().unwrap());
                reply
            }
        }
    });
    let rows = by_seq(run(&plan(vec![flow(
        server.address,
        100.0,
        Duration::from_secs(1),
    )])));
    assert_eq!(rows.len(), 100);
    for (seq, row) in (0..).zip(&rows) {
        assert_eq!(
            (row.flow, row.seq, row.code, row.sent),
            (0, seq, 200, true),
            "{row:?}"
        );
        assert_eq!(row.offset, seq * 10_000_000);
        assert_eq!((row.bytes_out, row.bytes_in, row.error.as_str()), (18, 12, ""));
        let headers = BTreeMap::from([(
            "X-Server".to_owned(),
            vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()],
        )]);
        assert_eq!(row.headers, headers);
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 100);
    assert!(seen.iter().all(|request| {
        request.method() == "POST"
            && request.uri().path() == "/function/figlet"
            && request.headers()["host"] == "n1"
            && request.headers()["x-flavour"] == "lemon"
            && request.headers()["content-length"] == "18"
            && request.body().as_ref() == b"Hello DFaaS world!"
    }));
}

#[test]
fn a_stalled_server_shows_in_latencies_and_leaves_the_schedule_alone() {
    // Counted from the first request: the server holds every answer back from 0.5 s to 1.5 s.
    let first = Arc::new(Mutex::new(None));
    let server = Server::start(move |_| {
        let elapsed = first.lock().unwrap().get_or_insert_with(Instant::now).elapsed();
        async move {
            if (Duration::from_millis(500)..Duration::from_millis(1500)).contains(&elapsed) {
                tokio::time::sleep(Duration::from_millis(1500) - elapsed).await;
            }
            reply(200, "ok")
        }
    });
    let rows = by_seq(run(&plan(vec![flow(
        server.address,
        200.0,
        Duration::from_secs(2),
    )])));
    assert_eq!(rows.len(), 400);
    let mut late: Vec<u64> = rows.iter().map(|row| row.sent_after).collect();
    late.sort_unstable();
    // A generator that waits for answers would be late by up to the second of the stall in half of all requests; what
    // a busy machine adds stays far below.
    assert!(
        late[360] < 200_000_000,
        "one send in ten was {} ns late",
        late[360]
    );
    for row in &rows {
        assert_eq!(row.code, 200);
        let offset = milliseconds(row.offset);
        if (600..1450).contains(&offset) {
            // Each waits for the end of the stall, so the wait shrinks as the intended time nears it.
            let expected = 1500 - offset;
            let latency = milliseconds(row.latency);
            assert!(
                (expected.saturating_sub(40)..expected + 400).contains(&latency),
                "request due at {offset} ms took {latency} ms, expected about {expected} ms"
            );
        }
    }
    let before: Vec<u64> = rows
        .iter()
        .filter(|row| milliseconds(row.offset) < 450)
        .map(|row| row.latency)
        .collect();
    let quick = before.iter().filter(|latency| **latency < 300_000_000).count();
    assert_eq!(before.len(), 90);
    assert!(
        quick >= 70,
        "requests before the stall are not touched by it, but only {quick} were quick"
    );
}

#[test]
fn rates_are_exact_and_flows_start_at_their_own_time() {
    let server = Server::start(|_| async { reply(200, "ok") });
    let second = LoadFlow {
        name: "later".to_owned(),
        start: Duration::from_millis(500),
        ..flow(server.address, 250.0, Duration::from_secs(1))
    };
    let rows = run(&plan(vec![
        flow(server.address, 50.0, Duration::from_secs(2)),
        second,
    ]));
    let count = |index, from: u64, to: u64| {
        rows.iter()
            .filter(|row| row.flow == index && (from..to).contains(&milliseconds(row.offset)))
            .count()
    };
    assert_eq!(
        (count(0, 0, 2000), count(0, 0, 1000), count(0, 1000, 2000)),
        (100, 50, 50)
    );
    assert_eq!(
        (count(1, 0, 500), count(1, 500, 1000), count(1, 1000, 1500)),
        (0, 125, 125)
    );
    assert_eq!(rows.len(), 350);
}

#[test]
fn statuses_are_kept_and_connections_reused() {
    let statuses = [200, 403, 429, 500, 503];
    let next = Arc::new(Mutex::new(0));
    let server = Server::start(move |_| {
        let mut next = next.lock().unwrap();
        *next += 1;
        let status = statuses[*next % statuses.len()];
        async move { reply(status, "") }
    });
    let rows = run(&plan(vec![flow(server.address, 100.0, Duration::from_secs(1))]));
    for status in statuses {
        assert_eq!(
            rows.iter().filter(|row| row.code == status).count(),
            20,
            "status {status}"
        );
    }
    assert!(
        rows.iter().all(|row| row.error.is_empty()),
        "an error status is an answer, not an error"
    );
    assert!(
        server.connections() <= 50,
        "{} connections for 100 requests in turn",
        server.connections()
    );
}

#[test]
fn a_connection_the_server_closes_is_replaced() {
    let server = Server::start(|_| async {
        let mut reply = reply(200, "bye");
        reply.headers_mut().append("connection", "close".parse().unwrap());
        reply
    });
    let rows = run(&plan(vec![flow(server.address, 50.0, Duration::from_secs(1))]));
    assert_eq!(
        rows.iter().filter(|row| row.code == 200).count(),
        50,
        "{:?}",
        rows[0].error
    );
    assert_eq!(server.connections(), 50);
}

#[test]
fn no_answer_in_time_is_code_zero_with_the_whole_wait_as_latency() {
    let server = Server::start(|_| async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        reply(200, "too late")
    });
    let mut slow = flow(server.address, 20.0, Duration::from_millis(500));
    slow.timeout = Duration::from_millis(300);
    let rows = run(&plan(vec![slow]));
    assert_eq!(rows.len(), 10);
    for row in rows {
        assert_eq!((row.code, row.sent), (0, true));
        assert_eq!(row.error, "no complete response within 300 ms");
        assert!(row.latency >= 300_000_000, "{}", row.latency);
    }
}

#[test]
fn a_refused_connection_is_code_zero_with_the_reason() {
    // Bound and dropped: nothing listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let rows = run(&plan(vec![flow(address, 50.0, Duration::from_millis(500))]));
    assert_eq!(rows.len(), 25);
    for row in rows {
        assert_eq!((row.code, row.sent, row.bytes_in), (0, true, 0));
        assert_eq!(row.error, format!("connect to {address}: connection refused"));
    }
}

#[test]
fn a_connection_that_breaks_is_code_zero() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = std::thread::spawn(move || {
        for stream in listener.incoming().take(10) {
            use std::io::{Read, Write};
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            // Promises more than it sends.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.");
        }
    });
    let rows = run(&plan(vec![flow(address, 20.0, Duration::from_millis(500))]));
    acceptor.join().unwrap();
    assert_eq!(rows.len(), 10);
    for row in rows {
        assert_eq!((row.code, row.bytes_in), (0, 10), "{row:?}");
        assert!(row.error.starts_with("read response: "), "{}", row.error);
    }
}

#[test]
fn requests_beyond_the_bound_are_recorded_as_not_sent() {
    let server = Server::start(|_| async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        reply(200, "slow")
    });
    let mut plan = plan(vec![flow(server.address, 100.0, Duration::from_millis(500))]);
    plan.in_flight_limit = 8;
    let rows = by_seq(run(&plan));
    assert_eq!(rows.len(), 50, "no request may vanish");
    let (sent, refused): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.sent);
    assert_eq!(
        sent.iter().map(|row| row.seq).collect::<Vec<_>>(),
        (0..8).collect::<Vec<_>>()
    );
    assert!(
        refused
            .iter()
            .all(|row| row.code == 0 && row.error.starts_with("not sent: "))
    );
}

#[test]
fn bounded_connections_make_requests_wait_and_the_wait_counts() {
    let server = Server::start(|_| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        reply(200, "ok")
    });
    // Two connections with 50 ms each carry 40 requests per second; 60 per second pile up.
    let mut narrow = flow(server.address, 60.0, Duration::from_secs(1));
    narrow.max_connections = Some(2);
    let rows = by_seq(run(&plan(vec![narrow])));
    assert_eq!(server.connections(), 2);
    assert!(rows.iter().all(|row| row.code == 200));
    assert!(
        milliseconds(rows[59].latency) > 400,
        "the last waits for the queue: {}",
        rows[59].latency
    );
    assert!(
        rows[0].latency < rows[59].latency / 2,
        "the first does not: {}",
        rows[0].latency
    );
}

#[test]
fn stopping_ends_the_sending_and_gives_up_on_what_hangs() {
    let server = Server::start(|request: Received| async move {
        if request.uri().path() == "/hang" {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        reply(200, "ok")
    });
    let mut hanging = flow(server.address, 10.0, Duration::from_secs(30));
    hanging.path = "/hang".to_owned();
    let begin = Instant::now();
    let plan = plan(vec![flow(server.address, 10.0, Duration::from_secs(30)), hanging]);
    let rows = run_until(&plan, tokio_sleep(LEAD + Duration::from_millis(950)));
    assert!(begin.elapsed() < Duration::from_secs(5));
    let (answered, hung): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.flow == 0);
    assert!(
        (9..=20).contains(&answered.len()),
        "{} requests in 0.95 s",
        answered.len()
    );
    assert!(answered.iter().all(|row| row.code == 200));
    assert_eq!(hung.len(), answered.len());
    assert!(
        hung.iter()
            .all(|row| row.code == 0 && row.error.starts_with("interrupted"))
    );
}

async fn tokio_sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[test]
fn what_cannot_be_sent_is_refused_with_its_name() {
    let target = "127.0.0.1:1".parse().unwrap();
    let case = |change: &dyn Fn(&mut LoadFlow)| {
        let mut flow = flow(target, 1.0, Duration::from_secs(1));
        change(&mut flow);
        match check(&plan(vec![flow])) {
            Err(LoadError::Unsendable { flow, what, .. }) => {
                assert_eq!(flow, "users");
                what
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
    };
    assert_eq!(case(&|flow| flow.method = "GET OUT".to_owned()), "method");
    assert_eq!(case(&|flow| flow.path = "no slash".to_owned()), "path");
    assert_eq!(case(&|flow| flow.path = "relative".to_owned()), "path");
    assert_eq!(case(&|flow| flow.host = "line\nbreak".to_owned()), "host");
    assert_eq!(
        case(&|flow| flow.headers = vec![("a b".to_owned(), String::new())]),
        "header name"
    );
    assert_eq!(
        case(&|flow| flow.headers = vec![("a".to_owned(), "\n".to_owned())]),
        "header value"
    );
    assert_eq!(
        case(&|flow| flow.recorded_headers = vec![String::new()]),
        "header name"
    );
    assert!(check(&plan(vec![flow(target, 1.0, Duration::from_secs(1))])).is_ok());
}
