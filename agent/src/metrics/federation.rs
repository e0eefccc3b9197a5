//! Limits, weights and rates, read from the status when somebody asks: no label outlives what it stands for.

use crate::status::Status;
use dfaas_agent_api::metrics as names;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt::Error;
use tokio::sync::watch;

/// Metrics of the federation.
#[derive(Debug)]
pub(super) struct Federation {
    status: watch::Receiver<Status>,
}

impl Federation {
    pub(super) fn new(status: watch::Receiver<Status>) -> Self {
        Self { status }
    }
}

/// A sample and its labels.
type Sample<'a> = (Vec<(&'static str, &'a str)>, f64);

impl Collector for Federation {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let status = self.status.borrow();
        let functions = || status.functions.iter();
        let shares = || {
            let peers = status.peers.iter();
            peers.flat_map(|(peer, state)| {
                let functions = state.functions.iter();
                functions.map(move |(function, share)| {
                    (vec![("peer", peer.as_str()), ("function", function)], share)
                })
            })
        };
        let per_function = |value: fn(&crate::status::FunctionStatus) -> Option<f64>| -> Vec<Sample<'_>> {
            let samples = functions();
            let samples =
                samples.filter_map(|(name, state)| Some((vec![("function", name.as_str())], value(state)?)));
            samples.collect()
        };
        let per_share = |value: fn(&crate::status::ShareStatus) -> f64| -> Vec<Sample<'_>> {
            shares().map(|(labels, share)| (labels, value(share))).collect()
        };
        let families = [
            (
                names::FUNCTION_MAXRATE,
                "Requests per second a function is made for",
                per_function(|state| Some(f64::from(state.maxrate))),
            ),
            (
                names::FUNCTION_USER_RATE,
                "Requests per second of users at the last measurement",
                per_function(|state| state.user_rate),
            ),
            (
                names::FUNCTION_OVERLOADED,
                "Whether that was too much",
                per_function(|state| Some(f64::from(u8::from(state.overloaded)))),
            ),
            (
                names::LIMIT_IN,
                "Requests per second taken from a peer",
                per_share(|share| f64::from(share.limit_in)),
            ),
            (
                names::LIMIT_OUT,
                "Requests per second a peer takes",
                per_share(|share| share.limit_out),
            ),
            (
                names::WEIGHT,
                "HAProxy weight of a peer when forwarding",
                per_share(|share| f64::from(share.weight)),
            ),
        ];
        for (name, help, samples) in families {
            write(&mut encoder, name, help, &samples)?;
        }
        Ok(())
    }
}

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: &[Sample<'_>],
) -> Result<(), Error> {
    if samples.is_empty() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;
    use crate::status::{FunctionStatus, PeerStatus, ShareStatus, Status};
    use std::collections::BTreeMap;
    use tokio::sync::watch;

    #[test]
    fn shown_as_it_is_and_gone_with_its_cause() {
        let share = ShareStatus {
            limit_in: 5,
            limit_out: 7.5,
            weight: 40,
        };
        let function = FunctionStatus {
            maxrate: 10,
            user_rate: Some(49.5),
            overloaded: true,
        };
        let peer = PeerStatus {
            functions: BTreeMap::from([("figlet".to_owned(), share)]),
            ..PeerStatus::default()
        };
        let (sender, receiver) = watch::channel(Status::default());
        let metrics = Metrics::new();
        metrics.show(receiver);
        assert!(!metrics.text().unwrap().contains("figlet"));
        sender.send_replace(Status {
            node: None,
            functions: BTreeMap::from([("figlet".to_owned(), function)]),
            peers: BTreeMap::from([("12D3KooW".to_owned(), peer)]),
        });
        let text = metrics.text().unwrap();
        for line in [
            "dfaas_agent_function_maxrate{function=\"figlet\"} 10.0\n",
            "dfaas_agent_function_user_rate{function=\"figlet\"} 49.5\n",
            "dfaas_agent_function_overloaded{function=\"figlet\"} 1.0\n",
            "dfaas_agent_limit_in{peer=\"12D3KooW\",function=\"figlet\"} 5.0\n",
            "dfaas_agent_limit_out{peer=\"12D3KooW\",function=\"figlet\"} 7.5\n",
            "dfaas_agent_weight{peer=\"12D3KooW\",function=\"figlet\"} 40.0\n",
        ] {
            assert!(text.contains(line), "{line:?} is missing from\n{text}");
        }
        sender.send_replace(Status::default());
        assert!(!metrics.text().unwrap().contains("figlet"));
    }
}
