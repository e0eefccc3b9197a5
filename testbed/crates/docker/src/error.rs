//! What can go wrong with a Docker engine.

use thiserror::Error;

/// An error of a container engine, naming what it was about.
#[derive(Debug, Error)]
pub enum DockerError {
    /// No engine answers.
    #[error("no Docker engine answers at {address}: {reason}")]
    NoEngine {
        /// Where it was looked for.
        address: String,
        /// Why it did not answer.
        reason: String,
    },
    /// The engine has no runtime of this name.
    #[error("the Docker engine has no runtime `{runtime}` (it has: {present})")]
    NoRuntime {
        /// The runtime asked for.
        runtime: String,
        /// What there is.
        present: String,
    },
    /// An image is not there and could not be had.
    #[error("image `{image}`: {reason}")]
    Image {
        /// Its name, or the folder it is built from.
        image: String,
        /// The engine's own words, or what is wrong with the folder.
        reason: String,
    },
    /// The engine refused or failed a step of a container.
    #[error("cannot {operation} container `{container}`: {reason}")]
    Container {
        /// The step.
        operation: &'static str,
        /// The container's name.
        container: String,
        /// The engine's own words.
        reason: String,
    },
    /// Something of this machine that a container needs is not as expected.
    #[error("cannot {operation}: {source}")]
    System {
        /// What was being done.
        operation: String,
        /// The reason.
        source: std::io::Error,
    },
}

/// The engine's words without the client's wrapping.
pub(crate) fn words(error: bollard::errors::Error) -> String {
    match error {
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        bollard::errors::Error::DockerStreamError { error } => error.trim().to_owned(),
        other => innermost(&other),
    }
}

/// The reason at the bottom, which is the system's own; what is above it are the names of layers.
fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

/// Whether the engine said that the thing does not exist.
pub(crate) fn is_missing(error: &bollard::errors::Error) -> bool {
    matches!(
        error,
        bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }
    )
}

/// Whether the engine said that there was nothing to do: already started, already stopped.
pub(crate) fn is_done_already(error: &bollard::errors::Error) -> bool {
    matches!(
        error,
        bollard::errors::Error::DockerResponseServerError { status_code: 304, .. }
    )
}
