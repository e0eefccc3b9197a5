//! A stand-in for an OpenFaaS gateway: it lists functions and answers for all of them.

use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::json;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How long a port may be held by a process that is being started.
const PATIENCE: Duration = Duration::from_secs(5);

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
        let listener = listen(host).await;
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { task }
    }

    /// A gateway that answers everything at once and costs next to nothing, for much load on a small machine.
    pub(crate) async fn quick(host: IpAddr) -> Self {
        let listener = listen(host).await;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_everything(stream));
            }
        });
        Self { task }
    }

    /// A gateway that answers this to whatever it is asked, and hangs up; with nothing to say, it does not even do that.
    pub(crate) async fn always(host: IpAddr, answer: &'static str) -> Self {
        let listener = listen(host).await;
        let task = tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if answer.is_empty() {
                    silent.push(stream);
                    continue;
                }
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { task }
    }

    /// Ends it, and gives its port free.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

/// Another test may be starting a process at this moment, which holds what was open here until it becomes its program: also
/// the port of a gateway that has just been stopped.
async fn listen(host: IpAddr) -> TcpListener {
    let begin = Instant::now();
    loop {
        match TcpListener::bind((host, Backend::PORT)).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && begin.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            bound => return bound.unwrap(),
        }
    }
}

async fn answer_everything(mut stream: TcpStream) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        seen.extend_from_slice(&buffer[..count]);
        while let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            seen.drain(..end + 4);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndone\n";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}
