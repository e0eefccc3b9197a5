//! Scenario runner, load generator and verdict.
