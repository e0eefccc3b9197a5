use std::io;

use thiserror::Error;

/// Why a load process could not do its work.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Standard input did not hold a plan.
    #[error("cannot read the load plan from standard input: {0}")]
    Plan(#[from] serde_json::Error),
    /// A flow cannot be turned into HTTP requests.
    #[error("flow `{flow}`: {what} `{value}` cannot be sent over HTTP: {reason}")]
    Unsendable {
        /// Name of the flow.
        flow: String,
        /// Which part: `method`, `path`, `host`, `header name` or `header value`.
        what: &'static str,
        /// The offending text.
        value: String,
        /// What the HTTP library says about it.
        reason: String,
    },
    /// A clock, timer or signal handler of the kernel is not to be had.
    #[error("cannot use the {what}: {source}")]
    Kernel {
        /// Which facility.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Whoever reads the results has gone away.
    #[error("cannot write results to standard output: {0}")]
    Output(io::Error),
}

impl LoadError {
    pub(super) fn kernel(what: &'static str) -> impl FnOnce(io::Error) -> LoadError {
        move |source| LoadError::Kernel { what, source }
    }
}
