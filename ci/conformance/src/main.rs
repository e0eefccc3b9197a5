//! One table of cases for both link backends: each builds a link between two throw-away namespaces, sends packets
//! across it and compares what came with what the file asked for.
//!
//! ```text
//! dfaas-conformance --backend wire            # everything, about half a minute
//! dfaas-conformance --backend tc jitter loss  # cases whose names contain one of these
//! ```
//!
//! Chance is judged by intervals: those of the binomial distribution for counts, of order statistics for delays,
//! wide enough that a correct backend fails in one of a hundred runs of the whole table ([`statistics::DEVIATIONS`]).
//! Time is judged by its middle: a busy machine may be late with some packets, but none may be early.
//! Exit code 0: all as asked; 1: something is not; 3: this machine cannot run the backend at all.

mod bench;
mod cases;
mod statistics;
mod table;
mod traffic;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use bench::Bench;
use table::Table;

/// Which backend is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    /// The kernel's queueing disciplines.
    Tc,
    /// The user-space engine.
    Wire,
}

impl Backend {
    /// As in a topology file.
    fn name(self) -> &'static str {
        match self {
            Backend::Tc => "tc",
            Backend::Wire => "wire",
        }
    }
}

/// Sends packets across links and compares what they do with what was asked.
#[derive(Debug, Parser)]
struct Arguments {
    /// Who carries the links out.
    #[arg(long, value_enum)]
    backend: Backend,
    /// Also what takes long or needs a machine with nothing else to do: rates up to 1 Gbit/s.
    #[arg(long)]
    full: bool,
    /// Only cases whose names contain one of these.
    cases: Vec<String>,
}

#[expect(clippy::print_stderr, reason = "a command line program")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let features = match dfaas_netns::probe_kernel() {
        Ok(features) => features,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(3);
        }
    };
    let bench = Bench::new(arguments.backend, features);
    let mut table = Table::begin(arguments.backend.name());
    for case in cases::all(arguments.full) {
        let is_chosen = |wanted: &String| case.name.contains(wanted.as_str());
        if arguments.cases.is_empty() || arguments.cases.iter().any(is_chosen) {
            table.run(&case, &bench);
        }
    }
    table.end()
}
