//! What runs in a `dfaas` node: HAProxy, the FaaS platform and the agent, in this order.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dfaas_agent_api::environment::names::{self, NEIGHBOURS};
use dfaas_agent_api::environment::variable;
use dfaas_agent_api::haproxy::{InitialSettings, initial_haproxy_configuration, sockets};
use dfaas_model::{Node, PlannedNode, Service};
use dfaas_process::{Restart, ServiceSpec};
use serde_json::json;

use crate::error::LabError;
use crate::supervisor::monitoring;
use crate::tools::Tools;

/// Ports inside a node; the same on every node, since each has its own network.
pub(crate) mod port {
    /// HAProxy, where load arrives.
    pub(crate) const HAPROXY: u16 = 80;
    /// OpenFaaS gateway.
    pub(crate) const GATEWAY: u16 = 8080;
    /// Metrics of the gateway.
    pub(crate) const GATEWAY_METRICS: u16 = 8082;
    /// OpenFaaS provider.
    pub(crate) const PROVIDER: u16 = 8081;
    /// The agent's libp2p listener.
    pub(crate) const LIBP2P: u16 = 6000;
    /// The agent's health and metrics.
    pub(crate) const AGENT: u16 = 8008;
    /// Metrics of HAProxy.
    pub(crate) const HAPROXY_METRICS: u16 = 8405;
    /// Prometheus, where there is one.
    pub(crate) const PROMETHEUS: u16 = 9090;
    /// The node exporter, where there is one.
    pub(crate) const NODE_EXPORTER: u16 = 9100;
}

const HAPROXY_CONFIGURATION: &str = "/run/haproxy/haproxy.cfg";
const AGENT_KEY: &str = "/run/dfaas/agent/key.pem";
const DEPLOYMENTS: &str = "/run/dfaas/faas/functions.json";
const FAAS_STATE: &str = "/run/dfaas/faas/state";
/// Where the platform finds its credentials, in files named as faasd names them.
const SECRETS: &str = "/run/dfaas/faas/secrets";
/// Where a container finds what the lab gives it.
const CONTAINER_FILES: &str = "/etc/dfaas";
/// Where the testbed's own programs are visible inside a node.
pub(crate) const NODE_PROGRAMS: &str = "/run/dfaas/bin";

/// The label by which the agent knows what a node can serve, in requests per second.
const MAXIMUM_RATE_LABEL: &str = "dfaas.maxrate";
/// The label that tells proxies how long a function may take, in milliseconds.
const TIMEOUT_LABEL: &str = "dfaas.timeout_ms";
/// Where programs are looked for inside a node.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a node's gateway listens. Another agent may need 8080 for itself, as the original does, and then says where it looks
/// for the gateway.
pub(crate) fn gateway_port(node: &Node) -> u16 {
    let other = node.agent.binary.is_some();
    let wanted = node.agent.env.get(names::OPENFAAS_PORT).filter(|_| other);
    wanted.and_then(|port| port.parse().ok()).unwrap_or(port::GATEWAY)
}

/// Another agent that a node's agent can reach.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its libp2p peer id.
    pub(crate) peer_id: String,
    /// The address of its node.
    pub(crate) address: IpAddr,
    /// Whether a link, or switches only, join the two nodes.
    pub(crate) linked: bool,
}

/// What the lab gives to a container beside what the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ContainerInputs {
    /// Variables.
    pub(crate) environment: BTreeMap<String, String>,
    /// Files by their path in the container.
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
}

/// Everything the services of one node depend on.
pub(crate) struct ServiceContext<'a> {
    pub(crate) node: &'a Node,
    pub(crate) planned: &'a PlannedNode,
    /// The agent's private key, PKCS#8 in PEM.
    pub(crate) private_key: &'a str,
    pub(crate) peers: &'a [Peer],
    pub(crate) tools: &'a Tools,
    /// Time between two readings of a watched lab.
    pub(crate) scrape_interval: Duration,
}

