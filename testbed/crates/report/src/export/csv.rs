use std::io::{self, Write};

use crate::measure::{TallyKey, Traffic, percentile_ms};
use crate::run::{Cell, FlowId, Outcome, OutcomeId, Run};

/// Writes one line per cell, repetition, flow and second, for spreadsheets and data frames.
///
/// Columns: `cell`, `repetition` (from 1), one `param.NAME` per parameter, `flow`, `second`, `sent`, `succeeded`,
/// `forwarded`, one `served_by.NODE` per node, one `status.CODE` per other status, `no_answer`, and percentiles of the
/// latency of successful answers in milliseconds. What is not known is empty.
pub(crate) fn csv(run: &Run, output: &mut dyn Write) -> io::Result<()> {
    let outcomes = run.names.ordered();
    let mut parameters: Vec<&str> = Vec::new();
    for name in run.cells.iter().flat_map(|cell| cell.parameters.keys()) {
        if !parameters.contains(&name.as_str()) {
            parameters.push(name);
        }
    }
    write_row(output, &header(run, &parameters, &outcomes))?;
    for (number, cell) in run.cells.iter().enumerate() {
        let start = |repetition: usize| {
            let mut fields = vec![(number + 1).to_string(), (repetition + 1).to_string()];
            fields.extend(parameters.iter().map(|name| parameter(cell, name)));
            fields
        };
        for (repetition, traffic) in cell.repetitions.iter().map(|one| &one.traffic).enumerate() {
            write_traffic(run, traffic, &outcomes, &start(repetition), output)?;
        }
    }
    Ok(())
}

fn parameter(cell: &Cell, name: &str) -> String {
    cell.parameters.get(name).cloned().unwrap_or_default()
}

fn header(run: &Run, parameters: &[&str], outcomes: &[OutcomeId]) -> Vec<String> {
    let mut columns: Vec<String> = ["cell", "repetition"].map(str::to_owned).to_vec();
    columns.extend(parameters.iter().map(|name| format!("param.{name}")));
    columns.extend(["flow", "second", "sent", "succeeded", "forwarded"].map(str::to_owned));
    columns.extend(outcomes.iter().map(|id| match run.names.outcome(*id) {
        Outcome::Served(node) => format!("served_by.{node}"),
        Outcome::ServedByUnknown => "served_by_unnamed".to_owned(),
        Outcome::Status(code) => format!("status.{code}"),
        Outcome::NoAnswer => "no_answer".to_owned(),
    }));
    columns.extend(
        [
            "latency_p50_ms",
            "latency_p95_ms",
            "latency_p99_ms",
            "latency_max_ms",
        ]
        .map(str::to_owned),
    );
    columns
}

fn write_traffic(
    run: &Run,
    traffic: &Traffic,
    outcomes: &[OutcomeId],
    start: &[String],
    output: &mut dyn Write,
) -> io::Result<()> {
    for (flow, span) in &traffic.spans {
        for second in span.first.floor() as i64..=span.last.floor() as i64 {
            let mut fields = start.to_vec();
            fields.push(run.names.flow(*flow).to_owned());
            fields.extend(second_fields(run, traffic, outcomes, *flow, second));
            write_row(output, &fields)?;
        }
    }
    Ok(())
}

fn second_fields(
    run: &Run,
    traffic: &Traffic,
    outcomes: &[OutcomeId],
    flow: FlowId,
    second: i64,
) -> Vec<String> {
    let tally = |id: &OutcomeId| {
        traffic.tallies.get(&TallyKey {
            second,
            flow,
            outcome: *id,
        })
    };
    let (mut sent, mut succeeded, mut forwarded) = (0, 0, 0);
    let mut latencies = Vec::new();
    for (id, tally) in outcomes
        .iter()
        .filter_map(|id| tally(id).map(|tally| (id, tally)))
    {
        sent += tally.count;
        if run.names.outcome(*id).is_success() {
            succeeded += tally.count;
            forwarded += tally.forwarded;
            latencies.extend_from_slice(&tally.latencies);
        }
    }
    latencies.sort_unstable();
    let known = crate::measure::every_request_known(&[traffic]);
    let forwarded = if known {
        forwarded.to_string()
    } else {
        String::new()
    };
    let mut fields = vec![
        second.to_string(),
        sent.to_string(),
        succeeded.to_string(),
        forwarded,
    ];
    fields.extend(
        outcomes
            .iter()
            .map(|id| tally(id).map_or(0, |tally| tally.count).to_string()),
    );
    fields.extend([0.5, 0.95, 0.99, 1.0].map(|share| {
        percentile_ms(&latencies, share).map_or_else(String::new, |value| format!("{value:.3}"))
    }));
    fields
}

fn write_row(output: &mut dyn Write, fields: &[String]) -> io::Result<()> {
    let quoted: Vec<String> = fields.iter().map(|field| quote(field)).collect();
    writeln!(output, "{}", quoted.join(","))
}

fn quote(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
