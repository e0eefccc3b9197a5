//! The list itself.

use super::Kind::{Address, Choice, Duration, Flag, Host, List, Number, Path, Port, Socket, Text};
use super::Section::{Node, Overlay, Platform, Proxy, Server, Strategy};
use super::{Kind, Section, Variable, names};

/// Every variable an agent reads.
pub const VARIABLES: &[Variable] = &[
    variable(
        Node,
        names::NODE_IP,
        Address,
        "",
        "Address of this node as its peers reach it; sent to them and shown in X-Server. Without it, AGENT_HAPROXY_HOST.",
    ),
    variable(
        Node,
        names::PRIVATE_KEY_FILE,
        Path,
        "/var/lib/dfaas-agent/privatekey.pem",
        "Ed25519 private key, PEM PKCS#8 (as `openssl genpkey -algorithm ed25519` writes). Created when missing. Set to nothing for a new identity at every start.",
    ),
    variable(
        Node,
        names::DEBUG,
        Flag,
        "false",
        "Log every decision, and every request in HAProxy's log.",
    ),
    variable(
        Node,
        names::LOG_DATETIME,
        Flag,
        "true",
        "Begin log lines with the UTC time.",
    ),
    variable(Node, names::LOG_COLORS, Flag, "false", "Colour the log lines."),
    variable(
        Node,
        names::LOG_FORMAT,
        Choice(&["text", "json"]),
        "text",
        "What log lines look like: text for people, or json, one object per line.",
    ),
    variable(
        Overlay,
        names::LISTEN,
        List,
        "/ip4/0.0.0.0/tcp/6000",
        "Multiaddresses to listen on (TCP).",
    ),
    variable(
        Overlay,
        names::BOOTSTRAP_NODES,
        Flag,
        "true",
        "Connect to the nodes of AGENT_BOOTSTRAP_NODES_LIST and AGENT_BOOTSTRAP_NODES_FILE.",
    ),
    variable(
        Overlay,
        names::BOOTSTRAP_NODES_LIST,
        List,
        "",
        "Multiaddresses of nodes to connect to, each ending in /p2p/PEERID.",
    ),
    variable(
        Overlay,
        names::BOOTSTRAP_NODES_FILE,
        Path,
        "",
        "File with such multiaddresses, one per line; # begins a comment.",
    ),
    variable(
        Overlay,
        names::BOOTSTRAP_FORCE,
        Flag,
        "true",
        "Keep trying bootstrap nodes that cannot be reached, with growing pauses (1 s to 5 s). With false each is tried once.",
    ),
    variable(
        Overlay,
        names::RENDEZVOUS,
        Text,
        "dfaasagent",
        "Word under which agents find one another in the Kademlia table.",
    ),
    variable(
        Overlay,
        names::KAD_IDLE_TIME,
        Duration,
        "1m",
        "Pause between two look-ups of the rendezvous.",
    ),
    variable(
        Overlay,
        names::MDNS_ENABLED,
        Flag,
        "false",
        "Look for agents on the same network segment by multicast DNS too, with AGENT_RENDEZVOUS as the name of the service.",
    ),
    variable(
        Overlay,
        names::PUBSUB_TOPIC,
        Text,
        "/dfaasagent/1.0.0",
        "GossipSub topic of the agents' messages.",
    ),
    variable(
        Strategy,
        names::STRATEGY,
        Choice(&["recalcstrategy"]),
        "recalcstrategy",
        "Load balancing strategy.",
    ),
    variable(
        Strategy,
        names::RECALC_PERIOD,
        Duration,
        "1m",
        "Period T of the strategy: limits are computed at whole multiples of T (UTC), weights half a period later. 0 means 1m.",
    ),
    variable(
        Strategy,
        names::RATE_WINDOW,
        Duration,
        "",
        "How long before the computation user requests are counted to get their rate; at most T. Without it, half of T.",
    ),
    variable(
        Strategy,
        names::LIMITIN_ENFORCE,
        Flag,
        "true",
        "Answer 429 to what a peer sends beyond the limit it was given. false is the behaviour of the 2021 paper.",
    ),
    variable(
        Strategy,
        names::COMPAT,
        Choice(&["", "upstream-2021", "upstream"]),
        "",
        "Reproduce the original: upstream-2021 counts over half a period, upstream takes the rate of the last second; both publish to a known peer only the functions that peer named, and nothing to a peer that was silent so far.",
    ),
    variable(
        Strategy,
        names::NEIGHBOURS,
        List,
        "all",
        "Agents to exchange load with: all, or PeerIds.",
    ),
    variable(
        Proxy,
        names::HAPROXY_HOST,
        Address,
        "127.0.0.1",
        "Address sent to peers when AGENT_NODE_IP is not set.",
    ),
    variable(
        Proxy,
        names::HAPROXY_PORT,
        Port,
        "80",
        "Port of this node's proxy, sent to peers.",
    ),
    variable(
        Proxy,
        names::HAPROXY_BIND,
        List,
        "*:80,*:30080",
        "Where HAProxy listens for requests. [::]:80 takes IPv4 too.",
    ),
    variable(
        Proxy,
        names::HAPROXY_METRICS_BIND,
        Text,
        "*:8405",
        "Where HAProxy serves its Prometheus metrics, at /metrics.",
    ),
    variable(
        Proxy,
        names::HAPROXY_PEERS_BIND,
        Text,
        "127.0.0.1:8406",
        "Loopback address over which a reloaded HAProxy takes the request counters over. Set to nothing, counters start at zero after a reload.",
    ),
    variable(
        Proxy,
        names::HAPROXY_CONFIG_FILE,
        Path,
        "/etc/haproxy/haproxy.cfg",
        "Configuration file that HAProxy was started with; the agent owns it and keeps its map files (dfaas-*.map) beside it.",
    ),
    variable(
        Proxy,
        names::HAPROXY_EXECUTABLE,
        Path,
        "/usr/sbin/haproxy",
        "Program that checks a configuration before it is used. Set to nothing, only HAProxy's own check at reload is left.",
    ),
    variable(
        Proxy,
        names::HAPROXY_SOCK_PATH,
        Socket,
        "unix:///run/haproxy/admin.sock",
        "HAProxy's Runtime API.",
    ),
    variable(
        Proxy,
        names::HAPROXY_MASTER_SOCK_PATH,
        Socket,
        "unix:///run/haproxy/master.sock",
        "HAProxy's master process (haproxy -W -S …), asked to reload.",
    ),
    variable(
        Proxy,
        names::HAPROXY_CONFIG_UPDATE_COMMAND,
        Text,
        "",
        "Shell command that reloads HAProxy, instead of the master socket.",
    ),
    variable(
        Proxy,
        names::HAPROXY_THREADS,
        Number,
        "1",
        "Threads of HAProxy. One is exact: with more, a limit may be exceeded by a request per thread.",
    ),
    variable(
        Platform,
        names::OPENFAAS_HOST,
        Host,
        "127.0.0.1",
        "Host of the OpenFaaS gateway.",
    ),
    variable(Platform, names::OPENFAAS_PORT, Port, "8080", "Its port."),
    variable(
        Platform,
        names::OPENFAAS_USER,
        Text,
        "",
        "User for HTTP Basic authentication; without it, none is sent.",
    ),
    variable(Platform, names::OPENFAAS_PASS, Text, "", "Password for it."),
    variable(
        Server,
        names::HTTPSERVER_HOST,
        Host,
        "127.0.0.1",
        "Where the agent serves /healthz, /metrics and /peers.",
    ),
    variable(Server, names::HTTPSERVER_PORT, Port, "8008", "Its port."),
];

