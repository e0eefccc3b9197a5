//! What can go wrong with HAProxy.

use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// A configuration could not be made, checked, loaded or read back.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// The template engine failed.
    #[error("cannot render the HAProxy configuration: {0}")]
    Render(#[from] askama::Error),
    /// A file could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// read, write, replace or remove.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// The check program could not be run.
    #[error("cannot run `{}` to check the configuration: {source}; set AGENT_HAPROXY_EXECUTABLE", path.display())]
    CheckNotRun {
        /// The program.
        path: PathBuf,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// HAProxy itself says the configuration is wrong.
    #[error("HAProxy refuses the new configuration: {complaint}")]
    Refused {
        /// HAProxy's words.
        complaint: String,
    },
    /// A socket does not answer.
    #[error("HAProxy's socket `{}` does not answer: {source}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// A command of the Runtime API was refused.
    #[error("HAProxy refused `{command}`: {answer}")]
    Command {
        /// The first command of the batch.
        command: String,
        /// HAProxy's words.
        answer: String,
    },
    /// The command that reloads HAProxy failed.
    #[error("the command of AGENT_HAPROXY_CONFIG_UPDATE_COMMAND failed ({status}): {complaint}")]
    UpdateCommand {
        /// How it ended.
        status: String,
        /// What it wrote.
        complaint: String,
    },
    /// The master process reports a failed reload; the old configuration is in force.
    #[error("HAProxy failed to reload and goes on with the configuration before")]
    ReloadFailed,
    /// The reload was asked for, but the new configuration does not appear.
    #[error(
        "HAProxy does not serve the new configuration {} s after the reload; was it started with `-f {}`?",
        waited.as_secs(), path.display()
    )]
    NotServed {
        /// The configuration file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
}
