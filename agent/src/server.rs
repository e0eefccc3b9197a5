//! The agent's own HTTP server: `/healthz`, `/metrics`, `/peers`.

use crate::metrics::Metrics;
use crate::platform::Platform;
use crate::proxy::CommandSocket;
use crate::status::Status;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the server answers from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The functions platform, asked when somebody asks.
    pub platform: Platform,
    /// HAProxy, asked likewise.
    pub haproxy: CommandSocket,
    /// The view of the federation.
    pub status: watch::Receiver<Status>,
}

/// Answers until `ended` says so, and then what was asked before.
pub async fn serve(
    listener: TcpListener,
    sources: Sources,
    ended: impl Future<Output = ()> + Send + 'static,
) {
    let router = Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/peers", get(peers))
        .with_state(sources);
    let server = axum::serve(listener, router).with_graceful_shutdown(ended);
    if let Err(error) = server.await {
        tracing::error!(%error, "the agent's HTTP server ended");
    }
}

/// One line per thing, as in the original; 200 only when all is well.
async fn health(State(sources): State<Sources>) -> Response {
    let (haproxy, platform) = tokio::join!(sources.haproxy.ask("show version"), sources.platform.health());
    let line = |name: &str, trouble: Option<String>| match trouble {
        None => format!("{name} status: 200 OK\n"),
        Some(reason) => format!("{name} status: down ({reason})\n"),
    };
    let status = if haproxy.is_ok() && platform.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let text = format!(
        "DFaaS Node running.\n{}{}",
        line("HAProxy", haproxy.err().map(|error| error.to_string())),
        line("OpenFaaS", platform.err().map(|error| error.to_string())),
    );
    (status, text).into_response()
}

async fn metrics(State(sources): State<Sources>) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    match sources.metrics.text() {
        Ok(text) => (kind, text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn peers(State(sources): State<Sources>) -> Json<Status> {
    let status = sources.status.borrow().clone();
    Json(status)
}
