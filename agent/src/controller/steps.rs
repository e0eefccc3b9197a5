//! What happens at each tick.

use super::Controller;
use crate::config::RateSource;
use crate::proxy::UserCounters;
use crate::strategy::{FunctionName, LimitsIn, Step1Inputs, Tick};
use dfaas_agent_api::MsgNodeInfoRecalc;
use dfaas_agent_api::message::FunctionLimits;
use std::collections::BTreeMap;
use std::time::Instant;

impl Controller {
    /// Does what is due.
    pub(super) async fn tick(&mut self) {
        match self.clock.take() {
            Some(Tick::Step1) => self.step1().await,
            Some(Tick::WindowBegins) => {
                if let Some(counters) = self.user_counters().await {
                    self.meter.mark(self.clock.monotonic(), &counters.counts);
                }
            }
            Some(Tick::Step2) => self.step2().await,
            None => {}
        }
    }

    async fn step1(&mut self) {
        let begun = Instant::now();
        self.rates = self.user_rates().await;
        let now = self.clock.monotonic();
        self.strategy.purge(now);
        self.limits_before = self.limits();
        let inputs = Step1Inputs {
            peers: &self.connected,
            functions: &self.functions.balanced,
            user_rates: &self.rates,
        };
        let outputs = self.strategy.step1(now, inputs);
        for (function, maximum) in &self.functions.balanced {
            tracing::debug!(
                function,
                maximum,
                rate = self.rates.get(function).copied().unwrap_or_default(),
                overloaded = outputs.overloaded.contains(function),
                "step 1"
            );
        }
        self.publish(outputs.offers);
        self.apply().await;
        self.step1_duration = begun.elapsed();
    }

    async fn step2(&mut self) {
        let begun = Instant::now();
        self.weights = self.strategy.step2(self.clock.monotonic());
        self.limits_before = LimitsIn::new();
        for (peer, entry) in self.strategy.table().iter() {
            for (function, share) in &entry.functions {
                let (limit_in, limit_out, weight) = (share.limit_in, share.limit_out, share.weight);
                tracing::debug!(peer, function, limit_in, limit_out, weight, "step 2");
            }
        }
        self.apply().await;
        self.parts.metrics.iterations.inc();
        let duration = self.step1_duration + begun.elapsed();
        self.parts.metrics.iteration_duration.set(duration.as_secs_f64());
    }

    /// Publishes offers under this node's address.
    pub(super) fn publish(&self, offers: FunctionLimits) {
        let message = MsgNodeInfoRecalc {
            haproxy_host: self.parts.node.address.to_string(),
            haproxy_port: u32::from(self.parts.node.port),
            func_limits: offers,
        };
        self.parts.overlay.publish(message.to_json().into_bytes());
    }

    /// Users' requests per second; nothing when HAProxy cannot say.
    async fn user_rates(&mut self) -> BTreeMap<FunctionName, f64> {
        let Some(counters) = self.user_counters().await else {
            return BTreeMap::new();
        };
        match self.parts.strategy.rate {
            RateSource::Window(_) => self.meter.rates(self.clock.monotonic(), &counters.counts),
            RateSource::LastSecond => counters.last_second,
        }
    }

    async fn user_counters(&self) -> Option<UserCounters> {
        match self.parts.proxy.user_counters().await {
            Ok(counters) => Some(counters),
            Err(error) => {
                tracing::warn!(%error, "user rates are unknown");
                None
            }
        }
    }
}
