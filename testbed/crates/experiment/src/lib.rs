//! Scenario runner, load generator and verdict.

#![forbid(unsafe_code)]

pub mod load;

pub use load::load_main;
