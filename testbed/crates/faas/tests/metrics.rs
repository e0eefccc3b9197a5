//! The gateway's metrics against those of a real one.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Platform, exchange, function};

const OBSERVED: &str = include_str!("data/metrics.txt");

/// Series without their values, comments whole.
fn series(text: &str, function: &str) -> BTreeSet<String> {
    let chosen = |line: &&str| {
        line.starts_with("# HELP gateway_") || line.starts_with("# TYPE gateway_") || line.contains(function)
    };
    text.lines()
        .filter(chosen)
        .map(|line| {
            if line.starts_with('#') {
                line.to_owned()
            } else {
                line.rsplit_once(' ').unwrap().0.to_owned()
            }
        })
        .collect()
}

fn values(text: &str) -> BTreeMap<&str, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect()
}

#[test]
fn names_labels_and_buckets_are_the_real_ones() {
    let platform = Platform::with(&[function("figlet", "cat", &[])]);
    assert_eq!(platform.post("/function/figlet", b"x").status, 200);
    let reply = exchange(platform.metrics, "GET", "/metrics", &[], b"");
    assert_eq!(
        reply.header("Content-Type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = reply.text();
    assert_eq!(
        series(&text, "\"figlet.openfaas-fn\""),
        series(OBSERVED, "\"figlet.openfaas-fn\"")
    );
    let families: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert!(families.is_sorted(), "{families:?}");
    assert!(values(&text).contains_key("process_cpu_seconds_total"));
    for name in [
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ] {
        assert!(values(&text)[name] > 0.0, "{name}");
    }
}

#[test]
fn every_forwarded_call_counts_whatever_its_code() {
    let platform = Platform::with(&[
        function("t", "sh -c cat", &[]),
        function("f", "false", &[]),
        function("slow", "sleep 0.3", &[("exec_timeout", "100ms")]),
    ]);
    for _ in 0..3 {
        assert_eq!(platform.post("/function/t", b"x").status, 200);
    }
    assert_eq!(
        platform
            .send("OPTIONS", "/function/t.openfaas-fn", &[], b"")
            .status,
        405
    );
    assert_eq!(platform.send("TRACE", "/function/t", &[], b"").status, 405);
    assert_eq!(platform.get("/function/f").status, 500);
    assert_eq!(platform.get("/function/slow").status, 408);
    assert_eq!(platform.get("/function/unknown").status, 404);
    assert_eq!(
        exchange(platform.provider, "POST", "/function/t", &[], b"x").status,
        200,
        "no gateway, no count"
    );
    let text = exchange(platform.metrics, "GET", "/metrics", &[], b"").text();
    let values = values(&text);
    let count = |name: &str, labels: &str| {
        values
            .get(format!("{name}{{{labels}}}").as_str())
            .copied()
            .unwrap_or_default()
    };
    for (code, function, calls) in [
        (200, "t", 3.0),
        (405, "t", 2.0),
        (500, "f", 1.0),
        (408, "slow", 1.0),
    ] {
        let labels = format!("code=\"{code}\",function_name=\"{function}.openfaas-fn\"");
        assert_eq!(
            count("gateway_function_invocation_total", &labels),
            calls,
            "{labels}"
        );
        assert_eq!(
            count("gateway_functions_seconds_count", &labels),
            calls,
            "{labels}"
        );
    }
    let started = count(
        "gateway_function_invocation_started",
        "function_name=\"t.openfaas-fn\"",
    );
    assert_eq!(started, 5.0);
    let slow = "code=\"408\",function_name=\"slow.openfaas-fn\"";
    assert_eq!(
        count("gateway_functions_seconds_bucket", &format!("{slow},le=\"0.05\"")),
        0.0
    );
    assert_eq!(
        count("gateway_functions_seconds_bucket", &format!("{slow},le=\"+Inf\"")),
        1.0
    );
    assert!(count("gateway_functions_seconds_sum", slow) >= 0.1);
    assert!(
        !text.contains("unknown"),
        "a function that is not there is not counted"
    );
    let list = platform.get("/system/functions").text();
    assert!(list.contains("\"invocationCount\":5"), "{list}");
}

#[test]
fn replicas_follow_the_functions() {
    let platform = Platform::with(&[function("a", "cat", &[]), function("dead", "", &[])]);
    let scrape = || exchange(platform.metrics, "GET", "/metrics", &[], b"").text();
    assert!(scrape().contains("\ngateway_service_count{function_name=\"a.openfaas-fn\"} 1\n"));
    assert!(scrape().contains("\ngateway_service_count{function_name=\"dead.openfaas-fn\"} 0\n"));
    platform.send("DELETE", "/system/functions", &[], br#"{"functionName":"a"}"#);
    assert!(!scrape().contains("a.openfaas-fn"));
    assert_eq!(
        exchange(platform.metrics, "GET", "/healthz", &[], b"").status,
        200
    );
    assert_eq!(
        exchange(platform.metrics, "POST", "/metrics", &[], b"").status,
        405
    );
    assert_eq!(exchange(platform.metrics, "GET", "/", &[], b"").status, 404);
    assert_eq!(
        platform.get("/metrics").status,
        404,
        "they are on a port of their own"
    );
}

/// What the original's provider counts besides requests for status, list and namespaces, which its gateway makes on
/// its own all the time.
#[test]
fn the_provider_counts_requests_about_functions() {
    let platform = Platform::with(&[function("a", "cat", &[])]);
    platform.get("/system/function/a");
    exchange(platform.provider, "GET", "/system/function/b", &[], b"");
    platform.send(
        "POST",
        "/system/scale-function/a",
        &[],
        br#"{"serviceName":"a","replicas":1}"#,
    );
    platform.post("/system/functions", b"{");
    platform.post("/function/a", b"x");
    let reply = exchange(platform.provider, "GET", "/metrics", &[], b"");
    let text = reply.text();
    let counts = values(&text);
    let series: Vec<&&str> = counts
        .keys()
        .filter(|name| name.starts_with("provider_http_requests_total"))
        .collect();
    assert_eq!(
        series,
        [
            &r#"provider_http_requests_total{code="200",method="GET",path="/system/function"}"#,
            &r#"provider_http_requests_total{code="200",method="POST",path="/system/scale-function"}"#,
            &r#"provider_http_requests_total{code="400",method="POST",path="/system/functions"}"#,
            &r#"provider_http_requests_total{code="404",method="GET",path="/system/function"}"#,
        ]
    );
    for family in [
        "# HELP provider_http_requests_total Total number of HTTP requests.",
        "# TYPE provider_http_request_duration_seconds histogram",
        "promhttp_metric_handler_requests_total{code=\"200\"} 0",
    ] {
        assert!(text.contains(family), "{family}");
    }
}
