//! The three listening servers and their end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::error::FaasError;
use crate::platform::{Options, Platform};
use crate::queue;
use crate::service::{self, Role};

/// Time for the header of a request to arrive on an open connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time after which a connection ends whose peer takes none of what was sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for replies about killed processes to leave at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A platform that serves. Dropping it ends its servers and kills its processes, without grace.
#[derive(Debug)]
pub struct Server {
    platform: Arc<Platform>,
    gateway: SocketAddr,
    provider: SocketAddr,
    metrics: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    /// Ends never by itself.
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Deploys the functions of `options`, then listens on all ports. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`FaasError`] says what could not be read, deployed or listened on; nothing is left then.
    pub async fn start(options: &Options) -> Result<Self, FaasError> {
        let platform = Platform::new(options)?;
        let mut bound = Vec::new();
        for (role, name, port) in [
            (Role::Gateway, "gateway", options.gateway_port),
            (Role::Provider, "provider", options.provider_port),
            (Role::Metrics, "metrics", options.metrics_port),
        ] {
            bound.push((role, listen(name, SocketAddr::new(options.bind, port)).await?));
        }
        let (stop, stopped) = watch::channel(false);
        let unset = SocketAddr::new(options.bind, 0);
        let mut server = Server {
            platform,
            gateway: unset,
            provider: unset,
            metrics: unset,
            stop,
            tasks: Vec::new(),
            workers: Vec::new(),
        };
        for (role, (listener, address)) in bound {
            match role {
                Role::Gateway => server.gateway = address,
                Role::Provider => server.provider = address,
                Role::Metrics => server.metrics = address,
            }
            let serving = serve(listener, role, server.platform.clone(), stopped.clone());
            server.tasks.push(tokio::spawn(serving));
        }
        if options.queue {
            let worker = queue::work(server.platform.clone(), server.gateway);
            server.workers.push(tokio::spawn(worker));
        }
        info!(
            "gateway on {}, provider on {}, metrics on {}",
            server.gateway, server.provider, server.metrics
        );
        Ok(server)
    }

    /// Where the gateway listens.
    #[must_use]
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// Where the provider listens.
    #[must_use]
    pub fn provider(&self) -> SocketAddr {
        self.provider
    }

    /// Where the gateway's metrics are.
    #[must_use]
    pub fn metrics(&self) -> SocketAddr {
        self.metrics
    }

    /// Accepts nothing more, lets requests end for at most `grace`, then kills their processes.
    pub async fn shut_down(mut self, grace: Duration) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut self.tasks);
        let platform = self.platform.clone();
        let ended = async {
            for task in &mut tasks {
                // Its only failure is a panic, which has been reported by then.
                let _ = task.await;
            }
            while !platform.queue.is_idle() {
                sleep(Duration::from_millis(10)).await;
            }
            platform.idle().await;
            platform.end().await;
        };
        tokio::pin!(ended);
        if timeout(grace, &mut ended).await.is_err() {
            warn!(
                "requests still run after {} s; killing their processes",
                grace.as_secs_f64()
            );
            self.platform.abort();
            let _ = timeout(LAST_WORDS, ended).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.platform.abort();
        for task in self.tasks.iter().chain(&self.workers) {
            task.abort();
        }
    }
}

async fn listen(role: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), FaasError> {
    let failed = |source| FaasError::Listen {
        role,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Accepts connections until told to stop, then waits for the open ones.
async fn serve(listener: TcpListener, role: Role, platform: Arc<Platform>, mut stop: watch::Receiver<bool>) {
    let open = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => attend(stream, peer, role, &platform, &open),
            Err(error) if is_about_one_connection(&error) => debug!("accept: {error}"),
            // Mostly no descriptor left: others have to end first, and trying at once would burn a core.
            Err(error) => {
                warn!("cannot accept connections: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    open.shutdown().await;
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

fn attend(
    stream: TcpStream,
    peer: SocketAddr,
    role: Role,
    platform: &Arc<Platform>,
    open: &GracefulShutdown,
) {
    let configured = stream.set_nodelay(true).and_then(|()| {
        let limit = u32::try_from(SEND_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
        Ok(setsockopt(&stream, sockopt::TcpUserTimeout, &limit)?)
    });
    if let Err(error) = configured {
        debug!("connection from {peer}: {error}");
    }
    let platform = platform.clone();
    let service = service_fn(move |request| {
        let answer = service::answer(platform.clone(), role, peer, request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    let connection = open.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!("connection from {peer}: {error}");
        }
    });
}
