//! What the reinforcement learning strategy is told: counters of the proxy, the platform and the processors.

use super::Controller;
use crate::proxy::ProxyError;
use crate::strategy::{FunctionSample, Observed};

impl Controller {
    /// A reading of everything.
    pub(super) async fn observe(&self) -> Result<Observed, ProxyError> {
        let (stage, servers) = tokio::try_join!(self.parts.proxy.stage(), self.parts.proxy.server_samples())?;
        let requests = self.parts.proxy.user_counters().await?.counts;
        let mut observed = Observed {
            at: self.clock.monotonic(),
            stage,
            processor: processor_time(&std::fs::read_to_string("/proc/stat").unwrap_or_default()),
            functions: servers,
        };
        for function in self.functions.balanced.keys() {
            let sample: &mut FunctionSample = observed.functions.entry(function.clone()).or_default();
            sample.requests = requests.get(function).copied().unwrap_or(0);
            sample.replicas = self.functions.replicas.get(function).copied().unwrap_or(1);
        }
        Ok(observed)
    }
}

/// Time in use and in total, of all processors together, from the first line of `/proc/stat`:
/// `cpu user nice system idle iowait irq softirq steal guest guest_nice`.
fn processor_time(text: &str) -> (u64, u64) {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "));
    let times: Vec<u64> = line
        .unwrap_or("")
        .split_whitespace()
        // What guests use is part of the first two.
        .take(8)
        .map(|time| time.parse().unwrap_or(0))
        .collect();
    let total = times.iter().fold(0, |sum: u64, time| sum.saturating_add(*time));
    let idle = times
        .iter()
        .skip(3)
        .take(2)
        .fold(0, |sum: u64, time| sum.saturating_add(*time));
    (total - idle, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_the_kernel_prints_it() {
        let text = "cpu  100 20 30 800 50 5 5 0 7 0\ncpu0 100 20 30 800 50 5 5 0 7 0\nintr 1\n";
        assert_eq!(processor_time(text), (160, 1010));
        assert_eq!(processor_time(""), (0, 0));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String, times: Vec<u64>) {
            processor_time(&text);
            let line: Vec<String> = times.iter().map(u64::to_string).collect();
            let (busy, all) = processor_time(&format!("cpu {}", line.join(" ")));
            prop_assert!(busy <= all);
        }
    }
}
