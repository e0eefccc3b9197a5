//! What can go wrong before and around serving. What a client did wrong is answered to the client instead.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Why the platform cannot start or was set up wrongly.
#[derive(Debug, Error)]
pub enum FaasError {
    /// A listening socket could not be opened, mostly because its port is taken.
    #[error("cannot listen on {address} for the {role} (port {}): {source}", address.port())]
    Listen {
        /// Which of the three servers.
        role: &'static str,
        /// The wanted address.
        address: SocketAddr,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A file of deployments is not a JSON array of function deployments.
    #[error("{} is not a list of function deployments: {reason}", path.display())]
    DeploymentFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A function of a file of deployments was refused.
    #[error("cannot deploy function {function:?}: {reason}")]
    Deploy {
        /// The function's name.
        function: String,
        /// The platform's sentence.
        reason: String,
    },
    /// An image manifest is wrong.
    #[error("image manifest {origin}: {reason}")]
    Manifest {
        /// The file, or the name of the built-in image.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A credential file is empty.
    #[error("credential file {} is empty", path.display())]
    EmptyCredential {
        /// The file.
        path: PathBuf,
    },
    /// The state directory could not be written.
    #[error("cannot write state to {}: {source}", path.display())]
    State {
        /// The file or directory.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Functions cannot be kept apart on this machine, and were to be.
    #[error("functions cannot be isolated here: {0}; --isolation auto does without")]
    Isolation(dfaas_process::ProcessError),
    /// The process around the server that cleans up after it could not do its work.
    #[error("cannot guard the server process: {0}")]
    Guard(io::Error),
    /// The asynchronous runtime could not be started.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
}

impl FaasError {
    /// The exit code of a program that ends with this error: 2 for wrong input, 3 for what this machine cannot do, 5 for a failed operation.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            FaasError::DeploymentFile { .. }
            | FaasError::Deploy { .. }
            | FaasError::Manifest { .. }
            | FaasError::EmptyCredential { .. }
            | FaasError::Read { .. } => 2,
            FaasError::Isolation(_) => 3,
            FaasError::Listen { .. }
            | FaasError::State { .. }
            | FaasError::Guard(_)
            | FaasError::Runtime(_) => 5,
        }
    }
}
