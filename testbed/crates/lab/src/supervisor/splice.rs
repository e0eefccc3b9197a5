//! Ways into a node and out of it that cross no link: one socket in the host's namespace, one in the node's, bytes copied between.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use dfaas_model::{PortMapping, Uplink};
use dfaas_netns::Network;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::error::LabError;

/// How long a node may take to accept a connection on its own loopback interface.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A connection to `port` on a node's loopback interface. The socket is made inside the node's namespace by the
/// network's worker; connecting happens here, where it can wait without holding anybody up.
pub(crate) async fn connect(network: &Arc<Network>, node: &str, port: u16) -> std::io::Result<TcpStream> {
    let network = Arc::clone(network);
    let namespace = node.to_owned();
    let socket = tokio::task::spawn_blocking(move || network.enter(&namespace, tcp_socket))
        .await
        .map_err(std::io::Error::other)?
        .map_err(std::io::Error::other)??;
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match tokio::time::timeout(CONNECT_LIMIT, socket.connect(address)).await {
        Ok(connected) => connected,
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}

fn tcp_socket() -> std::io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(AddressFamily::Inet, SockType::Stream, flags, None)?)
}

/// A port of a node that leads out of the lab.
#[derive(Debug)]
pub(crate) struct OpenUplink {
    node: String,
    host: SocketAddr,
    listener: TcpListener,
}

impl OpenUplink {
    /// Listens inside the node. Nothing else can have taken the port: services start later.
    pub(crate) async fn open(network: &Arc<Network>, node: &str, uplink: &Uplink) -> Result<Self, LabError> {
        let failed = |reason: String| LabError::Node {
            node: node.to_owned(),
            reason: format!("its uplink {uplink} cannot be opened: {reason}"),
        };
        let (inside, namespace, port) = (Arc::clone(network), node.to_owned(), uplink.node_port);
        let listener = tokio::task::spawn_blocking(move || inside.enter(&namespace, move || listen(port)))
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?
            .and_then(TcpListener::from_std)
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            node: node.to_owned(),
            host: uplink.host,
            listener,
        })
    }

    /// Accepts and splices until the task is dropped. Where nobody listens outside, the connection ends at once.
    pub(crate) async fn serve(self) {
        loop {
            let Some(inside) = accept(&self.listener, &self.node).await else {
                continue;
            };
            let (node, host) = (self.node.clone(), self.host);
            tokio::spawn(async move {
                let outside = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(host)).await;
                let ended = match outside {
                    Ok(Ok(outside)) => copy(inside, outside).await,
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
                };
                if let Err(error) = ended {
                    tracing::debug!(node, %host, %error, "a connection out of the lab ended");
                }
            });
        }
    }
}

fn listen(port: u16) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The next connection; none for a failure, after a pause.
async fn accept(listener: &TcpListener, node: &str) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((client, _)) => Some(client),
        Err(error) => {
            // Out of descriptors, most likely: the connections under way must end first.
            tracing::warn!(node, %error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// A published port that is bound but does not serve yet: a taken port is noticed before anything is created.
#[derive(Debug)]
pub(crate) struct BoundPort {
    /// The node that publishes it.
    pub(crate) node: String,
    /// From where to where.
    pub(crate) mapping: PortMapping,
    listener: TcpListener,
}

impl BoundPort {
    pub(crate) async fn bind(node: &str, mapping: &PortMapping) -> Result<Self, LabError> {
        let address = SocketAddr::new(mapping.host_address, mapping.host_port);
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| LabError::PortTaken {
                node: node.to_owned(),
                address: address.to_string(),
                source,
            })?;
        Ok(Self {
            node: node.to_owned(),
            mapping: mapping.clone(),
            listener,
        })
    }

    /// Accepts and splices until the task is dropped.
    pub(crate) async fn serve(self, network: Arc<Network>) {
        loop {
            let Some(client) = accept(&self.listener, &self.node).await else {
                continue;
            };
            let (network, node, port) = (Arc::clone(&network), self.node.clone(), self.mapping.node_port);
            tokio::spawn(async move {
                if let Err(error) = splice(client, &network, &node, port).await {
                    tracing::debug!(node, port, %error, "a spliced connection ended");
                }
            });
        }
    }
}

async fn splice(client: TcpStream, network: &Arc<Network>, node: &str, port: u16) -> std::io::Result<()> {
    let inside = connect(network, node, port).await?;
    copy(client, inside).await
}

async fn copy(mut one: TcpStream, mut other: TcpStream) -> std::io::Result<()> {
    one.set_nodelay(true)?;
    other.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut one, &mut other).await?;
    Ok(())
}
