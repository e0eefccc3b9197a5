//! Scenario runner, load generator and verdict.
//!
//! [`run`] takes a validated experiment, starts a fresh lab per repetition through a [`LabFactory`], puts it under
//! load, carries out the scenario's events, judges what came back, and writes a run directory that a report can be
//! made of later without anything live. [`load_main`] is the process that sends the load from inside a client node.
//! [`fidelity`] measures what the links of a running lab really do; meanwhile a sentinel watches every run.

#![forbid(unsafe_code)]

mod description;
mod directory;
mod error;
mod expectation;
mod factory;
pub mod fidelity;
mod files;
pub mod load;
mod measure;
mod observer;
mod run;
mod sentinel;
mod summary;

pub use directory::prepare_run_directory;
pub use error::ExperimentError;
pub use factory::{LabFactory, RunningLab};
pub use fidelity::probe_main;
pub use load::load_main;
pub use measure::{FlowSecond, LatencySummary, Series, SeriesSecond};
pub use observer::{Observer, Position, SecondRow, Silent};
pub use run::{RunOptions, run};
pub use sentinel::SentinelSummary;
pub use summary::{
    CellSummary, EventRecord, ExpectationResult, Failure, FailureKind, FlowSummary, PlannedEvent,
    RepetitionSummary, SCHEMA, Summary, Validity, Verdict,
};
