//! The end of a run for a person: totals, verdict, validity, published against measured, and where the report is.

use std::path::Path;

use dfaas_experiment::{ExpectationResult, Summary, Validity, Verdict};

use crate::error::CliError;
use crate::style::Style;

/// The closing lines, made from the files of the run and its summary.
pub(super) fn text(directory: &Path, summary: &Summary, page: &Path) -> Result<String, CliError> {
    let run = dfaas_report::load(directory).map_err(CliError::failed)?;
    let style = Style::for_stdout();
    let mut text = format!("\n{}", dfaas_report::terminal_totals(&run));
    text.push_str(&verdict(summary, style));
    text.push_str(&validity(summary, style));
    text.push_str(&format!("report     {}\n", page.display()));
    Ok(text)
}

fn verdict(summary: &Summary, style: Style) -> String {
    let all: Vec<&ExpectationResult> = summary
        .cells
        .iter()
        .flat_map(|cell| &cell.repetitions)
        .flat_map(|repetition| &repetition.expectations)
        .collect();
    let met = all.iter().filter(|it| it.pass).count();
    let word = match summary.verdict {
        Verdict::Pass => style.good("PASS"),
        Verdict::Fail => style.bad("FAIL"),
        Verdict::Error => style.bad("ERROR"),
    };
    let mut text = format!("verdict    {word}    {met} of {} expectations\n", all.len());
    let repetitions = summary
        .cells
        .iter()
        .flat_map(|cell| cell.repetitions.iter().enumerate());
    let results = repetitions.flat_map(|(number, one)| one.expectations.iter().map(move |it| (number, it)));
    // All repetitions of a cell miss a mean together: the first one says so.
    for (_, missed) in results.filter(|(number, it)| !it.pass && (it.mean.is_none() || *number == 0)) {
        let measured = match (missed.mean.or(missed.measured), &missed.reason) {
            (Some(value), _) => format!("measured {value:.1}{}", missed.unit),
            (None, Some(reason)) => reason.clone(),
            (None, None) => "nothing to measure".to_owned(),
        };
        text.push_str(&format!(
            "           {} {}: {measured}\n",
            style.bad("✘"),
            missed.text
        ));
    }
    if let Some(failure) = &summary.failure {
        text.push_str(&format!("           {}\n", failure.text));
    }
    text
}

fn validity(summary: &Summary, style: Style) -> String {
    let word = match summary.validity {
        Validity::Valid => style.good("VALID"),
        Validity::Degraded => style.warning("DEGRADED"),
        Validity::Invalid => style.bad("INVALID"),
    };
    let mut text = format!("validity   {word}\n");
    for reason in &summary.validity_reasons {
        text.push_str(&format!("           {reason}\n"));
    }
    text
}
