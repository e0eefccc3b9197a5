use std::path::PathBuf;

/// Why a run directory could not be read, or a report not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The directory holds none of the files of a run.
    #[error("{path} is not a run directory: it has neither run.json nor summary.json nor cells/")]
    NotARun {
        /// The directory that was given.
        path: PathBuf,
    },
    /// A file or directory exists and cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What was read.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file says something this version does not understand.
    #[error("{path}:{line}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line in the file, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The file was written by another version.
    #[error("{path} has schema {found}, this version reads schema {known}")]
    Schema {
        /// The file.
        path: PathBuf,
        /// What the file says.
        found: u64,
        /// What this version reads.
        known: u64,
    },
    /// A file of the report cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The page's template failed.
    #[error("cannot render report.html: {reason}")]
    Render {
        /// The template engine's reason.
        reason: String,
    },
}
