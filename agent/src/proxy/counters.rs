//! Counters in HAProxy's stick tables and statistics.

use super::render::{FUNCTION_BACKEND, LOCAL_SERVER, PEER_SERVER};
use crate::strategy::{FunctionName, FunctionSample, ServerSample};
use std::collections::BTreeMap;

/// What users asked for, per function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserCounters {
    /// Requests since HAProxy was loaded.
    pub counts: BTreeMap<FunctionName, u64>,
    /// Requests in the last second, as HAProxy estimates them.
    pub last_second: BTreeMap<FunctionName, f64>,
}

/// A line of the answer to `show table NAME`, `0x55: key=figlet use=0 exp=9 http_req_cnt=3 http_req_rate(1000)=3`: its
/// address, and its fields.
pub(crate) fn table_row(line: &str) -> Option<(&str, BTreeMap<&str, &str>)> {
    let (id, fields) = line.split_once(':').filter(|_| !line.starts_with('#'))?;
    let fields: BTreeMap<&str, &str> = fields
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .collect();
    fields.contains_key("key").then_some((id, fields))
}

/// Reads the answer to `show table st_users`: a line per function.
pub(super) fn parse_table(text: &str) -> UserCounters {
    let mut counters = UserCounters::default();
    for (_, fields) in text.lines().filter_map(table_row) {
        let function = fields["key"];
        if let Some(count) = fields.get("http_req_cnt").and_then(|count| count.parse().ok()) {
            counters.counts.insert(function.to_owned(), count);
        }
        if let Some(rate) = fields
            .get("http_req_rate(1000)")
            .and_then(|rate| rate.parse().ok())
        {
            counters.last_second.insert(function.to_owned(), rate);
        }
    }
    counters
}

/// The stage in the answer to `show table st_stage`: `0x55: key=global use=0 exp=49909 gpt0=8` is stage 7.
pub(super) fn parse_stage(text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.contains("key=global"))?;
    let value = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("gpt0="))?;
    value.parse::<u32>().ok()?.checked_sub(1)
}

/// Reads the answer to `show stat`: lines of comma separated values below one that begins with `#` and names them.
/// Only servers in backends of functions are of interest.
pub(super) fn parse_servers(text: &str) -> BTreeMap<FunctionName, FunctionSample> {
    let mut lines = text.lines();
    let names = lines.find_map(|line| line.strip_prefix("# ")).unwrap_or("");
    let place = |wanted: &str| names.split(',').position(|name| name == wanted);
    let [proxy, server, requests, succeeded, time] =
        ["pxname", "svname", "stot", "hrsp_2xx", "ttime"].map(place);
    let mut functions: BTreeMap<FunctionName, FunctionSample> = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let field = |place: Option<usize>| place.and_then(|place| fields.get(place)).copied().unwrap_or("");
        let Some(function) = field(proxy).strip_prefix(FUNCTION_BACKEND) else {
            continue;
        };
        let sample = ServerSample {
            requests: field(requests).parse().unwrap_or(0),
            succeeded: field(succeeded).parse().unwrap_or(0),
            milliseconds: field(time).parse::<u32>().map_or(0.0, f64::from),
        };
        let name = field(server);
        if name == LOCAL_SERVER {
            functions.entry(function.to_owned()).or_default().local = sample;
        } else if let Some(peer) = name.strip_prefix(PEER_SERVER) {
            let peers = &mut functions.entry(function.to_owned()).or_default().peers;
            peers.insert(peer.to_owned(), sample);
        }
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_haproxy_2_6_prints_it() {
        let text = "# table: st_users, type: string, size:1024, used:2\n\
            0x55b3c8990cc0: key=a-b_c.d use=0 exp=3598772 http_req_cnt=1 http_req_rate(1000)=1\n\
            0x55b3c8990790: key=figlet use=0 exp=3599995 shard=0 http_req_cnt=16 http_req_rate(1000)=14\n\n";
        let counters = parse_table(text);
        assert_eq!(
            counters.counts,
            BTreeMap::from([("a-b_c.d".to_owned(), 1), ("figlet".to_owned(), 16)])
        );
        assert_eq!(counters.last_second["figlet"], 14.0);
    }

    #[test]
    fn the_stage_is_one_less_than_what_is_kept() {
        let text =
            "# table: st_stage, type: string, size:1, used:1\n0x55: key=global use=0 exp=49909 gpt0=8\n";
        assert_eq!(parse_stage(text), Some(7));
        assert_eq!(
            parse_stage("# table: st_stage, type: string, size:1, used:0\n"),
            None
        );
        assert_eq!(parse_stage(&text.replace("=8", "=0")), None);
    }

    #[test]
    fn servers_of_functions() {
        let text = "# pxname,svname,qcur,stot,hrsp_2xx,ttime,\n\
            function_a-b,openfaas-local,0,8,7,12,\nfunction_a-b,node_12D3,0,4,3,25,\nfunction_a-b,rejector,0,1,0,,\n\
            be_peers,node_12D3,0,0,,,\n\n";
        let functions = parse_servers(text);
        assert_eq!(functions.len(), 1);
        let sample = |requests, succeeded, milliseconds| ServerSample {
            requests,
            succeeded,
            milliseconds,
        };
        assert_eq!(functions["a-b"].local, sample(8, 7, 12.0));
        assert_eq!(functions["a-b"].peers["12D3"], sample(4, 3, 25.0));
    }

    /// What HAProxy says is text like any other.
    fn pieces() -> impl Strategy<Value = String> {
        let words = [
            "# ",
            "pxname",
            "svname",
            "stot",
            ",",
            "\n",
            "key=",
            "global",
            "gpt0=",
            "http_req_cnt=",
            "http_req_rate(1000)=",
            "0x5",
            " ",
            "function_",
            "node_",
            "openfaas-local",
            "99999999999999999999",
            "-1",
            "=",
            "7",
        ];
        prop::collection::vec(prop::sample::select(words.to_vec()), 0..60).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String, pieces in pieces()) {
            for text in [text, pieces] {
                parse_table(&text);
                parse_stage(&text);
                parse_servers(&text);
            }
        }
    }
}
