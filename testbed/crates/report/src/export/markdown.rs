use std::fmt::Write;

use crate::measure::{Traffic, compare, node_totals, outcome_totals};
use crate::page::{
    asked, estimate_text, expectations_line, grouped, heading, measured_or_reason, rate_text, title,
    verdict_word,
};
use crate::run::{Cell, Run, Validity, Verdict};

/// A short summary in Markdown, as CI services show it beside a build.
pub(crate) fn markdown(run: &Run) -> String {
    let mut text = String::new();
    let mark = match run.verdict {
        Some(Verdict::Pass) => "✅",
        Some(Verdict::Fail) => "❌",
        Some(Verdict::Error) | None => "⚠️",
    };
    let validity = run.validity.map_or("not stated", Validity::word);
    put(
        &mut text,
        format_args!(
            "## {mark} {}: {}\n",
            verdict_word(run.verdict),
            plain(&title(run))
        ),
    );
    put(
        &mut text,
        format_args!("{} · validity {validity}\n", expectations_line(run)),
    );
    for sentence in run.reasons.iter().chain(&run.notes) {
        put(&mut text, format_args!("- {}", plain(sentence)));
    }
    if !run.reasons.is_empty() || !run.notes.is_empty() {
        text.push('\n');
    }
    for (index, cell) in run.cells.iter().enumerate() {
        if run.cells.len() > 1 {
            put(&mut text, format_args!("### {}\n", plain(&heading(run, index))));
        }
        expectations(cell, &mut text);
        comparisons(run, cell, &mut text);
        nodes(run, cell, &mut text);
    }
    text
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
    text.push('\n');
}

/// Text without meaning in Markdown or HTML, fit for a cell of a table.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' | '!' => {
                plain.push('\\');
                plain.push(character);
            }
            control if control.is_control() => plain.push(' '),
            other => plain.push(other),
        }
    }
    plain
}

fn expectations(cell: &Cell, text: &mut String) {
    if cell
        .repetitions
        .iter()
        .all(|repetition| repetition.expectations.is_empty())
    {
        return;
    }
    let several = cell.repetitions.len() > 1;
    put(
        text,
        format_args!(
            "| | asked | measured |{}",
            if several { " repetition |" } else { "" }
        ),
    );
    put(
        text,
        format_args!("|---|---|---:|{}", if several { "---:|" } else { "" }),
    );
    for (number, repetition) in cell.repetitions.iter().enumerate() {
        for expectation in &repetition.expectations {
            let mark = if expectation.pass { "✅" } else { "❌" };
            let measured = measured_or_reason(expectation);
            let last = if several {
                format!(" {} |", number + 1)
            } else {
                String::new()
            };
            put(
                text,
                format_args!(
                    "| {mark} | {} | {} |{last}",
                    plain(&asked(expectation)),
                    plain(&measured)
                ),
            );
        }
    }
    text.push('\n');
}

fn comparisons(run: &Run, cell: &Cell, text: &mut String) {
    let rows = compare(run, cell);
    if rows.is_empty() {
        return;
    }
    put(
        text,
        format_args!("| series | window | published | measured | |\n|---|---|---:|---:|---|"),
    );
    for row in rows {
        let measured = row.measured.as_ref().map_or_else(
            || "not measured".to_owned(),
            |measured| estimate_text(measured, rate_text),
        );
        put(
            text,
            format_args!(
                "| {} | {} | {} | {measured} | {} |",
                plain(&row.published.series),
                row.window_text(),
                rate_text(row.published.value),
                plain(&row.published.unit)
            ),
        );
    }
    text.push('\n');
}

fn nodes(run: &Run, cell: &Cell, text: &mut String) {
    let traffics: Vec<&Traffic> = cell
        .repetitions
        .iter()
        .map(|repetition| &repetition.traffic)
        .collect();
    let nodes = node_totals(&run.names, &traffics);
    if !nodes.is_empty() {
        put(
            text,
            format_args!("| node | served | per second | share |\n|---|---:|---:|---:|"),
        );
        for node in nodes {
            let served = grouped(i64::try_from(node.served).unwrap_or(i64::MAX));
            put(
                text,
                format_args!(
                    "| {} | {served} | {} | {:.1} % |",
                    plain(&node.node),
                    rate_text(node.rate),
                    node.share * 100.0
                ),
            );
        }
        text.push('\n');
    }
    let failed: Vec<String> = outcome_totals(&run.names, &traffics)
        .into_iter()
        .filter(|(id, _)| !run.names.outcome(*id).is_success())
        .map(|(id, count)| format!("{} × {}", grouped(count as i64), run.names.outcome(id).label()))
        .collect();
    if !failed.is_empty() {
        put(text, format_args!("Not served: {}\n", failed.join(", ")));
    }
}
