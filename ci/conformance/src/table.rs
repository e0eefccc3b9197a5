//! What was asked and what was measured, as a table on standard output.

use std::process::ExitCode;

use crate::bench::{Bench, Refusal};
use crate::cases::Case;

/// One comparison.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was compared.
    pub(crate) what: String,
    /// As the file asks.
    pub(crate) asked: String,
    /// As it was.
    pub(crate) measured: String,
    /// What would have been right.
    pub(crate) allowed: String,
    /// Whether it is.
    pub(crate) is_right: bool,
}

impl Row {
    /// A number that must lie in an interval, bounds included.
    pub(crate) fn between(what: &str, asked: impl ToString, measured: f64, [low, high]: [f64; 2]) -> Row {
        Row {
            what: what.to_owned(),
            asked: asked.to_string(),
            measured: number(measured),
            allowed: format!("{} to {}", number(low), number(high)),
            is_right: (low..=high).contains(&measured),
        }
    }

    /// Something that is or is not so.
    pub(crate) fn holds(what: &str, asked: impl ToString, measured: impl ToString, holds: bool) -> Row {
        Row {
            what: what.to_owned(),
            asked: asked.to_string(),
            measured: measured.to_string(),
            allowed: String::new(),
            is_right: holds,
        }
    }
}

/// With as many decimal places as make sense.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Prints rows as they come, and in the end those that are wrong once more.
#[derive(Debug)]
pub(crate) struct Table {
    right: usize,
    wrong: Vec<String>,
    refused: usize,
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
impl Table {
    pub(crate) fn begin(backend: &str) -> Table {
        println!("backend {backend}");
        println!(
            "{:<22} {:<34} {:>16} {:>12}   allowed",
            "case", "what", "asked", "measured"
        );
        Table {
            right: 0,
            wrong: Vec::new(),
            refused: 0,
        }
    }

    /// Runs a case and prints what came of it.
    pub(crate) fn run(&mut self, case: &Case, bench: &Bench) {
        match (case.run)(bench) {
            Ok(rows) => rows.iter().for_each(|row| self.print(case.name, row)),
            Err(Refusal::Backend(reason)) => {
                self.refused += 1;
                println!("{:<22} not by this backend: {reason}", case.name);
            }
            Err(Refusal::Failed(reason)) => {
                let line = format!("{:<22} FAILED: {reason}", case.name);
                println!("{line}");
                self.wrong.push(line);
            }
        }
    }

    fn print(&mut self, case: &str, row: &Row) {
        let verdict = if row.is_right { "" } else { "   WRONG" };
        let line = format!(
            "{case:<22} {:<34} {:>16} {:>12}   {}{verdict}",
            row.what, row.asked, row.measured, row.allowed
        );
        println!("{line}");
        if row.is_right {
            self.right += 1;
        } else {
            self.wrong.push(line);
        }
    }

    /// Prints the sum and what is wrong; the program's exit code.
    pub(crate) fn end(self) -> ExitCode {
        let Table {
            right,
            wrong,
            refused,
        } = self;
        println!(
            "{right} right, {} wrong, {refused} cases not by this backend",
            wrong.len()
        );
        wrong.iter().for_each(|line| println!("{line}"));
        // A table without a single row has not shown anything.
        ExitCode::from(u8::from(!wrong.is_empty() || right == 0))
    }
}
