//! Sessions with the real platform, repeated here: every reply must be the same, byte for byte, but for what differs
//! from run to run.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::time::Duration;

use common::observed::{Step, normal, replay, steps, wire};
use common::{Platform, Reply, exchange, function, has_program, send_raw};
use dfaas_faas::{Credentials, FunctionDeployment, Options, ResourceLimits};

const GATEWAY: &str = include_str!("data/gateway.txt");
const PROVIDER: &str = include_str!("data/provider.txt");
const WATCHDOG: &str = include_str!("data/watchdog.txt");
const BUSY: &str = include_str!("data/busy.txt");
const SECRETS: &str = include_str!("data/secrets.txt");
const NAMESPACES: &str = include_str!("data/namespaces.txt");
const REST: &str = include_str!("data/rest.txt");

fn credentials() -> Credentials {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("basic-auth-user"), "admin").unwrap();
    std::fs::write(directory.path().join("basic-auth-password"), "goldpassword\n").unwrap();
    Credentials::from_directory(directory.path()).unwrap()
}

fn figlet() -> FunctionDeployment {
    let labels = [("dfaas.maxrate", "30"), ("dfaas.timeout_ms", "6000")];
    FunctionDeployment {
        image: "ghcr.io/openfaas/figlet:latest".to_owned(),
        labels: labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        annotations: [("topic".to_owned(), "a,b".to_owned())].into(),
        limits: Some(ResourceLimits {
            memory: "64Mi".to_owned(),
            ..ResourceLimits::default()
        }),
        ..function(
            "figlet",
            "",
            &[
                ("exec_timeout", "4s"),
                ("healthcheck_interval", "1s"),
                ("max_inflight", "2"),
            ],
        )
    }
}

fn recorded_functions() -> Vec<FunctionDeployment> {
    let settings = [("healthcheck_interval", "1s")];
    vec![
        figlet(),
        function("cat", "cat", &settings),
        function("env", "env", &settings),
        function("shasum", "sha512sum", &settings),
    ]
}

#[test]
fn gateway_session() {
    if !has_program("figlet") {
        return;
    }
    let platform = Platform::start(Options {
        deployments: recorded_functions(),
        credentials: Some(credentials()),
        ..Options::default()
    });
    replay(platform.gateway, GATEWAY);
}

#[test]
fn secrets_namespaces_and_the_rest() {
    let platform = Platform::start(Options {
        deployments: vec![function("cat", "cat", &[])],
        credentials: Some(credentials()),
        // The session was recorded without a broker.
        queue: false,
        ..Options::default()
    });
    for session in [SECRETS, NAMESPACES, REST] {
        replay(platform.gateway, session);
    }
}

#[test]
fn provider_session() {
    let mut functions = recorded_functions();
    functions[1] = FunctionDeployment {
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..function("cat", "cat", &[("K", "v=1=2")])
    };
    let platform = Platform::start(Options {
        deployments: functions,
        credentials: Some(credentials()),
        ..Options::default()
    });
    // One request of the session goes to the gateway: it wakes the function again.
    for step in steps(PROVIDER) {
        let Step::Exchange { request, reply } = step else {
            panic!("nothing else was recorded")
        };
        let through_gateway = request.ends_with("wake");
        let address = if through_gateway {
            platform.gateway
        } else {
            platform.provider
        };
        let got = send_raw(address, &wire(&request));
        let observed = Reply::parse(&wire(&reply)).unwrap();
        assert_eq!(normal(&got), normal(&observed), "\nreply to:\n{request}");
    }
}

#[test]
fn watchdog_session() {
    let platform = Platform::with(&[]);
    replay(platform.gateway, WATCHDOG);
}

#[test]
fn too_many_requests() {
    let platform = Platform::with(&[function("t1", "sleep 2", &[("max_inflight", "1")])]);
    let gateway = platform.gateway;
    let first = std::thread::spawn(move || exchange(gateway, "POST", "/function/t1", &[], b"x").status);
    std::thread::sleep(Duration::from_millis(300));
    replay(platform.gateway, BUSY);
    assert_eq!(first.join().unwrap(), 200);
    assert_eq!(
        platform.post("/function/t1", b"x").status,
        200,
        "the place is free again"
    );
}
