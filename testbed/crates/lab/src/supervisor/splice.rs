//! Ways into a node that cross no link: one socket in the host's namespace, one in the node's, bytes copied between.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

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

/// A published port that is bound but does not serve yet: a taken port is noticed before anything is created.
#[derive(Debug)]
pub(crate) struct BoundPort {
    /// The node that publishes it.
    pub(crate) node: String,
    /// Port inside the node.
    pub(crate) node_port: u16,
    listener: TcpListener,
}

impl BoundPort {
    pub(crate) async fn bind(node: &str, address: SocketAddr, node_port: u16) -> Result<Self, LabError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| LabError::PortTaken {
                node: node.to_owned(),
                address: address.to_string(),
                source,
            })?;
        Ok(Self {
            node: node.to_owned(),
            node_port,
            listener,
        })
    }

    /// Accepts and splices until the task is dropped.
    pub(crate) async fn serve(self, network: Arc<Network>) {
        loop {
            let client = match self.listener.accept().await {
                Ok((client, _)) => client,
                Err(error) => {
                    // Out of descriptors, most likely: the connections under way must end first.
                    tracing::warn!(node = self.node, %error, "cannot accept on a published port");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (network, node, port) = (Arc::clone(&network), self.node.clone(), self.node_port);
            tokio::spawn(async move {
                if let Err(error) = splice(client, &network, &node, port).await {
                    tracing::debug!(node, port, %error, "a spliced connection ended");
                }
            });
        }
    }
}

async fn splice(mut client: TcpStream, network: &Arc<Network>, node: &str, port: u16) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut inside = connect(network, node, port).await?;
    inside.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut inside).await?;
    Ok(())
}
