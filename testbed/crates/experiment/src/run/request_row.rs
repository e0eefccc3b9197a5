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

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver() -> Resolver {
        let facts = FlowFacts {
            name: "users".to_owned(),
            function: "figlet".to_owned(),
            method: "POST".to_owned(),
            to: "n1".to_owned(),
            to_index: Some(0),
            url: "http://10.0.0.1/function/figlet".to_owned(),
        };
        let keys = [
            ("10.0.0.1", 0),
            ("10.0.0.2", 1),
            ("10.0.0.3", 2),
            ("peer-of-n1", 0),
            ("peer-of-n2", 1),
        ];
        Resolver {
            flows: vec![facts],
            nodes: ["n1", "n2", "n3"].map(str::to_owned).to_vec(),
            nodes_by_key: keys
                .into_iter()
                .map(|(key, node)| (key.to_owned(), node))
                .collect(),
            // 2026-11-23T10:00:05Z
            start: 1_795_428_005_000_000_000,
        }
    }

    type Headers<'a> = &'a [(&'a str, &'a [&'a str])];

    fn row(code: u16, headers: Headers<'_>) -> LoadRow {
        let headers = headers.iter().map(|(name, values)| {
            (
                (*name).to_owned(),
                values.iter().map(|value| (*value).to_owned()).collect(),
            )
        });
        LoadRow {
            code,
            headers: headers.collect(),
            ..LoadRow::default()
        }
    }

    #[test]
    fn who_served_is_read_from_the_headers() {
        let cases: [(u16, Headers<'_>, Option<&str>); 11] = [
            (200, &[(SERVER, &["10.0.0.1"])], Some("n1")),
            (200, &[(SERVER, &[" 10.0.0.2 "])], Some("n2")),
            (200, &[(NODE_ID, &["peer-of-n2"])], Some("n2")),
            // Peers that forwarded at run time name the origin and, apart from it, where they sent the request.
            (
                200,
                &[(NODE_ID, &["peer-of-n1"]), (FORWARDED_TO, &["peer-of-n2"])],
                Some("n2"),
            ),
            // The address says who served, the id may be the forwarding proxy's.
            (
                200,
                &[(NODE_ID, &["peer-of-n1"]), (SERVER, &["10.0.0.3"])],
                Some("n3"),
            ),
            (200, &[(SERVER, &["10.0.0.2", "10.0.0.1"])], Some("n2")),
            (
                200,
                &[(SERVER, &["unknown"]), (NODE_ID, &["peer-of-n1"])],
                Some("n1"),
            ),
            (200, &[(SERVER, &["192.0.2.1"])], None),
            (200, &[], None),
            (503, &[(SERVER, &["10.0.0.1"])], None),
            (0, &[], None),
        ];
        let resolver = resolver();
        for (code, headers, expected) in cases {
            let row = row(code, headers);
            let (sample, line) = resolver.resolve(0, &row).unwrap();
            assert_eq!(line.served_by, expected, "{headers:?}");
            let forwarded = expected.is_some_and(|node| node != "n1");
            assert_eq!(
                (line.forwarded, sample.forwarded),
                (forwarded, forwarded),
                "{headers:?}"
            );
        }
        assert_eq!(
            resolver
                .resolve(0, &row(503, &[(SERVER, &["10.0.0.2"])]))
                .unwrap()
                .0
                .answered_by,
            Some(1)
        );
        assert!(
            resolver.resolve(1, &row(200, &[])).is_none(),
            "there is no such flow"
        );
    }

    #[test]
    fn a_line_has_vegetas_fields_and_ours() {
        let row = LoadRow {
            flow: 0,
            seq: 17,
            code: 200,
            offset: 340_000_000,
            sent_after: 20_000,
            latency: 14_280_000,
            bytes_out: 18,
            bytes_in: 282,
            sent: true,
            ..row(200, &[(SERVER, &["10.0.0.2"])])
        };
        let resolver = resolver();
        let (sample, line) = resolver.resolve(0, &row).unwrap();
        assert_eq!(
            (sample.sent_after, sample.latency, sample.offset),
            (20, 14_280_000, 340_000_000)
        );
        let expected = concat!(
            r#"{"attack":"users","seq":17,"code":200,"timestamp":"2026-11-23T10:00:05.34Z","latency":14280000,"#,
            r#""bytes_out":18,"bytes_in":282,"error":"","body":null,"method":"POST","#,
            r#""url":"http://10.0.0.1/function/figlet","headers":{"X-Server":["10.0.0.2"]},"offset":0.34,"#,
            r#""sent_after":0.00002,"function":"figlet","to":"n1","served_by":"n2","forwarded":true}"#,
        );
        assert_eq!(serde_json::to_string(&line).unwrap(), expected);
    }
}
