//! Containers on a real Docker engine. The binary is also the program that runs in network holders, so it has a main
//! function of its own.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program is its own test harness"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;
mod holders;
mod images;
mod nodes;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use dfaas_docker::Engine;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

/// A test by its name.
pub(crate) struct Test {
    name: &'static str,
    run: for<'a> fn(&'a Engine) -> LocalBoxFuture<'a, ()>,
}

/// The tests of a module: `tests![first, second]`.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        pub(crate) const TESTS: &[$crate::Test] = &[
            $($crate::Test { name: concat!(module_path!(), "::", stringify!($test)), run: |engine| Box::pin($test(engine)) }),*
        ];
    };
}
pub(crate) use tests;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|it| it == dfaas_docker::HOLD_VERB) {
        return ExitCode::from(dfaas_docker::hold_network());
    }
    let tests: Vec<&Test> = [images::TESTS, holders::TESTS, nodes::TESTS]
        .into_iter()
        .flatten()
        .collect();
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let wanted = tests
        .into_iter()
        .filter(|test| filter.is_none_or(|filter| test.name.contains(filter.as_str())));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(wanted))
}

async fn run(tests: impl Iterator<Item = &'static Test>) -> ExitCode {
    let engine = match fixture::engine().await {
        Ok(engine) => engine,
        Err(reason) => {
            let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|word| word == "docker"),
                "docker is required: {reason}"
            );
            eprintln!("skipped: {reason}");
            return ExitCode::SUCCESS;
        }
    };
    let (mut passed, mut failed) = (0, Vec::new());
    for test in tests {
        let started = Instant::now();
        let before = fixture::containers().await;
        let outcome = AssertUnwindSafe(async {
            (test.run)(&engine).await;
            assert_eq!(fixture::containers().await, before, "containers left");
        });
        let outcome = outcome.catch_unwind().await;
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("test {} ... ok ({seconds:.2} s)", test.name);
            }
            Err(_) => {
                failed.push(test.name);
                println!("test {} ... FAILED ({seconds:.2} s)", test.name);
                fixture::remove_all_of_this_run(&engine).await;
            }
        }
    }
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {} failed; {}",
        failed.len(),
        failed.join(", ")
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