/// Variables of the original agent that have no effect here, and why. Setting one is reported once at the start.
pub const UNUSED: &[(&str, &str)] = &[
    (
        "AGENT_PUBLIC_BOOTSTRAP_NODES",
        "the public IPFS nodes are never used; name your own in AGENT_BOOTSTRAP_NODES_LIST",
    ),
    (
        "AGENT_MDNS_INTERVAL",
        "questions are repeated after pauses of 1 s, growing to 60 s",
    ),
    ("AGENT_HAPROXY_TEMPLATE_FILE_NMS", "the configuration is built in"),
    (
        "AGENT_HAPROXY_TEMPLATE_FILE_RECALC",
        "the configuration is built in",
    ),
    (
        "AGENT_DATAPLANEAPI_HOST",
        "HAProxy is reached through its sockets",
    ),
    (
        "AGENT_DATAPLANEAPI_PORT",
        "HAProxy is reached through its sockets",
    ),
    (
        "AGENT_DATAPLANEAPI_USER",
        "HAProxy is reached through its sockets",
    ),
    (
        "AGENT_DATAPLANEAPI_PASSWORD",
        "HAProxy is reached through its sockets",
    ),
    ("AGENT_RUNTIMEAPI_HOST", "HAProxy is reached through its sockets"),
    ("AGENT_RUNTIMEAPI_PORT", "HAProxy is reached through its sockets"),
    ("AGENT_REJECTOR_HOST", "refusals are made by HAProxy"),
    ("AGENT_REJECTOR_PORT", "refusals are made by HAProxy"),
    (
        "AGENT_PROMETHEUS_HOST",
        "the recalc strategy reads HAProxy's counters instead",
    ),
    (
        "AGENT_PROMETHEUS_PORT",
        "the recalc strategy reads HAProxy's counters instead",
    ),
    (
        "AGENT_PROMETHEUS_STEP",
        "the recalc strategy reads HAProxy's counters instead",
    ),
    ("AGENT_FORECASTER_HOST", "it belongs to the node margin strategy"),
    ("AGENT_FORECASTER_PORT", "it belongs to the node margin strategy"),
    (
        "AGENT_GROUP_LIST_FILE_NAME",
        "it belongs to the node margin strategy",
    ),
    ("AGENT_NODE_TYPE", "it belongs to the node margin strategy"),
    (
        "AGENT_NMS_CPU_THRESHOLD",
        "it belongs to the node margin strategy",
    ),
    (
        "AGENT_NMS_RAM_THRESHOLD",
        "it belongs to the node margin strategy",
    ),
    (
        "AGENT_NMS_POWER_THRESHOLD",
        "it belongs to the node margin strategy",
    ),
    (
        "AGENT_RLMODEL_HOST",
        "it belongs to the reinforcement learning strategy",
    ),
    (
        "AGENT_RLMODEL_PORT",
        "it belongs to the reinforcement learning strategy",
    ),
    (
        "AGENT_RLMODEL_EXPLORE",
        "it belongs to the reinforcement learning strategy",
    ),
];

const fn variable(
    section: Section,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Variable {
    Variable {
        name,
        kind,
        default,
        section,
        help,
    }
}
