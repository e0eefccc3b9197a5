//! Names of the environment variables, so that a program that sets them cannot misspell one.

/// Address of this node as its peers reach it.
pub const NODE_IP: &str = "AGENT_NODE_IP";
/// Ed25519 private key, PEM PKCS#8 (as `openssl genpkey -algorithm ed25519` writes).
pub const PRIVATE_KEY_FILE: &str = "AGENT_PRIVATE_KEY_FILE";
/// Log every decision, and every request in HAProxy's log.
pub const DEBUG: &str = "AGENT_DEBUG";
/// Begin log lines with the UTC time.
pub const LOG_DATETIME: &str = "AGENT_LOG_DATETIME";
/// Colour the log lines.
pub const LOG_COLORS: &str = "AGENT_LOG_COLORS";
/// What log lines look like: text, or one JSON object per line.
pub const LOG_FORMAT: &str = "AGENT_LOG_FORMAT";
/// Multiaddresses to listen on (TCP).
pub const LISTEN: &str = "AGENT_LISTEN";
/// Connect to the nodes of AGENT_BOOTSTRAP_NODES_LIST and AGENT_BOOTSTRAP_NODES_FILE.
pub const BOOTSTRAP_NODES: &str = "AGENT_BOOTSTRAP_NODES";
/// Multiaddresses of nodes to connect to, each ending in /p2p/PEERID.
pub const BOOTSTRAP_NODES_LIST: &str = "AGENT_BOOTSTRAP_NODES_LIST";
/// File with such multiaddresses, one per line.
pub const BOOTSTRAP_NODES_FILE: &str = "AGENT_BOOTSTRAP_NODES_FILE";
/// Keep trying bootstrap nodes that cannot be reached, with growing pauses (1 s to 5 s).
pub const BOOTSTRAP_FORCE: &str = "AGENT_BOOTSTRAP_FORCE";
/// Word under which agents find one another in the Kademlia table.
pub const RENDEZVOUS: &str = "AGENT_RENDEZVOUS";
/// Pause between two look-ups of the rendezvous.
pub const KAD_IDLE_TIME: &str = "AGENT_KAD_IDLE_TIME";
/// Look for agents on the same network segment by multicast DNS too.
pub const MDNS_ENABLED: &str = "AGENT_MDNS_ENABLED";
/// GossipSub topic of the agents' messages.
pub const PUBSUB_TOPIC: &str = "AGENT_PUBSUB_TOPIC";
/// Load balancing strategy.
pub const STRATEGY: &str = "AGENT_STRATEGY";
/// Period T of the strategy: limits are computed at whole multiples of T (UTC), weights half a period later.
pub const RECALC_PERIOD: &str = "AGENT_RECALC_PERIOD";
/// How long before the computation user requests are counted to get their rate.
pub const RATE_WINDOW: &str = "AGENT_RATE_WINDOW";
/// Answer 429 to what a peer sends beyond the limit it was given.
pub const LIMITIN_ENFORCE: &str = "AGENT_LIMITIN_ENFORCE";
/// Reproduce the original: upstream-2021 counts over half a period, upstream takes the rate of the last second.
pub const COMPAT: &str = "AGENT_COMPAT";
/// Agents to exchange load with.
pub const NEIGHBOURS: &str = "AGENT_NEIGHBOURS";
/// Node margin: what this node is.
pub const NODE_TYPE: &str = "AGENT_NODE_TYPE";
/// Node margin: processor use above which the node is overloaded.
pub const NMS_CPU_THRESHOLD: &str = "AGENT_NMS_CPU_THRESHOLD";
/// Node margin: memory above which the node is overloaded.
pub const NMS_RAM_THRESHOLD: &str = "AGENT_NMS_RAM_THRESHOLD";
/// Node margin: power above which the node is overloaded.
pub const NMS_POWER_THRESHOLD: &str = "AGENT_NMS_POWER_THRESHOLD";
/// Node margin: file that says which function belongs to which group.
pub const GROUP_LIST_FILE_NAME: &str = "AGENT_GROUP_LIST_FILE_NAME";
/// Node margin: host of the forecaster.
pub const FORECASTER_HOST: &str = "AGENT_FORECASTER_HOST";
/// Its port.
pub const FORECASTER_PORT: &str = "AGENT_FORECASTER_PORT";
/// Random: seed of the draws.
pub const RANDOM_SEED: &str = "AGENT_RANDOM_SEED";
/// Random: whether requests may be rejected.
pub const RANDOM_REJECT: &str = "AGENT_RANDOM_REJECT";
/// Latency threshold: the longest round trip to a peer that takes part.
pub const LATENCY_THRESHOLD_MS: &str = "AGENT_LATENCY_THRESHOLD_MS";
/// RL: host of the model's service.
pub const RLMODEL_HOST: &str = "AGENT_RLMODEL_HOST";
/// Its port.
pub const RLMODEL_PORT: &str = "AGENT_RLMODEL_PORT";
/// RL: whether the model may try actions out.
pub const RLMODEL_EXPLORE: &str = "AGENT_RLMODEL_EXPLORE";
/// Address sent to peers when AGENT_NODE_IP is not set.
pub const HAPROXY_HOST: &str = "AGENT_HAPROXY_HOST";
/// Port of this node's proxy, sent to peers.
pub const HAPROXY_PORT: &str = "AGENT_HAPROXY_PORT";
/// Where HAProxy listens for requests.
pub const HAPROXY_BIND: &str = "AGENT_HAPROXY_BIND";
/// Where HAProxy serves its Prometheus metrics, at /metrics.
pub const HAPROXY_METRICS_BIND: &str = "AGENT_HAPROXY_METRICS_BIND";
/// Loopback address over which a reloaded HAProxy takes the request counters over.
pub const HAPROXY_PEERS_BIND: &str = "AGENT_HAPROXY_PEERS_BIND";
/// Configuration file that HAProxy was started with.
pub const HAPROXY_CONFIG_FILE: &str = "AGENT_HAPROXY_CONFIG_FILE";
/// Program that checks a configuration before it is used.
pub const HAPROXY_EXECUTABLE: &str = "AGENT_HAPROXY_EXECUTABLE";
/// HAProxy's Runtime API.
pub const HAPROXY_SOCK_PATH: &str = "AGENT_HAPROXY_SOCK_PATH";
/// HAProxy's master process (haproxy -W -S …), asked to reload.
pub const HAPROXY_MASTER_SOCK_PATH: &str = "AGENT_HAPROXY_MASTER_SOCK_PATH";
/// Shell command that reloads HAProxy, instead of the master socket.
pub const HAPROXY_CONFIG_UPDATE_COMMAND: &str = "AGENT_HAPROXY_CONFIG_UPDATE_COMMAND";
/// Threads of HAProxy.
pub const HAPROXY_THREADS: &str = "AGENT_HAPROXY_THREADS";
/// `dfaas-agent dataplane`: where it listens.
pub const DATAPLANEAPI_HOST: &str = "AGENT_DATAPLANEAPI_HOST";
/// Its port.
pub const DATAPLANEAPI_PORT: &str = "AGENT_DATAPLANEAPI_PORT";
/// User that it wants to hear, by HTTP Basic authentication.
pub const DATAPLANEAPI_USER: &str = "AGENT_DATAPLANEAPI_USER";
/// Password for it.
pub const DATAPLANEAPI_PASSWORD: &str = "AGENT_DATAPLANEAPI_PASSWORD";
/// Host of the OpenFaaS gateway.
pub const OPENFAAS_HOST: &str = "AGENT_OPENFAAS_HOST";
/// Its port.
pub const OPENFAAS_PORT: &str = "AGENT_OPENFAAS_PORT";
/// User for HTTP Basic authentication.
pub const OPENFAAS_USER: &str = "AGENT_OPENFAAS_USER";
/// Password for it.
pub const OPENFAAS_PASS: &str = "AGENT_OPENFAAS_PASS";
/// Where the agent serves /healthz, /metrics and /peers.
pub const HTTPSERVER_HOST: &str = "AGENT_HTTPSERVER_HOST";
/// Its port.
pub const HTTPSERVER_PORT: &str = "AGENT_HTTPSERVER_PORT";
