use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use dfaas_agent_api::headers::{FORWARDED_TO, NODE_ID, SERVER};
use dfaas_model::Flow;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::load_plan::authority;
use crate::factory::RunningLab;
use crate::load::LoadRow;
use crate::measure::{Names, Sample};

const NANOSECONDS: f64 = 1e9;

/// One line of `requests.jsonl`: the fields of vegeta's JSON results, then ours. Times are nanoseconds where vegeta
/// has them so, seconds otherwise.
#[derive(Debug, Serialize)]
pub(super) struct RequestRow<'a> {
    attack: &'a str,
    seq: u64,
    code: u16,
    #[serde(serialize_with = "as_text")]
    timestamp: Timestamp,
    latency: u64,
    bytes_out: u64,
    bytes_in: u64,
    error: &'a str,
    /// Bodies are not kept; vegeta's readers expect the field.
    body: Option<()>,
    method: &'a str,
    url: &'a str,
    headers: &'a BTreeMap<String, Vec<String>>,
    offset: f64,
    sent_after: f64,
    function: &'a str,
    to: &'a str,
    served_by: Option<&'a str>,
    forwarded: bool,
}

/// What a flow's rows have in common.
#[derive(Debug)]
struct FlowFacts {
    name: String,
    function: String,
    method: String,
    to: String,
    to_index: Option<u16>,
    url: String,
}

/// Turns what load processes report into samples and lines, with names instead of addresses and peer ids.
#[derive(Debug)]
pub(super) struct Resolver {
    flows: Vec<FlowFacts>,
    nodes: Vec<String>,
    nodes_by_key: BTreeMap<String, u16>,
    start: i64,
}

impl Resolver {
    pub(super) fn new(flows: &[Flow], names: &Names, lab: &RunningLab, start: i64) -> Resolver {
        let index = |node: &str| {
            names
                .nodes
                .iter()
                .position(|name| name == node)
                .and_then(|index| u16::try_from(index).ok())
        };
        let facts = |flow: &Flow| FlowFacts {
            name: flow.name.clone(),
            function: flow.function.clone(),
            method: flow.method.clone(),
            to: flow.to.clone(),
            to_index: index(&flow.to),
            url: url(flow, lab.addresses.get(&flow.to)),
        };
        Resolver {
            flows: flows.iter().map(facts).collect(),
            nodes: names.nodes.clone(),
            nodes_by_key: lab
                .node_names_by_key
                .iter()
                .filter_map(|(key, name)| Some((key.clone(), index(name)?)))
                .collect(),
            start,
        }
    }

    /// The sample and the line of a row of flow `flow` (its index in the cell); nothing for a flow there is not.
    pub(super) fn resolve<'a>(&'a self, flow: usize, row: &'a LoadRow) -> Option<(Sample, RequestRow<'a>)> {
        let facts = self.flows.get(flow)?;
        let mut sample = Sample {
            offset: row.offset,
            latency: row.latency,
            sent_after: u32::try_from(row.sent_after / 1_000).unwrap_or(u32::MAX),
            code: row.code,
            flow: u16::try_from(flow).ok()?,
            answered_by: self.answered_by(&row.headers),
            forwarded: false,
            sent: row.sent,
        };
        let served_by = sample.served_by();
        sample.forwarded = served_by.is_some() && served_by != facts.to_index;
        let intended = i128::from(self.start) + i128::from(row.offset);
        let line = RequestRow {
            attack: &facts.name,
            seq: row.seq,
            code: row.code,
            timestamp: Timestamp::from_nanosecond(intended).unwrap_or(Timestamp::MAX),
            latency: row.latency,
            bytes_out: row.bytes_out,
            bytes_in: row.bytes_in,
            error: &row.error,
            body: None,
            method: &facts.method,
            url: &facts.url,
            headers: &row.headers,
            offset: row.offset as f64 / NANOSECONDS,
            sent_after: row.sent_after as f64 / NANOSECONDS,
            function: &facts.function,
            to: &facts.to,
            served_by: served_by
                .and_then(|node| self.nodes.get(usize::from(node)))
                .map(String::as_str),
            forwarded: sample.forwarded,
        };
        Some((sample, line))
    }

    /// The node that answered. A proxy that forwarded says to whom; the serving one gives its address or its peer id.
    /// Where a header was added on the way back, the first value is the one nearest to the function.
    fn answered_by(&self, headers: &BTreeMap<String, Vec<String>>) -> Option<u16> {
        [FORWARDED_TO, SERVER, NODE_ID].iter().find_map(|header| {
            headers
                .get(*header)?
                .iter()
                .find_map(|value| self.nodes_by_key.get(value.trim()).copied())
        })
    }
}

fn url(flow: &Flow, address: Option<&IpAddr>) -> String {
    let host = address.map_or(Cow::Borrowed(flow.to.as_str()), |address| {
        authority(*address, flow.port).into()
    });
    format!("http://{host}{}", flow.path)
}

/// RFC 3339 in UTC, to the nanosecond.
fn as_text<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(timestamp)
}
