//! Sudden death on purpose. Debug builds of the supervisor end at the step that a test names, as if by `kill -9`, so that every
//! step of a lab's life can be shown to be undone. Release builds know nothing of it.

/// Passes a step of the supervisor.
///
/// `DFAAS_TESTBED_STEPS` names a file that each step is noted in, `DFAAS_TESTBED_DIE_AT` the number of the last step, from 1.
#[cfg(debug_assertions)]
pub(crate) fn step(name: &str) {
    use std::io::Write;
    use std::sync::{Mutex, PoisonError};

    // Held to the end, so that no other thread passes a step after the last one.
    static PASSED: Mutex<usize> = Mutex::new(0);
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    *passed += 1;
    if let Some(path) = std::env::var_os("DFAAS_TESTBED_STEPS") {
        let file = std::fs::File::options().create(true).append(true).open(path);
        let noted = file.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
        if let Err(error) = noted {
            tracing::error!(%error, "cannot note a step");
        }
    }
    let last = std::env::var("DFAAS_TESTBED_DIE_AT");
    if last.is_ok_and(|last| last.parse() == Ok(*passed)) {
        // It cannot fail, and nothing comes after it.
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(crate) fn step(_name: &str) {}
