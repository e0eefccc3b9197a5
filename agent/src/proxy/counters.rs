//! Counters in HAProxy's stick tables.

use crate::strategy::FunctionName;
use std::collections::BTreeMap;

/// What users asked for, per function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserCounters {
    /// Requests since HAProxy was loaded.
    pub counts: BTreeMap<FunctionName, u64>,
    /// Requests in the last second, as HAProxy estimates them.
    pub last_second: BTreeMap<FunctionName, f64>,
}

/// Reads the answer to `show table`: a line per key, `0x55: key=figlet use=0 exp=9 http_req_cnt=3 http_req_rate(1000)=3`.
pub(super) fn parse_table(text: &str) -> UserCounters {
    let mut counters = UserCounters::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: BTreeMap<&str, &str> = line
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
            .collect();
        let Some(&function) = fields.get("key") else {
            continue;
        };
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

    proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            parse_table(&text);
        }
    }
}
