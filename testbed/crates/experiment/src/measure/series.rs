use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Names;
use super::sample::Sample;
use super::tally::{LatencySummary, Tally};

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// What one flow's requests of one second came to; a request belongs to the second it was meant to be sent in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowSecond {
    /// Requests whose intended send time lies in the second.
    pub sent: u64,
    /// How many ended with which HTTP status; 0 for no response.
    pub by_code: BTreeMap<u16, u64>,
    /// How many each node served successfully.
    pub served_by: BTreeMap<String, u64>,
    /// How many were served by another node than the one they were sent to.
    pub forwarded: u64,
    /// Latencies in milliseconds; absent when nothing was sent.
    pub latency_ms: Option<LatencySummary>,
}

/// One second of a repetition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesSecond {
    /// Seconds after t = 0 at which the second begins.
    pub t: u64,
    /// Every flow of the cell, also those that are silent in this second.
    pub flows: BTreeMap<String, FlowSecond>,
}

/// The content of `series.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Every second from t = 0 to the end of the cell, without gaps.
    pub seconds: Vec<SeriesSecond>,
}

impl FlowSecond {
    pub(crate) fn new(tally: &Tally, names: &Names) -> FlowSecond {
        FlowSecond {
            sent: tally.requests,
            by_code: tally.by_code.clone(),
            served_by: names.by_node(&tally.served_by),
            forwarded: tally.forwarded,
            latency_ms: tally.latency_summary(),
        }
    }
}

impl Series {
    /// Sorts samples into seconds; there are as many as the cell lasts, rounded up, or more if samples lie beyond.
    pub(crate) fn new(samples: &[Sample], seconds: u64, names: &Names) -> Series {
        let flows = names.flows.len();
        let last = samples
            .iter()
            .map(|sample| sample.offset / SECOND + 1)
            .max()
            .unwrap_or(0);
        let mut ordered: Vec<&Sample> = samples.iter().collect();
        ordered.sort_by_key(|sample| sample.offset);
        let mut rest = ordered.as_slice();
        let seconds = (0..seconds.max(last))
            .map(|t| {
                let (here, later) = rest.split_at(rest.partition_point(|sample| sample.offset / SECOND == t));
                rest = later;
                let flows = (0..flows)
                    .map(|flow| {
                        let own = here
                            .iter()
                            .copied()
                            .filter(|sample| usize::from(sample.flow) == flow);
                        (names.flows[flow].clone(), FlowSecond::new(&Tally::of(own), names))
                    })
                    .collect();
                SeriesSecond { t, flows }
            })
            .collect();
        Series { seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::test_sample;

    #[test]
    fn a_request_counts_in_the_second_it_was_meant_for() {
        let names = Names {
            flows: vec!["a".into(), "b".into()],
            nodes: vec!["n1".into(), "n2".into()],
        };
        let at = |milliseconds: u64| Sample {
            offset: milliseconds * 1_000_000,
            ..test_sample()
        };
        let samples = [
            Sample {
                answered_by: Some(1),
                forwarded: true,
                ..at(2999)
            },
            Sample {
                answered_by: Some(0),
                ..at(0)
            },
            Sample { code: 503, ..at(999) },
            Sample {
                flow: 1,
                latency: 9 * SECOND,
                ..at(1000)
            },
        ];
        let series = Series::new(&samples, 4, &names);
        let sent: Vec<(u64, u64, u64)> = series
            .seconds
            .iter()
            .map(|second| (second.t, second.flows["a"].sent, second.flows["b"].sent))
            .collect();
        assert_eq!(sent, [(0, 2, 0), (1, 0, 1), (2, 1, 0), (3, 0, 0)]);
        assert_eq!(
            series.seconds[0].flows["a"].by_code,
            BTreeMap::from([(200, 1), (503, 1)])
        );
        assert_eq!(
            series.seconds[0].flows["a"].served_by,
            BTreeMap::from([("n1".into(), 1)])
        );
        assert_eq!(series.seconds[2].flows["a"].forwarded, 1);
        assert_eq!(series.seconds[1].flows["a"].latency_ms, None);
        assert_eq!(series.seconds[1].flows["b"].latency_ms.unwrap().max, 9000.0);
    }
}
