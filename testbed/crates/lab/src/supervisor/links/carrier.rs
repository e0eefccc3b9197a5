//! Who carries a link out: the kernel where it can do what the link asks for, otherwise the engine.

use dfaas_model::{Backend, Impairment, Link};
use dfaas_netns::KernelFeatures;

use crate::error::LabError;
use crate::supervisor::kernel;

/// What carries a link out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Carrier {
    /// Kernel queueing disciplines.
    Tc,
    /// The user-space engine.
    Wire,
}

impl Carrier {
    /// As in the file and in `inspect`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::Wire => "wire",
        }
    }
}

/// Who carries a link of the file.
pub(super) fn carrier_of(link: &Link, features: &KernelFeatures) -> Result<Carrier, LabError> {
    match (link.backend, missing_for_link(link, features)) {
        (Backend::Wire, _) | (Backend::Auto, Some(_)) => Ok(Carrier::Wire),
        (Backend::Auto | Backend::Tc, None) => Ok(Carrier::Tc),
        (Backend::Tc, Some(missing)) => Err(LabError::MachineCannot {
            what: format!("link `{}` asks for `backend: tc`, but {missing}", link.name),
            remedy: "leave `backend` out, or use `backend: wire`".to_owned(),
        }),
    }
}

/// Why the kernel cannot do these two directions, if it cannot.
pub(super) fn missing_for(directions: [&Impairment; 2], features: &KernelFeatures) -> Option<&'static str> {
    if !features.can_join() {
        return Some("this kernel cannot join two interfaces (clsact, u32 and mirred are needed)");
    }
    directions
        .into_iter()
        .find_map(|it| kernel::missing(it, features).or_else(|| kernel::cannot_say(it)))
}

/// As [`missing_for`], for a link of the file with what it replays.
fn missing_for_link(link: &Link, features: &KernelFeatures) -> Option<&'static str> {
    if link.forward_trace.is_some() || link.backward_trace.is_some() {
        return Some("a trace or a pattern is replayed by the wire engine only");
    }
    missing_for([&link.forward, &link.backward], features)
}

/// A link that runs and must stay with the kernel is asked for what the kernel cannot do.
pub(super) fn kernel_cannot(link: &Link, missing: &str) -> LabError {
    LabError::Link {
        link: link.name.clone(),
        reason: format!(
            "its backend is `tc`, and {missing}; leave `backend` out of the file, or use `backend: wire`"
        ),
    }
}
