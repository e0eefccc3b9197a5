//! Three whole agents that find each other and share the published load.

use crate::backend::Backend;
use crate::client::{self, get, near};
use crate::haproxy::{EXECUTABLE, Haproxy, own_address, turn};
use dfaas_agent::agent::Agent;
use dfaas_agent::config::Config;
use dfaas_agent_api::Identity;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PERIOD_SECONDS: u64 = 3;
const OVERLAY_PORT: u16 = 26_000;
const SERVER_PORT: u16 = 27_008;

pub(crate) struct Node {
    pub(crate) haproxy: Haproxy,
    pub(crate) backend: Backend,
    agent: Agent,
}

/// Where a node is to be and who it is to be.
pub(crate) struct Seat {
    pub(crate) host: IpAddr,
    pub(crate) identity: Identity,
}

impl Seat {
    pub(crate) fn new(number: u8) -> Self {
        Self {
            host: own_address(),
            identity: Identity::from_seed(&[number; 32]),
        }
    }

    fn multiaddress(&self) -> String {
        format!(
            "/ip4/{}/tcp/{OVERLAY_PORT}/p2p/{}",
            self.host,
            self.identity.peer_id()
        )
    }

    pub(crate) async fn take(&self, maximum: u32, bootstrap: &[&Seat], extra: &[(&str, &str)]) -> Node {
        let haproxy = Haproxy::start(self.host).await;
        let backend = Backend::start(self.host, &[("figlet", maximum)]).await;
        let key = haproxy.path("key.pem");
        std::fs::write(&key, self.identity.to_pem().unwrap()).unwrap();
        let path = |name: &str| haproxy.path(name).to_str().unwrap().to_owned();
        let nodes: Vec<String> = bootstrap.iter().map(|seat| seat.multiaddress()).collect();
        let host = self.host;
        let mut environment: BTreeMap<String, String> = [
            ("AGENT_NODE_IP", host.to_string()),
            ("AGENT_PRIVATE_KEY_FILE", path("key.pem")),
            ("AGENT_LISTEN", format!("/ip4/{host}/tcp/{OVERLAY_PORT}")),
            ("AGENT_BOOTSTRAP_NODES_LIST", nodes.join(",")),
            ("AGENT_RECALC_PERIOD", format!("{PERIOD_SECONDS}s")),
            ("AGENT_HAPROXY_PORT", Haproxy::PORT.to_string()),
            ("AGENT_HAPROXY_BIND", format!("{host}:{}", Haproxy::PORT)),
            (
                "AGENT_HAPROXY_METRICS_BIND",
                format!("{host}:{}", Haproxy::METRICS_PORT),
            ),
            (
                "AGENT_HAPROXY_PEERS_BIND",
                format!("{host}:{}", Haproxy::PEERS_PORT),
            ),
            ("AGENT_HAPROXY_CONFIG_FILE", path("haproxy.cfg")),
            ("AGENT_HAPROXY_EXECUTABLE", EXECUTABLE.to_owned()),
            ("AGENT_HAPROXY_SOCK_PATH", path("admin.sock")),
            ("AGENT_HAPROXY_MASTER_SOCK_PATH", path("master.sock")),
            ("AGENT_OPENFAAS_HOST", host.to_string()),
            ("AGENT_OPENFAAS_PORT", Backend::PORT.to_string()),
            ("AGENT_HTTPSERVER_HOST", host.to_string()),
            ("AGENT_HTTPSERVER_PORT", SERVER_PORT.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        environment.extend(
            extra
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let agent = Agent::start(Config::read(&environment).unwrap()).await.unwrap();
        assert_eq!(agent.peer_id(), self.identity.peer_id());
        Node {
            haproxy,
            backend,
            agent,
        }
    }
}

impl Node {
    pub(crate) fn server(&self) -> SocketAddr {
        SocketAddr::new(self.haproxy.host, SERVER_PORT)
    }

    /// A metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let text = get(self.server(), "/metrics", &[]).await.body;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
        line.and_then(|value| value.parse().ok())
    }

    async fn await_metric(&self, name: &str, value: f64) {
        for _ in 0..200 {
            if self.metric(name).await == Some(value) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "{name} does not become {value}, it is {:?}",
            self.metric(name).await
        );
    }

    pub(crate) async fn end(self) {
        self.agent.stop().await;
        drop(self.haproxy);
        drop(self.backend);
    }
}

/// Waits for an instant ≡ 0 (mod period), and a little.
async fn next_period() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let period = Duration::from_secs(PERIOD_SECONDS);
    let into = Duration::from_nanos((now.as_nanos() % period.as_nanos()) as u64);
    tokio::time::sleep(period - into + Duration::from_millis(50)).await;
}

/// The published experiment: 10, 20 and 30 requests per second, 50 asked of the first.
async fn published(extra: &[(&str, &str)]) -> ([f64; 3], client::Outcome, Vec<Node>) {
    let seats = [1, 2, 3].map(Seat::new);
    // The first knows nobody, the third only the first: the rest is found through Kademlia.
    let nodes = vec![
        seats[0].take(10, &[], extra).await,
        seats[1].take(20, &[&seats[0]], extra).await,
        seats[2].take(30, &[&seats[0]], extra).await,
    ];
    for node in &nodes {
        node.await_metric("dfaas_agent_peers", 2.0).await;
    }
    // Addresses have been exchanged and are being served.
    next_period().await;
    next_period().await;
    let outcome = client::load(nodes[0].haproxy.address(), "/function/figlet", &[], 50, 12).await;
    // Forwarding begins at the first step 2 after the first step 1 that saw the load: 1.5 periods.
    let settled = 6;
    let means = [0, 1, 2].map(|number: usize| outcome.mean(&seats[number].host.to_string(), settled));
    (means, outcome, nodes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_shares_with_limits() {
    let Some(_turn) = turn().await else { return };
    let (means, outcome, nodes) = published(&[]).await;
    assert!(
        near(means[0], 10.0) && near(means[1], 10.0) && near(means[2], 15.0),
        "{means:?} {outcome:?}"
    );
    assert!(near(outcome.mean("429", 6), 15.0), "{outcome:?}");
    assert_eq!(outcome.total("0"), 0, "{outcome:?}");
    assert!(near(outcome.mean("503", 6), 0.0), "{outcome:?}");
    assert_eq!(
        outcome.seconds[0].get("503"),
        Some(&40),
        "before: nobody to forward to {outcome:?}"
    );

    // Weights, as others see them.
    let text = get(nodes[0].server(), "/peers", &[]).await.body;
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    let peers = status["peers"].as_object().unwrap();
    let mut weights: Vec<u64> = peers
        .values()
        .map(|peer| peer["functions"]["figlet"]["weight"].as_u64().unwrap())
        .collect();
    weights.sort_unstable();
    assert_eq!(weights, [40, 60], "{text}");
    assert_eq!(status["functions"]["figlet"]["overloaded"], true);

    let health = get(nodes[0].server(), "/healthz", &[]).await;
    assert_eq!(health.status, 200, "{}", health.body);
    let health = get(nodes[0].haproxy.address(), "/healthz", &[]).await;
    assert_eq!(health.status, 200, "through the proxy: {}", health.body);
    // The first load, and none for peers, limits and weights.
    assert_eq!(
        nodes[0].metric("dfaas_agent_haproxy_reloads_total").await,
        Some(1.0)
    );
    assert!(nodes[0].metric("dfaas_agent_strategy_iterations").await.unwrap() >= 4.0);

    // A node that leaves is missed at once and forgotten after 1.2 periods.
    let mut nodes = nodes.into_iter();
    let (first, second, third) = (
        nodes.next().unwrap(),
        nodes.next().unwrap(),
        nodes.next().unwrap(),
    );
    third.end().await;
    first.await_metric("dfaas_agent_peers", 1.0).await;
    next_period().await;
    next_period().await;
    let text = get(first.server(), "/peers", &[]).await.body;
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["peers"].as_object().unwrap().len(), 1, "{text}");
    first.end().await;
    second.end().await;
}

/// The figure of the paper: no limits were enforced then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_figure_as_the_original() {
    let Some(_turn) = turn().await else { return };
    let original = [
        ("AGENT_LIMITIN_ENFORCE", "false"),
        ("AGENT_COMPAT", "upstream-2021"),
    ];
    let (means, outcome, nodes) = published(&original).await;
    assert!(
        near(means[0], 10.0) && near(means[1], 16.0) && near(means[2], 24.0),
        "{means:?} {outcome:?}"
    );
    assert_eq!(outcome.total("429") + outcome.total("0"), 0, "{outcome:?}");
    for node in nodes {
        node.end().await;
    }
}
