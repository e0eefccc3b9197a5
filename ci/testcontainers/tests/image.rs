//! The node image as somebody uses it who only has the image.

use std::time::{Duration, Instant};

use dfaas_image_tests::{Answer, GATEWAY, METRICS, ask, call, have_image, healthy, inside, logs, node};
use testcontainers::ImageExt;
use testcontainers::core::WaitFor;

/// The path of the functions that a user may put in.
const FUNCTIONS: &str = "/etc/dfaas/faas/functions.json";

#[tokio::test]
async fn a_node_serves_what_comes_with_it() {
    if !have_image() {
        return;
    }
    let node = healthy(node(WaitFor::healthcheck())).await;

    let answer = call(&node, "figlet", "DFaaS", 200).await;
    assert_eq!(answer.body, inside(&node, "figlet DFaaS").await);
    assert!(answer.head.to_lowercase().contains("\r\nx-server:"), "{answer:?}");
    let sum = inside(&node, "printf DFaaS | sha512sum").await;
    assert_eq!(call(&node, "shasum", "DFaaS", 200).await.body, sum);

    let listed = ask(&node, GATEWAY, "/system/functions", "", None).await;
    let listed: serde_json::Value = serde_json::from_str(&listed.body).expect("JSON");
    let mut names: Vec<_> = listed
        .as_array()
        .expect("functions")
        .iter()
        .map(|it| it["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, [Some("figlet"), Some("ocr"), Some("shasum")]);

    // The agent is for those inside.
    let healthz = inside(
        &node,
        "exec 3<>/dev/tcp/127.0.0.1/8008; printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3",
    );
    assert_eq!(Answer::parse(&healthz.await).status, 200);
    let metrics = ask(&node, METRICS, "/metrics", "", None).await;
    assert!(
        metrics.body.contains("haproxy_frontend_http_requests_total"),
        "{metrics:?}"
    );

    let logs = logs(&node).await;
    for service in ["haproxy", "faas", "agent"] {
        assert!(
            logs.lines().any(|line| line.starts_with(service)),
            "no line of {service}:\n{logs}"
        );
    }

    // Process 1 ends its services and itself, within the ten seconds that Docker gives by default.
    let asked = Instant::now();
    node.stop_with_timeout(Some(10))
        .await
        .expect("an engine that stops");
    assert!(asked.elapsed() < Duration::from_secs(10), "it had to be killed");
    assert_eq!(node.exit_code().await.expect("a state"), Some(0));
    node.rm().await.expect("an engine that removes");
}

#[tokio::test]
async fn functions_and_credentials_are_those_put_in() {
    if !have_image() {
        return;
    }
    let functions =
        r#"[{"service": "echo", "image": "ghcr.io/openfaas/cat:latest", "labels": {"dfaas.maxrate": "5"}}]"#;
    let request = node(WaitFor::healthcheck())
        .with_copy_to(FUNCTIONS, functions.as_bytes().to_vec())
        .with_copy_to("/etc/dfaas/faas/secrets/basic-auth-user", b"somebody".to_vec())
        .with_copy_to("/etc/dfaas/faas/secrets/basic-auth-password", b"secret".to_vec())
        .with_env_var("AGENT_OPENFAAS_USER", "somebody")
        .with_env_var("AGENT_OPENFAAS_PASS", "secret");
    let node = healthy(request).await;

    assert_eq!(call(&node, "echo", "the same", 200).await.body, "the same");
    call(&node, "figlet", "DFaaS", 404).await;
    assert_eq!(
        ask(&node, GATEWAY, "/system/functions", "", None).await.status,
        401
    );
    // somebody:secret
    let credentials = "Authorization: Basic c29tZWJvZHk6c2VjcmV0\r\n";
    let listed = ask(&node, GATEWAY, "/system/functions", credentials, None).await;
    assert_eq!(listed.status, 200);
    assert!(!logs(&node).await.contains("secret"), "a password in the logs");
    node.rm().await.expect("an engine that removes");
}

#[tokio::test]
async fn an_agent_that_dies_comes_back() {
    if !have_image() {
        return;
    }
    let node = healthy(node(WaitFor::healthcheck())).await;
    call(&node, "figlet", "DFaaS", 200).await;
    // There is no pgrep in the image.
    let agent = "for p in /proc/[0-9]*; do [ \"$(readlink $p/exe)\" != /usr/local/bin/dfaas-agent ] || echo ${p#/proc/}; done";
    let before = inside(&node, agent).await;
    inside(&node, &format!("kill -KILL {}", before.trim())).await;
    // Requests are not the agent's business.
    call(&node, "figlet", "DFaaS", 200).await;
    let mut after = String::new();
    for _ in 0..100 {
        after = inside(&node, agent).await;
        if !after.trim().is_empty() && after != before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        !after.trim().is_empty() && after != before,
        "{before:?}, then {after:?}"
    );
    node.rm().await.expect("an engine that removes");
}

#[tokio::test]
async fn a_bad_list_of_functions_is_said_in_the_logs() {
    if !have_image() {
        return;
    }
    let request = node(WaitFor::message_on_stdout(FUNCTIONS)).with_copy_to(FUNCTIONS, b"[{]".to_vec());
    let node = healthy(request).await;
    assert!(
        node.is_running().await.expect("a state"),
        "the other services go on"
    );
    node.rm().await.expect("an engine that removes");
}
