//! Whole experiments on a lab that is only an HTTP server, with the real load process.
//!
//! This program is its own load process: started with the argument `load` it is one, otherwise it runs the tests. That
//! is why it brings its own `main`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking and speaks to people"
)]

mod common;
mod runs;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "load") {
        std::process::exit(dfaas_experiment::load_main());
    }
    std::process::exit(runs::run_tests(&arguments));
}
