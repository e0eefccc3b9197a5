//! The provider's metrics: requests about functions, not calls of functions.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;

use super::text::Exposition;
use super::{Histogram, Scrapes, process};

/// Paths that are told apart. Namespaces are in their paths, so their number is the client's choice.
const MOST_SERIES: usize = 1000;

/// Counts of all requests that reached the provider, through the gateway or directly.
#[derive(Debug, Default)]
pub(crate) struct ProviderMetrics {
    /// By status code, method and path, which is the order of the exposition.
    requests: Mutex<BTreeMap<(u16, String, String), Histogram>>,
    scrapes: Scrapes,
}

impl ProviderMetrics {
    pub(crate) fn finished(&self, code: u16, method: &Method, path: &str, duration: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (code, method.as_str().to_owned(), path.to_owned());
        if requests.len() < MOST_SERIES || requests.contains_key(&key) {
            requests.entry(key).or_default().observe(duration.as_secs_f64());
        }
    }

    /// Everything in the Prometheus text format 0.0.4, families sorted by name.
    pub(crate) fn exposition(&self) -> String {
        let mut text = Exposition::default();
        process::write(&mut text);
        self.scrapes.write(&mut text);
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let name = "provider_http_request_duration_seconds";
        text.family(name, "Seconds spent serving HTTP requests.", "histogram");
        for ((code, method, path), histogram) in &*requests {
            let code = code.to_string();
            let labels = [("code", code.as_str()), ("method", method), ("path", path)];
            histogram.write(&mut text, name, &labels);
        }
        let name = "provider_http_requests_total";
        text.family(name, "Total number of HTTP requests.", "counter");
        for ((code, method, path), histogram) in &*requests {
            let code = code.to_string();
            let labels = [("code", code.as_str()), ("method", method), ("path", path)];
            text.sample(name, &labels, histogram.count as f64);
        }
        text.into_string()
    }
}
