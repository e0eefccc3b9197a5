//! What the platform says it is, and what follows from that.

use serde::Serialize;

/// Which platform this one stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// faasd 0.19.0: one replica per function, no processor limits.
    #[default]
    Faasd,
    /// Itself: what faasd has, and in addition as many replicas as asked for, scaling to zero through the gateway,
    /// processor limits that are shown and enforced, and a label `faas_function` on every function.
    Native,
}

impl Identity {
    /// The provider's name, unless another is given.
    #[must_use]
    pub fn provider_name(self) -> &'static str {
        match self {
            Identity::Faasd => "faasd",
            Identity::Native => "dfaas-faas",
        }
    }

    fn orchestration(self) -> &'static str {
        match self {
            Identity::Faasd => "containerd",
            Identity::Native => "namespaces",
        }
    }

    fn version(self) -> Version {
        match self {
            Identity::Faasd => Version {
                commit_message: "",
                sha: "e4848cd829286c174bda45b40fc8c5ae5c571d08",
                release: "0.19.0",
            },
            Identity::Native => Version {
                commit_message: "",
                sha: "0000000000000000000000000000000000000000",
                release: env!("CARGO_PKG_VERSION"),
            },
        }
    }
}

#[derive(Debug, Serialize)]
struct Version {
    #[serde(skip_serializing_if = "str::is_empty")]
    commit_message: &'static str,
    sha: &'static str,
    release: &'static str,
}

/// The provider's answer to `GET /system/info`.
#[derive(Debug, Serialize)]
pub(crate) struct ProviderInfo<'a> {
    provider: &'a str,
    version: Version,
    orchestration: &'static str,
}

/// The gateway's.
#[derive(Debug, Serialize)]
pub(crate) struct GatewayInfo<'a> {
    provider: ProviderInfo<'a>,
    version: Version,
    arch: &'static str,
}

/// The gateway whose behaviour this is.
pub(crate) const GATEWAY_RELEASE: &str = "0.27.5";

pub(crate) fn provider_info(identity: Identity, name: &str) -> ProviderInfo<'_> {
    ProviderInfo {
        provider: name,
        version: identity.version(),
        orchestration: identity.orchestration(),
    }
}

pub(crate) fn gateway_info(identity: Identity, name: &str) -> GatewayInfo<'_> {
    GatewayInfo {
        provider: provider_info(identity, name),
        version: Version {
            commit_message: "See GitHub for latest changes",
            sha: "1ab3f323564423e4de43f8f324a752a297447a1a",
            release: GATEWAY_RELEASE,
        },
        arch: "",
    }
}
