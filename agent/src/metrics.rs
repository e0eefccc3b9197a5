//! What the agent counts, served at `/metrics`.

mod federation;

use crate::status::Status;
use dfaas_agent_api::metrics as names;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// All metrics of an agent.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Completed iterations of the strategy.
    pub iterations: PlainCounter,
    /// Duration of the last iteration in seconds.
    pub iteration_duration: Gauge<f64, AtomicU64>,
    /// Connected agents.
    pub peers: Gauge,
    /// Local functions that are balanced.
    pub functions: Gauge,
    /// Messages sent.
    pub messages_published: Counter,
    /// Successful reloads of HAProxy.
    pub reloads: Counter,
    /// Commands to HAProxy's Runtime API.
    pub runtime_commands: Counter,
    /// Failed attempts to bring HAProxy into the desired state.
    pub proxy_failures: Counter,
    /// Steps that the strategy could not take.
    pub strategy_failures: Counter,
    /// Questions that the functions platform did not answer.
    pub platform_failures: Counter,
    messages: Family<Kind, Counter>,
    bad_messages: Family<Reason, Counter>,
    round_trips: Family<Peer, Gauge<f64, AtomicU64>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    r#type: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Peer {
    peer: String,
}

/// A counter whose name is not given an end (`_total`): the original's dashboards know it so.
#[derive(Clone, Debug, Default)]
pub struct PlainCounter(Counter);

impl PlainCounter {
    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }
}

impl TypedMetric for PlainCounter {
    const TYPE: MetricType = MetricType::Unknown;
}

impl EncodeMetric for PlainCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        encoder.encode_gauge(&i64::try_from(self.0.get()).unwrap_or(i64::MAX))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Unknown
    }
}

impl Metrics {
    /// Registered metrics, all at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Mutex::default(),
            iterations: PlainCounter::default(),
            iteration_duration: Gauge::default(),
            peers: Gauge::default(),
            functions: Gauge::default(),
            messages_published: Counter::default(),
            reloads: Counter::default(),
            runtime_commands: Counter::default(),
            proxy_failures: Counter::default(),
            strategy_failures: Counter::default(),
            platform_failures: Counter::default(),
            messages: Family::default(),
            bad_messages: Family::default(),
            round_trips: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        /// The library adds `_total` to a counter's name itself.
        fn stem(name: &'static str) -> &'static str {
            name.strip_suffix("_total").unwrap_or(name)
        }
        let registry = self.registry.get_mut().unwrap_or_else(PoisonError::into_inner);
        registry.register(
            names::STRATEGY_ITERATIONS,
            "Iterations of the strategy",
            self.iterations.clone(),
        );
        registry.register(
            names::STRATEGY_ITERATION_DURATION_SECONDS,
            "Duration of the last iteration",
            self.iteration_duration.clone(),
        );
        registry.register(names::PEERS, "Connected agents", self.peers.clone());
        registry.register(
            names::FUNCTIONS,
            "Balanced local functions",
            self.functions.clone(),
        );
        let counters = [
            (
                names::MESSAGES_PUBLISHED,
                "Messages published",
                &self.messages_published,
            ),
            (names::HAPROXY_RELOADS, "Reloads of HAProxy", &self.reloads),
            (
                names::HAPROXY_RUNTIME_COMMANDS,
                "Changes without a reload",
                &self.runtime_commands,
            ),
            (
                names::HAPROXY_FAILURES,
                "Failed changes of HAProxy",
                &self.proxy_failures,
            ),
            (
                names::STRATEGY_FAILURES,
                "Steps that could not be taken",
                &self.strategy_failures,
            ),
            (
                names::PLATFORM_FAILURES,
                "Lists of functions that did not come",
                &self.platform_failures,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(stem(name), help, counter.clone());
        }
        registry.register(
            stem(names::MESSAGES_RECEIVED),
            "Messages of other agents",
            self.messages.clone(),
        );
        registry.register(
            stem(names::MESSAGES_BAD),
            "Messages dropped",
            self.bad_messages.clone(),
        );
        registry.register(
            names::PEER_ROUND_TRIP_SECONDS,
            "Round trip time of the last ping",
            self.round_trips.clone(),
        );
    }

    /// Lets a library add counters of its own.
    pub fn with_registry<T>(&self, add: impl FnOnce(&mut Registry) -> T) -> T {
        add(&mut self.lock())
    }

    /// Adds what is shown of the federation, as it is when somebody asks.
    pub fn show(&self, status: watch::Receiver<Status>) {
        self.with_registry(|registry| {
            registry.register_collector(Box::new(federation::Federation::new(status)))
        });
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a message that was believed, by its `MsgType`.
    pub fn message(&self, kind: &'static str) {
        let kind = Kind {
            r#type: kind.to_owned(),
        };
        self.messages.get_or_create(&kind).inc();
    }

    /// Counts a message that was dropped.
    pub fn bad_message(&self, reason: &str) {
        self.bad_messages
            .get_or_create(&Reason {
                reason: reason.to_owned(),
            })
            .inc();
    }

    /// Notes a peer's round trip time; nothing when the peer is gone.
    pub fn set_round_trip(&self, peer: &str, time: Option<Duration>) {
        let label = Peer {
            peer: peer.to_owned(),
        };
        match time {
            Some(time) => {
                self.round_trips.get_or_create(&label).set(time.as_secs_f64());
            }
            None => {
                self.round_trips.remove(&label);
            }
        }
    }

    /// All metrics in the text form of OpenMetrics.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.lock())?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_promised_ones() {
        let metrics = Metrics::new();
        metrics.iterations.inc();
        metrics.peers.set(2);
        metrics.message("nodeinfoRecalc");
        metrics.bad_message("not a message");
        metrics.set_round_trip("12D3KooW", Some(Duration::from_millis(10)));
        let text = metrics.text().unwrap();
        for line in [
            "dfaas_agent_strategy_iterations 1\n",
            "dfaas_agent_peers 2\n",
            "dfaas_agent_messages_bad_total{reason=\"not a message\"} 1\n",
            "dfaas_agent_messages_received_total{type=\"nodeinfoRecalc\"} 1\n",
            "dfaas_agent_peer_round_trip_seconds{peer=\"12D3KooW\"} 0.01\n",
        ] {
            assert!(text.contains(line), "{line:?} is missing from\n{text}");
        }
        metrics.set_round_trip("12D3KooW", None);
        assert!(!metrics.text().unwrap().contains("12D3KooW"));
    }
}
