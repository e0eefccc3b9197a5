//! Nodes on the real kernel. Needs root; the binary re-executes itself as init, and as other processes that tests need (see `verb`).
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program is its own test harness"
)]

mod cgroups;
mod execute;
mod fixture;
mod isolation;
mod leaks;
mod lifetime;
mod services;
mod speed;
mod unprivileged;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = verb(&arguments) {
        return code;
    }
    if let Err(reason) = machine() {
        let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|word| word == "root"),
            "root is required: {reason}"
        );
        eprintln!("skipped: {reason}");
        return ExitCode::SUCCESS;
    }
    let tests: Vec<Test> = [
        isolation::TESTS,
        services::TESTS,
        lifetime::TESTS,
        execute::TESTS,
        cgroups::TESTS,
        unprivileged::TESTS,
        speed::TESTS,
    ]
    .concat();
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    run(tests
        .into_iter()
        .filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter.as_str()))))
}

/// What the binary does when a test executes it.
fn verb(arguments: &[String]) -> Option<ExitCode> {
    match arguments.first()?.as_str() {
        "--as-init" => dfaas_process::init_main(),
        "--as-supervisor" => Some(lifetime::supervise()),
        "--as-caller" => Some(execute::execute(&arguments[1..])),
        "--as-limiter" => Some(cgroups::limit_inside()),
        "--as-unprivileged" => Some(unprivileged::run()),
        _ => None,
    }
}

/// Everything happens in a mount namespace of this process alone.
pub(crate) fn machine() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("not root".into());
    }
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| format!("no new mount namespace: {error}"))?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(|error| format!("mounts cannot be made private: {error}"))
}

fn run(tests: impl Iterator<Item = Test>) -> ExitCode {
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, test) in tests {
        let started = Instant::now();
        let before = leaks::Snapshot::take();
        let outcome = catch_unwind(|| {
            test();
            before.compare();
        });
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("test {name} ... ok ({seconds:.2} s)");
            }
            Err(_) => {
                failed.push(name);
                println!("test {name} ... FAILED ({seconds:.2} s)");
            }
        }
    }
    println!("\n{passed} passed; {} failed {}", failed.len(), failed.join(", "));
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
