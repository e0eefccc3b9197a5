use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::load::LoadError;

/// Why an experiment could not be run or its results not be written.
///
/// What goes wrong *during* a run (a lab that does not start, an interruption) is not here: it gives a
/// [`Summary`](crate::Summary) with verdict `error`, so that everything measured until then is kept.
#[derive(Debug, Error)]
pub enum ExperimentError {
    /// The disk under the run directory is full.
    #[error("no space left on the disk (ENOSPC) while writing {}", path.display())]
    DiskFull {
        /// The file that could not be written.
        path: PathBuf,
    },
    /// A file of the run directory cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The run directory holds something already.
    #[error("{} is not empty; a run never overwrites another one's results", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The scenario asks for an event that cannot be done here.
    #[error("event at {at} s cannot be done: {reason}")]
    Event {
        /// Seconds after t = 0.
        at: f64,
        /// What is missing.
        reason: String,
    },
    /// A flow cannot be sent over HTTP.
    #[error(transparent)]
    Flow(#[from] LoadError),
    /// The published numbers that the scenario names cannot be read.
    #[error("cannot read reference {}: {source}", path.display())]
    Reference {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Results are written, but the lab is still there in part.
    #[error("lab `{lab}` could not be taken down completely: {reason}")]
    CleanUp {
        /// Name of the lab.
        lab: String,
        /// What is left, or why.
        reason: String,
    },
}

impl ExperimentError {
    /// An error of the file system, told apart by whether the disk is full.
    pub(crate) fn write(path: &Path, source: io::Error) -> ExperimentError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ExperimentError::DiskFull { path },
            _ => ExperimentError::Write { path, source },
        }
    }
}
