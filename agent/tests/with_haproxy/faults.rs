//! A whole agent whose HAProxy and whose platform fail it, and come back.

use crate::backend::Backend;
use crate::client::get;
use crate::federation::{Node, Seat};
use crate::haproxy::{Haproxy, turn};
use dfaas_agent_api::{InitialSettings, initial_haproxy_configuration};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::subscriber::DefaultGuard;

/// What the agent logs in this thread, which is the only one of such a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self, words: &str) -> usize {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        text.lines().filter(|line| line.contains(words)).count()
    }
}

/// Waits until something holds.
async fn eventually(what: &str, log: &Log, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    panic!("{what}: not within 20 s; the log says\n{text}");
}

async fn serves(node: &Node) -> bool {
    get(node.haproxy.address(), "/function/figlet", &[]).await.status == 200
}

async fn more(node: &Node, metric: &str, than: f64) -> bool {
    node.metric(metric).await.is_some_and(|value| value > than)
}

#[tokio::test]
async fn haproxy_gone_and_back() {
    const FAILURES: &str = "dfaas_agent_haproxy_failures_total";
    const RELOADS: &str = "dfaas_agent_haproxy_reloads_total";
    let Some(_turn) = turn().await else { return };
    let (log, _guard) = Log::start();
    let mut node = Seat::new(31)
        .take(1000, &[], &[("AGENT_RECALC_PERIOD", "1s")])
        .await;
    // Until it has reloaded, its master does not always listen.
    eventually("it is loaded", &log, async || more(&node, RELOADS, 0.0).await).await;
    assert!(serves(&node).await);
    assert_eq!(node.metric(FAILURES).await, Some(0.0));

    node.haproxy.kill();
    eventually("the failure is counted", &log, async || {
        more(&node, FAILURES, 0.0).await
    })
    .await;
    assert!(log.lines("HAProxy's socket") > 0 && log.lines("does not answer") > 0);
    assert_eq!(get(node.server(), "/healthz", &[]).await.status, 503);
    // Its file holds what was in force.
    node.haproxy.start_again().await;
    assert!(serves(&node).await, "at once, whatever the agent does");
    eventually("the agent is content", &log, async || {
        log.lines("in the desired state again") == 1
    })
    .await;

    // One that comes back with nothing is told everything.
    node.haproxy.kill();
    let path = |name: &str| node.haproxy.path(name).to_str().unwrap().to_owned();
    let initial = initial_haproxy_configuration(&InitialSettings {
        runtime_socket: path("admin.sock"),
        binds: vec![node.haproxy.address().to_string()],
        metrics_bind: format!("{}:{}", node.haproxy.host, Haproxy::METRICS_PORT),
    });
    std::fs::write(path("haproxy.cfg"), initial).unwrap();
    node.haproxy.start_again().await;
    eventually("the state is there again", &log, async || serves(&node).await).await;
    assert_eq!(get(node.server(), "/healthz", &[]).await.status, 200);
    node.end().await;
}

#[tokio::test]
async fn a_platform_that_talks_rubbish_or_nothing() {
    const FAILURES: &str = "dfaas_agent_platform_failures_total";
    const STEPS: &str = "dfaas_agent_strategy_iterations";
    let Some(_turn) = turn().await else { return };
    let (log, _guard) = Log::start();
    let mut node = Seat::new(32)
        .take(1000, &[], &[("AGENT_RECALC_PERIOD", "1s")])
        .await;
    eventually("the function is served", &log, async || serves(&node).await).await;
    let host = node.haproxy.host;
    let mut failures = node.metric(FAILURES).await.unwrap();
    for (answer, complaint) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[{\"name\":",
            "unreadable list of functions",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>no</html>",
            "unreadable list of functions",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n[",
            "does not answer: ",
        ),
        (
            "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
            "answers 500 to GET /system/functions",
        ),
        ("", "nothing for 5 s"),
    ] {
        node.backend.stop().await;
        node.backend = Backend::always(host, answer).await;
        if answer.is_empty() {
            // Nothing else waits for it.
            let steps = node.metric(STEPS).await.unwrap() + 2.0;
            let before = log.lines(complaint);
            eventually("steps are taken", &log, async || more(&node, STEPS, steps).await).await;
            assert_eq!(log.lines(complaint), before, "before the question is given up");
        }
        eventually(complaint, &log, async || {
            more(&node, FAILURES, failures).await && log.lines(complaint) > 0
        })
        .await;
        failures = node.metric(FAILURES).await.unwrap();
        assert_eq!(
            node.metric("dfaas_agent_functions").await,
            Some(1.0),
            "the list stays as it was"
        );
    }
    node.backend.stop().await;
    node.backend = Backend::start(host, &[("figlet", 1000)]).await;
    eventually("the platform is back", &log, async || {
        log.lines("the functions platform answers") > 0
    })
    .await;
    assert!(serves(&node).await);
    node.end().await;
}
