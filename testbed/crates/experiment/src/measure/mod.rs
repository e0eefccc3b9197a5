//! Counts, latencies and time series of requests.

mod sample;
mod series;
mod tally;
mod validity;

use std::collections::BTreeMap;

pub(crate) use sample::Sample;
pub(crate) use series::SECOND;
pub use series::{FlowSecond, Series, SeriesSecond};
pub use tally::LatencySummary;
pub(crate) use tally::Tally;
pub(crate) use validity::assess;

/// The names behind the indexes of samples.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// Flows in the order of the scenario.
    pub(crate) flows: Vec<String>,
    /// Nodes in the order of the topology.
    pub(crate) nodes: Vec<String>,
}

impl Names {
    /// Counts per node index as counts per node name.
    pub(crate) fn by_node(&self, counts: &BTreeMap<u16, u64>) -> BTreeMap<String, u64> {
        counts
            .iter()
            .filter_map(|(node, count)| Some((self.nodes.get(usize::from(*node))?.clone(), *count)))
            .collect()
    }
}

/// A successful request that nothing is special about.
#[cfg(test)]
pub(crate) fn test_sample() -> Sample {
    Sample {
        offset: 0,
        latency: 10_000_000,
        sent_after: 20,
        code: 200,
        flow: 0,
        answered_by: None,
        forwarded: false,
        sent: true,
    }
}
