//! A whole agent.

use crate::config::{Config, HostPort};
use crate::controller::{Controller, Parts};
use crate::identity_file::{self, IdentityFileError};
use crate::metrics::Metrics;
use crate::p2p::{Overlay, OverlayError, OverlaySettings};
use crate::platform::Platform;
use crate::proxy::{CommandSocket, NodeSettings, Proxy, ProxyPaths, Reload};
use crate::server::{Sources, serve};
use crate::status::{NodeStatus, Status};
use dfaas_agent_api::Identity;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Time for clients of the agent's server to take what they asked for.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The agent cannot start.
#[derive(Debug, Error)]
pub enum AgentError {
    /// No identity.
    #[error(transparent)]
    Identity(#[from] IdentityFileError),
    /// No random bytes for one.
    #[error("cannot make a private key: {0}")]
    Random(io::Error),
    /// No network.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// No HTTP server.
    #[error("cannot listen on {address} (AGENT_HTTPSERVER_HOST, AGENT_HTTPSERVER_PORT): {source}")]
    HttpServer {
        /// The address.
        address: HostPort,
        /// The kernel's reason.
        source: io::Error,
    },
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    peer_id: String,
    controller: JoinHandle<()>,
    server: JoinHandle<()>,
    /// Ends the controller, and the server.
    stop: Option<(oneshot::Sender<()>, oneshot::Sender<()>)>,
}

impl Agent {
    /// Starts everything; what is not there yet (HAProxy, the platform, peers) is waited for in the background.
    ///
    /// # Errors
    /// When the key is unusable or an address taken.
    pub async fn start(config: Config) -> Result<Self, AgentError> {
        let identity = match &config.node.private_key_file {
            Some(path) => identity_file::load_or_create(path)?,
            None => identity_file::generate().map_err(AgentError::Random)?,
        };
        let peer_id = identity.peer_id();
        tracing::info!(peer_id, address = %config.node.address, "dfaas-agent {}", env!("CARGO_PKG_VERSION"));
        let listener = TcpListener::bind(config.http_server.to_string())
            .await
            .map_err(|source| AgentError::HttpServer {
                address: config.http_server.clone(),
                source,
            })?;
        let metrics = Arc::new(Metrics::new());
        let overlay = Overlay::start(&overlay_settings(&config, identity), Arc::clone(&metrics))?;
        let platform = Platform::new(config.platform.clone());
        let (status, status_receiver) = watch::channel(Status::default());
        metrics.show(status_receiver.clone());
        let (end_server, server_ends) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(
            listener,
            Sources {
                metrics: Arc::clone(&metrics),
                platform: platform.clone(),
                haproxy: CommandSocket::new(config.proxy.runtime_socket.clone()),
                status: status_receiver,
            },
            async move {
                // A sender that is gone ends the server too.
                let _ = server_ends.await;
            },
        ));
        let node = NodeStatus {
            id: peer_id.clone(),
            address: config.node.address,
            port: config.proxy.port,
        };
        let proxy = proxy(&config, &peer_id);
        let strategy = config.strategy;
        let parts = Parts {
            node,
            strategy,
            proxy,
            platform,
            overlay,
            metrics,
            status,
        };
        let (stop, stopped) = oneshot::channel();
        let controller = tokio::spawn(Controller::new(parts).run(stopped));
        Ok(Self {
            peer_id,
            controller,
            server,
            stop: Some((stop, end_server)),
        })
    }

    /// Who this agent is.
    #[must_use]
    pub fn peer_id(&self) -> &str {
        &self.peer_id
    }

    /// Waits for the agent to end by itself, which only a fault makes it do.
    pub async fn ended(&mut self) {
        // An error would be a panic of the task, which has been reported.
        let _ = (&mut self.controller).await;
    }

    /// Ends everything: changes under way are finished, peers are told goodbye, questions are answered. HAProxy goes on
    /// with its last configuration.
    pub async fn stop(mut self) {
        if let Some((controller, server)) = self.stop.take() {
            // What has ended already needs no word.
            let _ = controller.send(());
            let _ = server.send(());
        }
        let _ = (&mut self.controller).await;
        if tokio::time::timeout(LAST_ANSWERS, &mut self.server)
            .await
            .is_err()
        {
            tracing::warn!("a client of the agent's HTTP server is too slow to wait for");
            self.server.abort();
            // The address is free only then.
            let _ = (&mut self.server).await;
        }
    }
}

fn overlay_settings(config: &Config, identity: Identity) -> OverlaySettings {
    let overlay = &config.overlay;
    OverlaySettings {
        identity,
        listen: overlay.listen.clone(),
        advertised: config.node.address,
        bootstrap: overlay.bootstrap.clone(),
        bootstrap_force: overlay.bootstrap_force,
        rendezvous: overlay.rendezvous.clone(),
        lookup_pause: overlay.lookup_pause,
        mdns: overlay.mdns,
        topic: overlay.topic.clone(),
        compatibility: config.strategy.compatibility,
    }
}

fn proxy(config: &Config, peer_id: &str) -> Proxy {
    let settings = &config.proxy;
    let node = NodeSettings {
        mode: crate::controller::mode(&config.strategy.kind),
        own_id: peer_id.to_owned(),
        address: config.node.address,
        binds: settings.binds.clone(),
        metrics_bind: settings.metrics_bind.clone(),
        peers_bind: settings.peers_bind.clone(),
        runtime_socket: settings.runtime_socket.to_string_lossy().into_owned(),
        threads: settings.threads,
        enforce_limits: config.strategy.enforce_limits,
        log_requests: config.node.log.debug,
        functions: config.platform.gateway.to_string(),
        agent: reachable(&config.http_server).to_string(),
    };
    let reload = match &settings.update_command {
        Some(command) => Reload::Command(command.clone()),
        None => Reload::Master(settings.master_socket.clone()),
    };
    let paths = ProxyPaths {
        configuration: settings.configuration.clone(),
        executable: settings.executable.clone(),
        reload,
    };
    // Seconds keep this agent's configurations apart from those of one before it.
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    Proxy::new(node, paths, (seconds & u64::from(u32::MAX >> 1)) as u32)
}

/// Where HAProxy finds a server that listens on every address.
fn reachable(address: &HostPort) -> HostPort {
    let host = match address.host.parse::<IpAddr>() {
        Ok(IpAddr::V4(host)) if host.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(host)) if host.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
        _ => address.host.clone(),
    };
    HostPort {
        host,
        port: address.port,
    }
}
