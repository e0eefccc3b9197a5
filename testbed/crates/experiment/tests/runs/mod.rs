//! The tests of `run.rs` and what runs them.

mod disk_full;
mod fake_lab;
mod faults;
mod process;
mod results;
mod scenario;
mod watched;

use std::panic::catch_unwind;

/// A test and its name.
type Test = (&'static str, fn());

/// Runs the tests whose names contain one of the words in `arguments` (all without words), one after the other: they
/// are about time. Returns the exit code.
pub(crate) fn run_tests(arguments: &[String]) -> i32 {
    let tests: Vec<Test> = [
        results::TESTS,
        faults::TESTS,
        disk_full::TESTS,
        process::TESTS,
        watched::TESTS,
    ]
    .concat();
    let words: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return 0;
    }
    let mut failed = Vec::new();
    for (name, test) in tests.iter().filter(|(name, _)| chosen(name)) {
        let outcome = catch_unwind(test);
        println!(
            "test {name} ... {}",
            if outcome.is_ok() { "ok" } else { "FAILED" }
        );
        if outcome.is_err() {
            failed.push(name);
        }
    }
    println!("\ntest result: {} failed {failed:?}", failed.len());
    i32::from(!failed.is_empty())
}

/// A runtime like the command line's.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
