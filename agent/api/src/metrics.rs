//! Names of the metrics the agent serves at `/metrics`, as a Prometheus server reads them.

/// Count of completed iterations of the strategy (one per recalc period). It keeps the original's name, which has no
/// `_total` at its end.
pub const STRATEGY_ITERATIONS: &str = "dfaas_agent_strategy_iterations";
/// Gauge: how long the computation and the proxy update of the last iteration took, in seconds.
pub const STRATEGY_ITERATION_DURATION_SECONDS: &str = "dfaas_agent_strategy_iteration_duration_seconds";
/// Counter: steps that the strategy could not take because proxy, forecaster or model did not answer; the weights
/// before stayed in force.
pub const STRATEGY_FAILURES: &str = "dfaas_agent_strategy_failures_total";
/// Gauge: agents this one is connected to at the moment, itself not counted.
pub const PEERS: &str = "dfaas_agent_peers";
/// Counter, label `type` (`MsgType`): messages of other agents that were believed.
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
/// Counter: questions to the functions platform that it did not answer with a list of functions; the list before stayed.
pub const PLATFORM_FAILURES: &str = "dfaas_agent_platform_failures_total";
/// Gauge: local functions taking part in the balancing.
pub const FUNCTIONS: &str = "dfaas_agent_functions";
/// Gauge, label `peer`: last ping's round trip time in seconds.
pub const PEER_ROUND_TRIP_SECONDS: &str = "dfaas_agent_peer_round_trip_seconds";
/// Gauge, label `function`: requests per second it is made for on this node.
pub const FUNCTION_MAXRATE: &str = "dfaas_agent_function_maxrate";
/// Gauge, label `function`: users' requests per second at the last measurement.
pub const FUNCTION_USER_RATE: &str = "dfaas_agent_function_user_rate";
/// Gauge, label `function`: 1 when that was more than it is made for.
pub const FUNCTION_OVERLOADED: &str = "dfaas_agent_function_overloaded";
/// Gauge, labels `peer` and `function`: requests per second taken from the peer.
pub const LIMIT_IN: &str = "dfaas_agent_limit_in";
/// Gauge, labels `peer` and `function`: requests per second the peer takes.
pub const LIMIT_OUT: &str = "dfaas_agent_limit_out";
/// Gauge, labels `peer` and `function`: HAProxy weight of the peer when forwarding.
pub const WEIGHT: &str = "dfaas_agent_weight";
