//! What happens at each tick.

use super::{Controller, strategy};
use crate::config::RateSource;
use crate::proxy::UserCounters;
use crate::strategy::{Answers, FunctionName, Need, Tick, View, Word};
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
        let patience = strategy::rhythm(&self.parts.strategy) / 2;
        let taken = tokio::time::timeout(patience, self.decide()).await;
        let taken = taken.unwrap_or_else(|_| Err(format!("no decision within {} s", patience.as_secs_f64())));
        match taken {
            Ok(words) => {
                if self.step_failure.take().is_some() {
                    tracing::info!("the strategy decides again");
                }
                self.log_decision();
                if !words.is_empty() {
                    // They say what newcomers wait for.
                    self.introduce_at = None;
                }
                self.publish(words);
            }
            Err(reason) => {
                self.parts.metrics.strategy_failures.inc();
                if self.step_failure.as_ref() != Some(&reason) {
                    tracing::warn!(reason, "the strategy cannot decide; weights stay as they are");
                    self.step_failure = Some(reason);
                }
            }
        }
        self.apply().await;
        self.step1_duration = begun.elapsed();
    }

    /// Takes step 1, answering what the strategy asks on the way.
    async fn decide(&mut self) -> Result<Vec<Word>, String> {
        let mut answers = Answers::default();
        loop {
            let view = View {
                now: self.clock.monotonic(),
                peers: &self.neighbours,
                functions: &self.functions.balanced,
                user_rates: &self.rates,
                answers: &answers,
            };
            let need = match self.strategy.step1(&view) {
                Ok(words) => return Ok(words),
                Err(need) => need,
            };
            match need {
                Need::Forecasts(questions) => self
                    .services
                    .forecast(questions, &mut answers)
                    .await
                    .map_err(|error| error.to_string())?,
                Need::Observation => {
                    let observed = self.observe().await.map_err(|error| error.to_string())?;
                    answers.observed = Some(observed);
                }
                Need::Actions(observations) => self
                    .services
                    .act(observations, &mut answers)
                    .await
                    .map_err(|error| error.to_string())?,
            }
        }
    }

    fn log_decision(&self) {
        let overloaded = self.strategy.overloaded();
        for (function, maximum) in &self.functions.balanced {
            let rate = self.rates.get(function).copied().unwrap_or_default();
            let overloaded = overloaded.contains(function);
            tracing::debug!(function, maximum, rate, overloaded, "step 1");
        }
    }

    async fn step2(&mut self) {
        let begun = Instant::now();
        let answers = Answers::default();
        let view = View {
            now: self.clock.monotonic(),
            peers: &self.neighbours,
            functions: &self.functions.balanced,
            user_rates: &self.rates,
            answers: &answers,
        };
        self.strategy.step2(&view);
        for (peer, (_, shares)) in self.strategy.table() {
            for (function, share) in shares {
                let (limit_in, limit_out, weight) = (share.limit_in, share.limit_out, share.weight);
                tracing::debug!(peer, function, limit_in, limit_out, weight, "step 2");
            }
        }
        self.apply().await;
        self.parts.metrics.iterations.inc();
        let duration = self.step1_duration + begun.elapsed();
        self.parts.metrics.iteration_duration.set(duration.as_secs_f64());
    }

    /// Publishes words under this node's address.
    pub(super) fn publish(&self, words: Vec<Word>) {
        for word in words {
            let text = crate::words::to_json(word, self.parts.node.address, self.parts.node.port);
            self.parts.overlay.publish(text.into_bytes());
        }
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
