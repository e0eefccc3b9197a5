//! Run directory to HTML, CSV, JUnit XML and Markdown.
//!
//! A report is made from the files of a run alone and can be made again years later; nothing here needs a lab. Equal
//! files give equal bytes.
//!
//! [`load`] reads a run directory, [`write()`] puts a report beside its files, and [`terminal_table`] is what a person
//! reads at the end of a run.

#![forbid(unsafe_code)]

mod chart;
mod error;
mod export;
mod files;
mod measure;
mod page;
mod run;
mod written;

use std::path::Path;

pub use error::ReportError;
pub use export::{
    Diagram, SecondRow, SecondTable, published_line, second_table, terminal_table, terminal_totals,
};
pub use files::{Function, Lab, Link, LinkEnd, Moment, Node, ReferenceValue};
pub use measure::{
    Bins, Comparison, Estimate, FlowTotals, LatencyTotals, NodeTotals, Percentiles, Source, Span, Tally,
    TallyKey, Traffic, compare, flow_totals, node_totals, percentile_ms,
};
pub use run::{
    Cell, Event, Expectation, FlowId, Names, Outcome, OutcomeId, Repetition, Run, RunInfo, Validity, Verdict,
    natural_order,
};
pub use written::Written;

/// Reads a run directory.
///
/// Missing or half-written files are tolerated and said in [`Run::notes`].
///
/// # Errors
/// When the directory is no run directory, cannot be read, or a file says something that is not understood.
pub fn load(run_directory: &Path) -> Result<Run, ReportError> {
    files::load(run_directory)
}

/// Reads a run directory and writes `report.html`, `series.csv`, `junit.xml` and `summary.md` into it.
///
/// # Errors
/// As [`load`], or when a file cannot be written; a file that was there before is then still whole.
pub fn write(run_directory: &Path) -> Result<Written, ReportError> {
    written::write(&load(run_directory)?, run_directory)
}
