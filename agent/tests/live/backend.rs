//! A stand-in for an OpenFaaS gateway: it lists functions and answers for all of them.

use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::json;
use std::net::IpAddr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running gateway; it ends when dropped.
pub(crate) struct Backend {
    task: JoinHandle<()>,
}

impl Backend {
    pub(crate) const PORT: u16 = 27_081;

    /// A gateway whose functions have these labels `dfaas.maxrate`.
    pub(crate) async fn start(host: IpAddr, functions: &[(&str, u32)]) -> Self {
        let labelled =
            |(name, rate): &(&str, u32)| json!({"name": name, "labels": {"dfaas.maxrate": rate.to_string()}});
        let list: Vec<_> = functions.iter().map(labelled).collect();
        let router = Router::new()
            .route("/healthz", get(|| async { "" }))
            .route("/system/functions", get(move || async move { Json(list) }))
            .route("/function/{*path}", any(|| async { "done\n" }));
        let listener = TcpListener::bind((host, Self::PORT)).await.unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { task }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}
