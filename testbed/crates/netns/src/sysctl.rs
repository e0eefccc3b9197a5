//! Settings of a namespace under `/proc/sys/net`, which shows those of the calling thread's namespace.

use std::io;

use crate::error::NetnsError;
use crate::spec::NamespaceRole;

/// Applies the settings that a role needs before its interfaces are made.
///
/// Automatic IPv6 is what makes large networks slow: duplicate address detection, router solicitations and multicast listener
/// reports of N nodes are flooded to N ports (measured for 1000 nodes: 42 s of packets, 1.2 s without).
pub(crate) fn apply(namespace: &str, role: NamespaceRole) -> Result<(), NetnsError> {
    match role {
        NamespaceRole::Switch | NamespaceRole::Wire => {
            write(namespace, "ipv6/conf/default/disable_ipv6", "1")
        }
        NamespaceRole::Node { forward } => {
            for (name, value) in STATIC_IPV6 {
                write(namespace, name, value)?;
            }
            // A new namespace copies the host's IPv4 settings, so both values are written; with two paths to a node its packets
            // may arrive on another interface than the one that leads back.
            write(namespace, "ipv4/conf/all/rp_filter", "0")?;
            write(namespace, "ipv4/conf/default/rp_filter", "0")?;
            let forward = if forward { "1" } else { "0" };
            write(namespace, "ipv4/ip_forward", forward)?;
            write(namespace, "ipv6/conf/all/forwarding", forward)
        }
    }
}

/// No link-local address, no detection of duplicates, no router; a listener report is sent once, not repeated a second later
/// (the unit is milliseconds).
const STATIC_IPV6: [(&str, &str); 5] = [
    ("ipv6/conf/default/addr_gen_mode", "1"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/mldv2_unsolicited_report_interval", "86400000"),
];

fn write(namespace: &str, name: &str, value: &str) -> Result<(), NetnsError> {
    match std::fs::write(format!("/proc/sys/net/{name}"), value) {
        Ok(()) => Ok(()),
        // A kernel without IPv6 has nothing to switch off.
        Err(error) if error.kind() == io::ErrorKind::NotFound && name.starts_with("ipv6/") => Ok(()),
        Err(source) => Err(NetnsError::System {
            operation: format!("set net/{name} to {value}"),
            namespace: namespace.into(),
            source,
        }),
    }
}
