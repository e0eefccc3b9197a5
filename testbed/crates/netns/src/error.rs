//! What can go wrong, with the thing it went wrong on.

use std::io;
use std::time::Duration;

use nix::errno::Errno;

/// Why an operation on a network failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetnsError {
    /// The description of the network contradicts itself; nothing was created.
    #[error("{subject}: {reason}")]
    InvalidSpec {
        /// The namespace, interface or link meant.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An impairment that no kernel queue can express.
    #[error("impairment of midpoint `{interface}`: {reason}")]
    InvalidImpairment {
        /// The midpoint that sends the impaired packets.
        interface: String,
        /// What is wrong with the impairment.
        reason: String,
    },
    /// A namespace could not be made.
    #[error("cannot create namespace `{namespace}`: {source}")]
    CreateNamespace {
        /// The namespace asked for.
        namespace: String,
        /// What netns-rs reported.
        source: netns_rs::Error,
    },
    /// A system call that concerns a namespace failed.
    #[error("cannot {operation} in namespace `{namespace}`: {source}")]
    System {
        /// What was tried.
        operation: String,
        /// Where.
        namespace: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel refused a netlink request.
    #[error("cannot {operation} in namespace `{namespace}`: {}", describe(*errno, .reason.as_deref()))]
    Refused {
        /// What was asked, with the name of the interface.
        operation: String,
        /// Where it was asked.
        namespace: String,
        /// The error number.
        errno: i32,
        /// The kernel's own sentence (`NETLINK_EXT_ACK`), where it gave one.
        reason: Option<String>,
    },
    /// The kernel's answer could not be understood.
    #[error("unexpected answer from the kernel in namespace `{namespace}`: {reason}")]
    Protocol {
        /// Where the question was asked.
        namespace: String,
        /// What was wrong with the answer.
        reason: String,
    },
    /// No namespace of this network has that name.
    #[error("no namespace `{namespace}` in this network")]
    UnknownNamespace {
        /// The name asked for.
        namespace: String,
    },
    /// The namespace has no interface of that name.
    #[error("no interface `{interface}` in namespace `{namespace}`")]
    UnknownInterface {
        /// The namespace searched.
        namespace: String,
        /// The name asked for.
        interface: String,
    },
    /// The midpoint has not been joined to another one yet.
    #[error("midpoint `{interface}` in namespace `{namespace}` is not shaped yet")]
    NotShaped {
        /// The namespace of the midpoint.
        namespace: String,
        /// The midpoint.
        interface: String,
    },
    /// The closure given to [`Network::enter`](crate::Network::enter) panicked.
    #[error("code running in namespace `{namespace}` panicked: {message}")]
    Panicked {
        /// The namespace it ran in.
        namespace: String,
        /// The panic's message.
        message: String,
    },
    /// A thread of this crate could not be used.
    #[error("cannot use the worker thread for namespace `{namespace}`: {reason}")]
    Worker {
        /// The namespace the work was for.
        namespace: String,
        /// Why not.
        reason: String,
    },
    /// Something outside this crate still holds the network.
    #[error(
        "interfaces still exist {waited:?} after the network was closed: a process or socket still uses one of its namespaces"
    )]
    StillInUse {
        /// How long the removal was awaited.
        waited: Duration,
    },
}

impl NetnsError {
    /// The kernel's error number, where there is one (`libc::EPERM`, …).
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// The kernel's sentence where there is one, and always the meaning of the number.
fn describe(errno: i32, reason: Option<&str>) -> String {
    let meaning = Errno::from_raw(errno).desc();
    match reason {
        Some(sentence) => format!("{} ({meaning})", sentence.trim_end_matches(['.', '\n'])),
        None => meaning.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_the_kernels_sentence_and_the_number() {
        let error = NetnsError::Refused {
            operation: "set delay on midpoint `m0`".into(),
            namespace: "wire".into(),
            errno: libc::ENOENT,
            reason: Some("Specified qdisc kind is unknown.".into()),
        };
        assert_eq!(
            error.to_string(),
            "cannot set delay on midpoint `m0` in namespace `wire`: \
             Specified qdisc kind is unknown (No such file or directory)"
        );
        assert_eq!(error.errno(), Some(libc::ENOENT));
    }
}
