use std::path::{Path, PathBuf};

use dfaas_docker::DockerError;

/// Why something could not be done to a lab. Each names the thing.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read`, `write`, `create`, …
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A lab of that name runs already.
    #[error(
        "a lab named `{name}` is running already (supervisor {pid}): end it with `dfaas-testbed down -l {name}`, or give this one another `name`"
    )]
    NameTaken {
        /// The lab.
        name: String,
        /// Process id of its supervisor.
        pid: i32,
    },
    /// No lab of that name.
    #[error("no lab named `{0}` is running")]
    NoSuchLab(String),
    /// `-l` was left out and there is nothing to choose.
    #[error("no lab is running")]
    NoLab,
    /// `-l` was left out and there is a choice.
    #[error("{} labs are running ({}); choose one with `-l NAME`", .0.len(), .0.join(", "))]
    SeveralLabs(Vec<String>),
    /// This machine or this user cannot do it.
    #[error("{what}; {remedy}")]
    MachineCannot {
        /// What is missing.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// A program that nodes need is not installed.
    #[error("`{program}` is not installed; {remedy}")]
    ProgramMissing {
        /// Program or path looked for.
        program: String,
        /// What to do about it.
        remedy: String,
    },
    /// A host port cannot be bound.
    #[error("node `{node}`: cannot listen on {address}: {source}")]
    PortTaken {
        /// The node that publishes the port.
        node: String,
        /// `address:port` on the host.
        address: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The network could not be built or changed.
    #[error(transparent)]
    Network(#[from] dfaas_netns::NetnsError),
    /// The link engine could not be started or changed.
    #[error(transparent)]
    Wire(#[from] dfaas_wire::WireError),
    /// A process could not be started.
    #[error(transparent)]
    Process(#[from] dfaas_process::ProcessError),
    /// A container engine is missing or refused something.
    #[error(transparent)]
    Docker(#[from] dfaas_docker::DockerError),
    /// A link asks for something that its backend cannot do.
    #[error("link `{link}`: {reason}")]
    Link {
        /// The link.
        link: String,
        /// What cannot be done.
        reason: String,
    },
    /// The lab has no such thing.
    #[error("lab `{lab}` has no {what} `{name}`{}", similar.as_ref().map(|it| format!("; did you mean `{it}`?")).unwrap_or_default())]
    Unknown {
        /// The lab.
        lab: String,
        /// `node` or `link`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What is most like it.
        similar: Option<String>,
    },
    /// The lab is still being started, or is ending.
    #[error("lab `{lab}` is {state}; wait until it is ready (`dfaas-testbed wait --ready`)")]
    NotNow {
        /// The lab.
        lab: String,
        /// What it is doing.
        state: String,
    },
    /// Somebody waited for the lab, and it took too long.
    #[error("lab `{lab}` is not ready within {seconds} s; still waiting for {}", waiting.join(", "))]
    NotReady {
        /// The lab.
        lab: String,
        /// How long was waited.
        seconds: f64,
        /// For what.
        waiting: Vec<String>,
    },
    /// A setting that cannot be read or that contradicts itself; the text is the whole message.
    #[error("{0}")]
    Setting(String),
    /// A service of a node ended or never became ready.
    #[error("node `{node}`: {reason}")]
    Node {
        /// The node.
        node: String,
        /// What happened, with the last log lines.
        reason: String,
    },
    /// The supervisor ended without a word.
    #[error("the supervisor of lab `{name}` ended unexpectedly{detail}")]
    SupervisorGone {
        /// The lab.
        name: String,
        /// Its last log lines, or nothing.
        detail: String,
    },
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
    /// The supervisor reported a failure; the text is its whole message.
    #[error("{message}")]
    Reported {
        /// The supervisor's message.
        message: String,
        /// Exit code that goes with it.
        exit_code: u8,
    },
    /// Something is still there after the lab was taken down.
    #[error("lab `{name}`: clean-up incomplete: {}", left.join("; "))]
    Left {
        /// The lab.
        name: String,
        /// What is left, in words.
        left: Vec<String>,
    },
    /// A call to the supervisor failed.
    #[error(transparent)]
    Control(#[from] dfaas_control::ControlError),
}

impl LabError {
    pub(crate) fn file(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// The exit code of a command that fails with this error: 2 bad input or usage, 3 this machine cannot,
    /// 4 clean-up incomplete, 5 the operation failed, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NameTaken { .. }
            | Self::NoSuchLab(_)
            | Self::NoLab
            | Self::SeveralLabs(_)
            | Self::Unknown { .. }
            | Self::Setting(_) => 2,
            Self::MachineCannot { .. }
            | Self::ProgramMissing { .. }
            | Self::Docker(DockerError::NoEngine { .. } | DockerError::NoRuntime { .. }) => 3,
            Self::Left { .. } => 4,
            Self::Interrupted => 130,
            Self::Reported { exit_code, .. } => *exit_code,
            _ => 5,
        }
    }
}
