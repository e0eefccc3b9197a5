//! What can go wrong with a process, in words that name the thing.

use std::io;
use std::path::PathBuf;

use crate::status::ExitStatus;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The kernel refused one step.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried, as "mount /proc".
        action: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A node's init could not make its surroundings; it has ended.
    #[error("node {node} did not start: {reason}")]
    InitFailed {
        /// The node's name.
        node: String,
        /// What init reported.
        reason: String,
    },
    /// A sandbox could not be made.
    #[error("sandbox {name} did not start: {reason}")]
    Sandbox {
        /// Its name.
        name: String,
        /// The step that failed and the kernel's answer.
        reason: String,
    },
    /// A node's init is not running any more.
    #[error("node {node} has ended: {status}")]
    InitEnded {
        /// The node's name.
        node: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A node's init refused a request about a service.
    #[error("node {node}, service {service}: {reason}")]
    Service {
        /// The node's name.
        node: String,
        /// The service's name.
        service: String,
        /// What init reported.
        reason: String,
    },
    /// A node's init did not answer in time (it may be frozen).
    #[error("node {node} did not answer within {seconds:.1} s")]
    NoAnswer {
        /// The node's name.
        node: String,
        /// How long was waited.
        seconds: f64,
    },
    /// The process that was recorded is gone; another may have its number now.
    #[error("process {pid} is not running any more")]
    Gone {
        /// The number it had.
        pid: i32,
    },
    /// The thread that starts processes has ended.
    #[error("the thread that starts processes has ended")]
    SpawnerEnded,
    /// There is no such program, or it is none.
    #[error("cannot run `{program}`: {source}")]
    NotExecuted {
        /// The program as given.
        program: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A command without a program.
    #[error("the command is empty")]
    EmptyCommand,
    /// A text that cannot be handed to the kernel.
    #[error("{what} contains a null byte")]
    NullByte {
        /// Which text.
        what: String,
    },
    /// A cgroup could not be made, changed or removed.
    #[error("cannot {action} cgroup {}: {source}", path.display())]
    Cgroup {
        /// What was tried, as "remove".
        action: &'static str,
        /// The directory of the cgroup.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A cgroup path that is absolute, empty, or leaves its tree.
    #[error("{path:?} is not a cgroup path: it must be relative, without `.` and `..`")]
    CgroupPath {
        /// The path as given.
        path: String,
    },
}

impl ProcessError {
    /// What a shell would exit with (POSIX, "Exit Status for Commands"): 127 when there is no such program, 126 when it cannot
    /// be executed; none for anything else.
    #[must_use]
    pub fn shell_code(&self) -> Option<u8> {
        match self {
            ProcessError::NotExecuted { source, .. } => match source.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => Some(127),
                _ => Some(126),
            },
            _ => None,
        }
    }
}

/// Adds what was tried to an error of the kernel.
pub(crate) trait Cannot<T> {
    /// `action` completes the sentence "cannot …".
    fn cannot(self, action: impl FnOnce() -> String) -> Result<T, ProcessError>;
}

impl<T, E: Into<io::Error>> Cannot<T> for Result<T, E> {
    fn cannot(self, action: impl FnOnce() -> String) -> Result<T, ProcessError> {
        self.map_err(|error| ProcessError::System {
            action: action(),
            source: error.into(),
        })
    }
}
