//! The `dfaas-testbed` command: arguments in, exit code out. Everything it does is in the crates below it.

mod cli;
mod error;
mod files;
mod style;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Arguments;

fn main() -> ExitCode {
    // The first process of a node: nothing else may run in it, not even the parsing of arguments.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|verb| verb == dfaas_lab::INIT_VERB)
    {
        dfaas_process::init_main();
    }
    let arguments = Arguments::parse(); // exits with 2 on bad usage
    match cli::dispatch(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code)
        }
    }
}