impl ServiceContext<'_> {
    /// The specification of one service.
    pub(crate) fn specification(&self, service: Service) -> Result<ServiceSpec, LabError> {
        match service {
            Service::Haproxy => Ok(self.haproxy()),
            Service::Faas => self.faas(),
            Service::Agent => Ok(self.agent()),
            Service::NodeExporter => Ok(self.node_exporter()),
            Service::Prometheus => Ok(self.prometheus()),
        }
    }

    fn haproxy(&self) -> ServiceSpec {
        let haproxy = self.tools.haproxy.display().to_string();
        let command = [
            haproxy.as_str(),
            "-W",
            "-db",
            "-S",
            &format!("{},level,admin", sockets::MASTER),
            "-f",
            HAPROXY_CONFIGURATION,
        ]
        .map(str::to_owned)
        .to_vec();
        let configuration = initial_haproxy_configuration(&InitialSettings::default());
        self.service(
            "haproxy",
            command,
            BTreeMap::new(),
            vec![(HAPROXY_CONFIGURATION.into(), configuration.into_bytes())],
        )
    }

    /// What a container of this node gets: the agent's environment, and files below [`CONTAINER_FILES`]. What it runs is
    /// the image's affair.
    pub(crate) fn for_container(&self) -> Result<ContainerInputs, LabError> {
        let below = |path: &str| Path::new(CONTAINER_FILES).join(path);
        let key = below("agent/key.pem");
        let mut environment = self.agent_environment();
        environment.insert("AGENT_PRIVATE_KEY_FILE".to_owned(), key.display().to_string());
        let mut files = vec![
            (key, self.private_key.as_bytes().to_vec()),
            (below("faas/functions.json"), self.deployments()?),
        ];
        files.extend(self.secrets(&below("faas/secrets")));
        Ok(ContainerInputs { environment, files })
    }

    /// The functions of the node, as bodies of deployment requests.
    fn deployments(&self) -> Result<Vec<u8>, LabError> {
        let deployments: Vec<_> = self.node.functions.values().map(deployment).collect();
        serde_json::to_vec_pretty(&deployments).map_err(|error| LabError::Node {
            node: self.node.name.clone(),
            reason: error.to_string(),
        })
    }

    /// The platform's credentials, in files named as faasd names them; none without any.
    fn secrets(&self, directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let credentials = self.node.faas.basic_auth.iter();
        credentials
            .flat_map(|it| [("user", &it.user), ("password", &it.password)])
            .map(|(name, value)| {
                (
                    directory.join(format!("basic-auth-{name}")),
                    value.clone().into_bytes(),
                )
            })
            .collect()
    }

    fn faas(&self) -> Result<ServiceSpec, LabError> {
        let mut files = vec![(DEPLOYMENTS.into(), self.deployments()?)];
        let mut command = vec![format!("{NODE_PROGRAMS}/dfaas-faas")];
        let mut option = |name: &str, value: &str| command.extend([format!("--{name}"), value.to_owned()]);
        option("bind", "0.0.0.0");
        option("gateway-port", &gateway_port(self.node).to_string());
        option("metrics-port", &port::GATEWAY_METRICS.to_string());
        option("provider-port", &port::PROVIDER.to_string());
        option("deploy", DEPLOYMENTS);
        option("state-directory", FAAS_STATE);
        if self.node.faas.native {
            option("identity", "native");
        }
        let secrets = self.secrets(Path::new(SECRETS));
        if !secrets.is_empty() {
            option("basic-auth-file-directory", SECRETS);
            files.extend(secrets);
        }
        Ok(self.service("faas", command, BTreeMap::new(), files))
    }

    fn node_exporter(&self) -> ServiceSpec {
        let program = self.tools.node_exporter.display().to_string();
        let command = monitoring::node_exporter(program);
        self.service("node-exporter", command, BTreeMap::new(), Vec::new())
    }

    fn prometheus(&self) -> ServiceSpec {
        let program = self.tools.prometheus.display().to_string();
        let (command, files) = monitoring::prometheus(program, &self.node.name, self.scrape_interval);
        self.service("prometheus", command, BTreeMap::new(), files)
    }

    fn agent(&self) -> ServiceSpec {
        let program = match &self.node.agent.binary {
            Some(path) => path.clone(),
            None => format!("{NODE_PROGRAMS}/dfaas-agent"),
        };
        let files = vec![(PathBuf::from(AGENT_KEY), self.private_key.as_bytes().to_vec())];
        self.service("agent", vec![program], self.agent_environment(), files)
    }

    /// What another agent reaches HAProxy through, as the original does; ours needs none.
    pub(crate) fn dataplane(&self) -> Option<ServiceSpec> {
        self.node.agent.binary.as_ref()?;
        let command = [format!("{NODE_PROGRAMS}/dfaas-agent"), "dataplane".to_owned()];
        Some(self.service("dataplane", command.into(), self.agent_environment(), Vec::new()))
    }

    /// The agent's whole configuration: what this node gives it, then what the topology says.
    fn agent_environment(&self) -> BTreeMap<String, String> {
        let address = self.planned.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let bootstrap: Vec<String> = self
            .peers
            .iter()
            .map(|peer| {
                format!(
                    "{}/tcp/{}/p2p/{}",
                    multiaddress(peer.address),
                    port::LIBP2P,
                    peer.peer_id
                )
            })
            .collect();
        let mut environment = BTreeMap::new();
        let mut set = |key: &str, value: String| environment.insert(key.to_owned(), value);
        set(
            "AGENT_LISTEN",
            format!("{}/tcp/{}", multiaddress(address), port::LIBP2P),
        );
        set("AGENT_NODE_IP", address.to_string());
        set("AGENT_HAPROXY_HOST", address.to_string());
        set("AGENT_HAPROXY_PORT", port::HAPROXY.to_string());
        set("AGENT_PRIVATE_KEY_FILE", AGENT_KEY.to_owned());
        set("AGENT_BOOTSTRAP_NODES", (!bootstrap.is_empty()).to_string());
        set("AGENT_BOOTSTRAP_NODES_LIST", bootstrap.join(","));
        set("AGENT_OPENFAAS_HOST", "127.0.0.1".to_owned());
        set("AGENT_OPENFAAS_PORT", gateway_port(self.node).to_string());
        set("AGENT_HTTPSERVER_HOST", "127.0.0.1".to_owned());
        set("AGENT_HTTPSERVER_PORT", port::AGENT.to_string());
        set("AGENT_HAPROXY_CONFIG_FILE", HAPROXY_CONFIGURATION.to_owned());
        set("AGENT_HAPROXY_SOCK_PATH", format!("unix://{}", sockets::RUNTIME));
        set(
            "AGENT_HAPROXY_MASTER_SOCK_PATH",
            format!("unix://{}", sockets::MASTER),
        );
        if self.node.agent.binary.is_some() {
            // The defaults of the API, which another agent need not know.
            for name in [
                names::DATAPLANEAPI_HOST,
                names::DATAPLANEAPI_PORT,
                names::DATAPLANEAPI_USER,
                names::DATAPLANEAPI_PASSWORD,
            ] {
                let default = variable(name).map_or("", |variable| variable.default);
                environment.insert(name.to_owned(), default.to_owned());
            }
        }
        if let Some(credentials) = &self.node.faas.basic_auth {
            environment.insert("AGENT_OPENFAAS_USER".to_owned(), credentials.user.clone());
            environment.insert("AGENT_OPENFAAS_PASS".to_owned(), credentials.password.clone());
        }
        environment.extend(
            self.node
                .agent
                .env
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        self.name_linked_neighbours(&mut environment);
        environment
    }

    /// The agent itself would take `linked` for "in a network of one of my interfaces"; but a node of the lab has one
    /// address for all its links, so that only the topology can tell.
    fn name_linked_neighbours(&self, environment: &mut BTreeMap<String, String>) {
        if environment.get(NEIGHBOURS).map(String::as_str) != Some("linked") {
            return;
        }
        let linked: Vec<&str> = self
            .peers
            .iter()
            .filter(|peer| peer.linked)
            .map(|peer| peer.peer_id.as_str())
            .collect();
        if !linked.is_empty() {
            environment.insert(NEIGHBOURS.to_owned(), linked.join(","));
        }
    }

    fn service(
        &self,
        name: &str,
        command: Vec<String>,
        mut env: BTreeMap<String, String>,
        files: Vec<(PathBuf, Vec<u8>)>,
    ) -> ServiceSpec {
        env.entry("PATH".to_owned())
            .or_insert_with(|| DEFAULT_PATH.to_owned());
        env.extend(
            self.node
                .env
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        ServiceSpec {
            name: name.to_owned(),
            command,
            env,
            directory: "/".into(),
            restart: Restart::Always,
            files,
        }
    }
}

/// The body of an OpenFaaS deployment request for one function of the topology.
fn deployment(function: &dfaas_model::Function) -> serde_json::Value {
    let mut labels = function.labels.clone();
    if let Some(maxrate) = function.maxrate {
        labels.insert(MAXIMUM_RATE_LABEL.to_owned(), maxrate.to_string());
    }
    let mut environment = function.env.clone();
    if let Some(timeout) = function.timeout {
        let milliseconds = timeout.as_millis();
        environment
            .entry("exec_timeout".to_owned())
            .or_insert(format!("{milliseconds}ms"));
        labels
            .entry(TIMEOUT_LABEL.to_owned())
            .or_insert(milliseconds.to_string());
    }
    // The registry that the OpenFaaS store names for its functions.
    let image = function
        .image
        .clone()
        .unwrap_or_else(|| format!("ghcr.io/openfaas/{}:latest", function.name));
    json!({ "service": function.name, "image": image, "envVars": environment, "labels": labels })
}

fn multiaddress(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("/ip4/{address}"),
        IpAddr::V6(address) => format!("/ip6/{address}"),
    }
}
