use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One HTTP/1.1 connection in the hands of one request.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    /// Whether it has carried a request before: only then may the server have closed it behind our back.
    pub(super) reused: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("connect to {target}: {source}")]
    Tcp { target: SocketAddr, source: io::Error },
    #[error("connect to {target}: {source}")]
    Http {
        target: SocketAddr,
        source: hyper::Error,
    },
    #[error("no more connections are handed out")]
    Closed,
}

/// The keep-alive connections of one flow; the one used last is taken first.
pub(super) struct ConnectionPool {
    target: SocketAddr,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    permits: Option<Arc<Semaphore>>,
}

impl ConnectionPool {
    pub(super) fn new(target: SocketAddr, max_connections: Option<usize>) -> ConnectionPool {
        let permits =
            max_connections.map(|limit| Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS))));
        ConnectionPool {
            target,
            idle: Mutex::new(Vec::new()),
            permits,
        }
    }

    /// An idle connection, else a new one; waits for a place when the flow bounds its connections.
    pub(super) async fn acquire(&self) -> Result<Connection, ConnectError> {
        let permit = match &self.permits {
            Some(permits) => Some(
                Arc::clone(permits)
                    .acquire_owned()
                    .await
                    .map_err(|_| ConnectError::Closed)?,
            ),
            None => None,
        };
        if let Some(sender) = self.take_idle() {
            return Ok(Connection {
                sender,
                reused: true,
                _permit: permit,
            });
        }
        let target = self.target;
        let stream = TcpStream::connect(target)
            .await
            .map_err(|source| ConnectError::Tcp { target, source })?;
        // Requests are smaller than a segment; waiting for more data would add to what we measure.
        stream
            .set_nodelay(true)
            .map_err(|source| ConnectError::Tcp { target, source })?;
        let (sender, driver) = handshake(TokioIo::new(stream))
            .await
            .map_err(|source| ConnectError::Http { target, source })?;
        // An error of the connection reaches the request that waits for it; the driver's copy says no more.
        tokio::spawn(async move {
            let _ = driver.await;
        });
        Ok(Connection {
            sender,
            reused: false,
            _permit: permit,
        })
    }

    /// Gives a connection back once it can carry another request; drops it when the server ends it.
    pub(super) async fn release(&self, mut connection: Connection) {
        if connection.sender.ready().await.is_ok() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection.sender);
        }
    }

    fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(sender) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }
}
