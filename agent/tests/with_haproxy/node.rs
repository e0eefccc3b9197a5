//! A node without its agent: HAProxy, what steers it, and functions.

use crate::backend::Backend;
use crate::haproxy::{EXECUTABLE, Haproxy, own_address};
use dfaas_agent::proxy::{Mode, NodeSettings, Proxy, ProxyPaths, Reload};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

pub(crate) struct Node {
    pub(crate) haproxy: Haproxy,
    pub(crate) proxy: Proxy,
    pub(crate) backend: Option<Backend>,
}

/// The settings of a node with this HAProxy.
pub(crate) fn settings(haproxy: &Haproxy) -> NodeSettings {
    let host = haproxy.host;
    NodeSettings {
        mode: Mode::Overflow,
        own_id: format!("id-of-{host}"),
        address: host,
        binds: vec![format!("{host}:{}", Haproxy::PORT)],
        metrics_bind: format!("{host}:{}", Haproxy::METRICS_PORT),
        peers_bind: Some(format!("{host}:{}", Haproxy::PEERS_PORT)),
        runtime_socket: haproxy.path("admin.sock").to_str().unwrap().to_owned(),
        threads: 1,
        enforce_limits: true,
        log_requests: false,
        functions: format!("{host}:{}", Backend::PORT),
        agent: format!("{host}:1"),
    }
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(own_address(), |_| {}).await
    }

    pub(crate) async fn with(host: IpAddr, adjust: impl FnOnce(&mut NodeSettings)) -> Self {
        let backend = Backend::start(host, &[]).await;
        Self::with_backend(host, backend, adjust).await
    }

    pub(crate) async fn with_backend(
        host: IpAddr,
        backend: Backend,
        adjust: impl FnOnce(&mut NodeSettings),
    ) -> Self {
        let haproxy = Haproxy::start(host).await;
        let mut settings = settings(&haproxy);
        adjust(&mut settings);
        let paths = ProxyPaths {
            configuration: haproxy.path("haproxy.cfg"),
            executable: Some(PathBuf::from(EXECUTABLE)),
            reload: Reload::Master(haproxy.path("master.sock")),
        };
        Self {
            proxy: Proxy::new(settings, paths, 1),
            haproxy,
            backend: Some(backend),
        }
    }

    pub(crate) fn host(&self) -> IpAddr {
        self.haproxy.host
    }

    pub(crate) fn id(&self) -> String {
        format!("id-of-{}", self.host())
    }
}

pub(crate) fn one<T>(name: &str, value: T) -> BTreeMap<String, T> {
    BTreeMap::from([(name.to_owned(), value)])
}
