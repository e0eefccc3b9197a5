//! The gateway's metrics, with the names, labels and buckets of the original.

mod containers;
mod process;
mod provider;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::registry::Registry;
pub(crate) use containers::exposition as containers;
pub(crate) use provider::ProviderMetrics;
use text::Exposition;

/// Upper bounds of the histogram in seconds: the default of Go's client library.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Content type of the exposition.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counts of everything the gateway passed on.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    counts: Mutex<Counts>,
    scrapes: Scrapes,
}

/// How often metrics were asked for, as Go's handler counts it: the request that asks is in flight and counted later.
#[derive(Debug, Default)]
struct Scrapes(AtomicU64);

impl Scrapes {
    fn write(&self, text: &mut Exposition) {
        text.family(
            "promhttp_metric_handler_requests_in_flight",
            "Current number of scrapes being served.",
            "gauge",
        );
        text.sample("promhttp_metric_handler_requests_in_flight", &[], 1.0);
        text.family(
            "promhttp_metric_handler_requests_total",
            "Total number of scrapes by HTTP status code.",
            "counter",
        );
        let served = self.0.fetch_add(1, Ordering::Relaxed) as f64;
        for (code, count) in [("200", served), ("500", 0.0), ("503", 0.0)] {
            text.sample("promhttp_metric_handler_requests_total", &[("code", code)], count);
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    started: BTreeMap<Arc<str>, u64>,
    /// By status code and function, which is the order of the exposition.
    finished: BTreeMap<(u16, Arc<str>), Histogram>,
}

#[derive(Debug, Default)]
struct Histogram {
    /// Observations per bucket, not accumulated.
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    fn observe(&mut self, seconds: f64) {
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }

    fn write(&self, text: &mut Exposition, name: &str, labels: &[(&str, &str)]) {
        let bucket = |text: &mut Exposition, bound: &str, count: u64| {
            let labels = [labels, &[("le", bound)]].concat();
            text.sample(&format!("{name}_bucket"), &labels, count as f64);
        };
        let mut up_to = 0;
        for (bound, count) in BUCKETS.iter().zip(self.buckets) {
            up_to += count;
            bucket(text, &text::number(*bound), up_to);
        }
        bucket(text, "+Inf", self.count);
        text.sample(&format!("{name}_sum"), labels, self.sum);
        text.sample(&format!("{name}_count"), labels, self.count as f64);
    }
}

impl Metrics {
    /// A request is passed on to `function` (`name.namespace`).
    pub(crate) fn started(&self, function: &Arc<str>) {
        *self.counts().started.entry(function.clone()).or_default() += 1;
    }

    /// The request has been answered, or given up.
    pub(crate) fn finished(&self, function: &Arc<str>, code: u16, duration: Duration) {
        self.counts()
            .finished
            .entry((code, function.clone()))
            .or_default()
            .observe(duration.as_secs_f64());
    }

    /// Finished invocations per function.
    pub(crate) fn invocations(&self) -> BTreeMap<Arc<str>, u64> {
        let mut sums = BTreeMap::new();
        for ((_, function), histogram) in &self.counts().finished {
            *sums.entry(function.clone()).or_default() += histogram.count;
        }
        sums
    }

    /// Everything in the Prometheus text format 0.0.4, families sorted by name.
    pub(crate) fn exposition(&self, registry: &Registry) -> String {
        let mut text = Exposition::default();
        {
            let counts = self.counts();
            counts.write_counters(&mut text);
            counts.write_histograms(&mut text);
        }
        text.family(
            "gateway_service_count",
            "Current count of replicas for function",
            "gauge",
        );
        let mut replicas: Vec<_> = registry
            .all()
            .iter()
            .map(|function| (function.full_name.clone(), function.replicas()))
            .collect();
        replicas.sort();
        for (function, count) in replicas {
            text.sample(
                "gateway_service_count",
                &[("function_name", &function)],
                count as f64,
            );
        }
        process::write(&mut text);
        self.scrapes.write(&mut text);
        text.into_string()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn write_counters(&self, text: &mut Exposition) {
        text.family(
            "gateway_function_invocation_started",
            "The total number of function HTTP requests started.",
            "counter",
        );
        for (function, count) in &self.started {
            text.sample(
                "gateway_function_invocation_started",
                &[("function_name", function)],
                *count as f64,
            );
        }
        text.family("gateway_function_invocation_total", "Function metrics", "counter");
        for ((code, function), histogram) in &self.finished {
            let code = code.to_string();
            let labels = [("code", code.as_str()), ("function_name", function)];
            text.sample(
                "gateway_function_invocation_total",
                &labels,
                histogram.count as f64,
            );
        }
    }

    fn write_histograms(&self, text: &mut Exposition) {
        text.family("gateway_functions_seconds", "Function time taken", "histogram");
        for ((code, function), histogram) in &self.finished {
            let code = code.to_string();
            histogram.write(
                text,
                "gateway_functions_seconds",
                &[("code", code.as_str()), ("function_name", function)],
            );
        }
    }
}
