//! The distribution's own Prometheus reads the platform's metrics.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use common::{Platform, eventually, exchange, function, has_program};

/// Kills what a test has started.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn platform() -> Platform {
    let platform = Platform::with(&[function("cat", "cat", &[]), function("wrong", "false", &[])]);
    for _ in 0..3 {
        assert_eq!(platform.post("/function/cat", b"x").status, 200);
    }
    assert_eq!(platform.get("/function/wrong").status, 500);
    platform.get("/system/functions");
    platform
}

#[test]
fn promtool_finds_nothing_wrong() {
    if !has_program("promtool") {
        return;
    }
    let platform = platform();
    for (port, address, path) in [
        ("gateway", platform.metrics, "/metrics"),
        ("provider", platform.provider, "/metrics"),
        ("containers", platform.metrics, "/metrics/cadvisor"),
    ] {
        let metrics = exchange(address, "GET", path, &[], b"").text();
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool
            .stdin
            .take()
            .unwrap()
            .write_all(metrics.as_bytes())
            .unwrap();
        let output = promtool.wait_with_output().unwrap();
        let remarks = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        // Names of the original, which clients ask for.
        let known = ["gateway_function_invocation_started ", "gateway_service_count "];
        let own: Vec<&str> = remarks
            .lines()
            .filter(|line| !known.iter().any(|name| line.starts_with(name)))
            .collect();
        assert!(own.is_empty(), "{port}: {own:?}");
    }
}

#[test]
fn prometheus_answers_what_dfaas_asks() {
    if !has_program("prometheus") {
        return;
    }
    let platform = platform();
    let directory = tempfile::tempdir().unwrap();
    let configuration = directory.path().join("prometheus.yml");
    let job = |name: &str, target: std::net::SocketAddr| {
        format!("  - job_name: {name}\n    static_configs: [{{ targets: ['{target}'] }}]\n")
    };
    std::fs::write(
        &configuration,
        format!(
            "global: {{ scrape_interval: 200ms }}\nscrape_configs:\n{}{}",
            job("gateway", platform.metrics),
            job("provider", platform.provider)
        ),
    )
    .unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _prometheus = Started(
        Command::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={free}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let ask = |query: &str| {
        let escaped: String = query
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
        // Prometheus needs a moment to listen.
        if std::net::TcpStream::connect(free).is_err() {
            return serde_json::Value::Null;
        }
        let path = format!("/api/v1/query?query={escaped}");
        let reply = exchange(free, "GET", &path, &[("Accept-Encoding", "identity")], b"").text();
        let document = reply
            .find('{')
            .map_or("", |start| &reply[start..=reply.rfind('}').unwrap()]);
        serde_json::from_str::<serde_json::Value>(document).unwrap_or_default()
    };
    let value = |query: &str| {
        let result = &ask(query)["data"]["result"][0]["value"][1];
        result.as_str().and_then(|text| text.parse::<f64>().ok())
    };
    for (query, expected) in [
        (
            "sum(gateway_function_invocation_total{function_name=~\".*.openfaas-fn\",code=\"200\"}) by (function_name)",
            3.0,
        ),
        (
            "gateway_functions_seconds_count{function_name=\"wrong.openfaas-fn\",code=\"500\"}",
            1.0,
        ),
        (
            "avg by (function_name) (last_over_time(gateway_service_count{function_name=\"cat.openfaas-fn\"}[10s]))",
            1.0,
        ),
        (
            "sum(provider_http_requests_total{path=\"/system/functions\",method=\"GET\"})",
            1.0,
        ),
        ("sum(up)", 2.0),
    ] {
        eventually(query, || value(query) == Some(expected));
    }
    // A rate needs two readings with something in between.
    let rate =
        "sum(rate(gateway_functions_seconds_sum[10s])) / sum(rate(gateway_functions_seconds_count[10s]))";
    eventually(rate, || {
        platform.post("/function/cat", b"x");
        value(rate).is_some_and(|seconds| seconds > 0.0)
    });
}
