//! The crate from outside: what files mean, what is said about wrong ones, what is planned.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod collapsed;
mod common;
mod generated;
mod imports;
mod meaning;
mod plans;
mod presets;
mod scenario_errors;
mod scenarios;
mod schemas;
mod shipped;
mod topology_errors;
mod traces;
