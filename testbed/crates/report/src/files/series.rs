use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;

use super::json::{self, Document};
use crate::ReportError;
use crate::measure::{Percentiles, Source, TallyKey, Traffic};
use crate::run::{FlowId, Names, Outcome};

#[derive(Deserialize)]
struct Series {
    seconds: Vec<Second>,
}

#[derive(Deserialize)]
struct Second {
    t: i64,
    flows: IndexMap<String, FlowSecond>,
}

#[derive(Deserialize)]
struct FlowSecond {
    #[serde(default)]
    by_code: IndexMap<String, u64>,
    #[serde(default)]
    served_by: IndexMap<String, u64>,
    #[serde(default)]
    latency_ms: Option<Latency>,
}

#[derive(Deserialize)]
struct Latency {
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

/// Reads `series.json`, the sums per second that stand in where the single requests are gone.
///
/// Returns true when the file is cut short.
pub(super) fn read(path: &Path, names: &mut Names, traffic: &mut Traffic) -> Result<bool, ReportError> {
    let series: Series = match json::read(path)? {
        Document::Whole(series) => series,
        Document::Missing => return Ok(false),
        Document::CutShort => return Ok(true),
    };
    traffic.source = Source::Series;
    for second in &series.seconds {
        for (name, flow) in &second.flows {
            add(second.t, name, flow, names, traffic).map_err(|reason| ReportError::Malformed {
                path: path.to_owned(),
                line: 1,
                reason: format!("second {}, flow {name}: {reason}", second.t),
            })?;
        }
    }
    Ok(false)
}

fn add(
    second: i64,
    name: &str,
    row: &FlowSecond,
    names: &mut Names,
    traffic: &mut Traffic,
) -> Result<(), String> {
    let flow = names.flow_id(name).ok_or("more than 65535 different flows")?;
    let mut succeeded = 0;
    for (code, count) in &row.by_code {
        let code: u16 = code
            .parse()
            .map_err(|_| format!("`{code}` is not a status code"))?;
        match Outcome::of(code, None) {
            Outcome::ServedByUnknown => succeeded += count,
            outcome => put(second, flow, &outcome, *count, names, traffic)?,
        }
    }
    for (node, count) in &row.served_by {
        // A node also names itself on answers that are no success; those are counted under their status.
        let count = (*count).min(succeeded);
        succeeded -= count;
        put(
            second,
            flow,
            &Outcome::Served(node.clone()),
            count,
            names,
            traffic,
        )?;
    }
    put(second, flow, &Outcome::ServedByUnknown, succeeded, names, traffic)?;
    if let Some(Latency {
        p50: Some(p50),
        p95: Some(p95),
        p99,
    }) = row.latency_ms
    {
        traffic
            .percentiles
            .insert((second, flow), Percentiles { p50, p95, p99 });
    }
    Ok(())
}

fn put(
    second: i64,
    flow: FlowId,
    outcome: &Outcome,
    count: u64,
    names: &mut Names,
    traffic: &mut Traffic,
) -> Result<(), String> {
    if count == 0 {
        return Ok(());
    }
    let outcome = names
        .outcome_id(outcome)
        .ok_or("more than 65535 different outcomes")?;
    let key = TallyKey {
        second,
        flow,
        outcome,
    };
    traffic.tallies.entry(key).or_default().count += count;
    traffic.note_second(flow, second, count);
    Ok(())
}
