//! Names of the metrics the agent serves at `/metrics`, as a Prometheus server reads them.

/// Count of completed iterations of the strategy (one per recalc period). It keeps the original's name, which has no
/// `_total` at its end.
pub const STRATEGY_ITERATIONS: &str = "dfaas_agent_strategy_iterations";
/// Gauge: how long the computation and the proxy update of the last iteration took, in seconds.
pub const STRATEGY_ITERATION_DURATION_SECONDS: &str = "dfaas_agent_strategy_iteration_duration_seconds";
/// Gauge: agents this one is connected to at the moment, itself not counted.
pub const PEERS: &str = "dfaas_agent_peers";
/// Counter: well-formed messages of other agents.
pub const MESSAGES_RECEIVED: &str = "dfaas_agent_messages_received_total";
/// Counter, label `reason`: messages that were dropped.
pub const MESSAGES_BAD: &str = "dfaas_agent_messages_bad_total";
/// Counter: messages handed to the overlay.
pub const MESSAGES_PUBLISHED: &str = "dfaas_agent_messages_published_total";
/// Counter: successful reloads of HAProxy.
pub const HAPROXY_RELOADS: &str = "dfaas_agent_haproxy_reloads_total";
/// Counter: changes made through HAProxy's Runtime API, one per command.
pub const HAPROXY_RUNTIME_COMMANDS: &str = "dfaas_agent_haproxy_runtime_commands_total";
/// Counter: configurations that could not be applied; the one before stayed in force.
pub const HAPROXY_FAILURES: &str = "dfaas_agent_haproxy_failures_total";
/// Gauge: local functions taking part in the balancing.
pub const FUNCTIONS: &str = "dfaas_agent_functions";
/// Gauge, label `peer`: last ping's round trip time in seconds.
pub const PEER_ROUND_TRIP_SECONDS: &str = "dfaas_agent_peer_round_trip_seconds";
