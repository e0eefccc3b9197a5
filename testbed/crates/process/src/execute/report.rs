//! How the processes on the way to the program tell the caller what became of it: records of three numbers in a pipe,
//! whose end means that the program runs (or that nobody is left).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{OwnedFd, RawFd};

use nix::unistd::Pid;

use crate::error::{Cannot, ProcessError};

/// The program's process exists; its number follows.
pub(super) const STARTED: i32 = 1;
/// A step failed; its place in [`STEPS`] and the error number follow.
pub(super) const FAILED: i32 = 2;
/// No candidate could be executed; the error number follows.
pub(super) const NOT_EXECUTED: i32 = 3;

/// What can fail before the program is executed.
pub(super) const STEPS: [&str; 6] = [
    "enter the node's cgroup",
    "enter the node",
    "start a process in the node",
    "enter the working directory in the node",
    "take the node's privileges",
    "place descriptors",
];
pub(super) const JOIN_CGROUP: i32 = 0;
pub(super) const ENTER_NAMESPACES: i32 = 1;
pub(super) const START: i32 = 2;
pub(super) const CHANGE_DIRECTORY: i32 = 3;
pub(super) const LIMIT_PRIVILEGES: i32 = 4;
pub(super) const PLACE_DESCRIPTORS: i32 = 5;

const RECORD: usize = 12;

/// What the records say together.
pub(super) enum Outcome {
    Running {
        program: Pid,
    },
    NotExecuted {
        program: Pid,
        error: io::Error,
    },
    Failed {
        program: Option<Pid>,
        error: ProcessError,
    },
}

/// Writes a record.
///
/// # Safety
/// Async-signal-safe; `pipe` must be open.
pub(super) unsafe fn write(pipe: RawFd, kind: i32, first: i32, second: i32) {
    let record = [kind, first, second];
    // SAFETY: twelve bytes of an array that lives through the call. A caller that is gone needs no report.
    unsafe { libc::write(pipe, record.as_ptr().cast(), RECORD) };
}

/// Reads until every writer is gone.
pub(super) fn read(pipe: OwnedFd) -> Result<Outcome, ProcessError> {
    let mut bytes = Vec::new();
    File::from(pipe)
        .read_to_end(&mut bytes)
        .cannot(|| "hear from the new process".into())?;
    Ok(understand(&bytes))
}

fn understand(bytes: &[u8]) -> Outcome {
    let mut program = None;
    let mut failure = None;
    let mut not_executed = None;
    for record in bytes.chunks_exact(RECORD) {
        let number = |at: usize| {
            record[at..]
                .first_chunk()
                .map_or(0, |bytes| i32::from_ne_bytes(*bytes))
        };
        match number(0) {
            STARTED => program = Some(Pid::from_raw(number(4))),
            FAILED => failure = Some((number(4), number(8))),
            NOT_EXECUTED => not_executed = Some(number(4)),
            _ => {}
        }
    }
    match (program, failure, not_executed) {
        (program, Some((step, code)), _) => Outcome::Failed {
            program,
            error: step_failed(step, code),
        },
        (Some(program), None, Some(code)) => Outcome::NotExecuted {
            program,
            error: io::Error::from_raw_os_error(code),
        },
        (Some(program), None, None) => Outcome::Running { program },
        (None, None, _) => Outcome::Failed {
            program: None,
            error: step_failed(START, libc::ESRCH),
        },
    }
}

fn step_failed(step: i32, code: i32) -> ProcessError {
    let step = usize::try_from(step)
        .ok()
        .and_then(|step| STEPS.get(step))
        .unwrap_or(&STEPS[START as usize]);
    ProcessError::System {
        action: (*step).to_owned(),
        source: io::Error::from_raw_os_error(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(records: &[[i32; 3]]) -> Vec<u8> {
        records
            .iter()
            .flatten()
            .flat_map(|number| number.to_ne_bytes())
            .collect()
    }

    #[test]
    fn records_in_any_order_give_one_outcome() {
        let started = [STARTED, 77, 0];
        assert!(
            matches!(understand(&bytes(&[started])), Outcome::Running { program } if program.as_raw() == 77)
        );
        let outcome = understand(&bytes(&[[NOT_EXECUTED, libc::ENOENT, 0], started]));
        assert!(
            matches!(outcome, Outcome::NotExecuted { error, .. } if error.raw_os_error() == Some(libc::ENOENT))
        );
    }

    #[test]
    fn failures_name_their_step() {
        let Outcome::Failed { program: None, error } =
            understand(&bytes(&[[FAILED, ENTER_NAMESPACES, libc::EPERM]]))
        else {
            panic!("a failure is no other outcome")
        };
        assert!(
            error.to_string().starts_with("cannot enter the node: "),
            "{error}"
        );
        assert!(matches!(understand(&[]), Outcome::Failed { program: None, .. }));
        assert!(matches!(
            understand(&[1, 0]),
            Outcome::Failed { program: None, .. }
        ));
    }
}
