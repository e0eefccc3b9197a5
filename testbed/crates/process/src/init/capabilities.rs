//! What the programs of a node may do.
//!
//! Their user is root, whose programs get every capability of the *bounding set* when they are executed (capabilities(7)).
//! Init takes out of that set whatever reaches beyond the node. It keeps its own capabilities, and that protects it: a
//! process without `CAP_SYS_PTRACE` may not look into one that has more capabilities, so `/proc/1/fd` and
//! `/proc/1/root` show nothing.

use std::io;

use crate::error::{Cannot, ProcessError};
use crate::raw;
use crate::spec::Privileges;

/// Numbers of linux/capability.h. What is missing, and why: DAC_READ_SEARCH and MKNOD reach files behind the overlay;
/// LINUX_IMMUTABLE, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_PACCT, SYS_BOOT, SYS_TIME, SYSLOG, WAKE_ALARM, BPF, PERFMON
/// and the AUDIT and MAC ones reach the whole machine; SYS_NICE would let a node outrun the link engine.
const KEPT: [u32; 19] = [
    0,  // CHOWN
    1,  // DAC_OVERRIDE
    3,  // FOWNER
    4,  // FSETID
    5,  // KILL
    6,  // SETGID
    7,  // SETUID
    8,  // SETPCAP
    10, // NET_BIND_SERVICE
    11, // NET_BROADCAST
    12, // NET_ADMIN
    13, // NET_RAW
    14, // IPC_LOCK
    15, // IPC_OWNER
    18, // SYS_CHROOT
    24, // SYS_RESOURCE
    28, // LEASE
    29, // AUDIT_WRITE
    31, // SETFCAP
];
const SYS_ADMIN: u32 = 21;

/// Limits what programs started from now on may do.
pub(super) fn limit(privileges: Privileges) -> Result<(), ProcessError> {
    // SAFETY: integers and structures of its own.
    if !unsafe { raw::clear_inheritable_capabilities() } {
        return Err(io::Error::last_os_error()).cannot(|| "give up inheritable capabilities".into());
    }
    for capability in 0..64 {
        let kept =
            KEPT.contains(&capability) || (capability == SYS_ADMIN && privileges == Privileges::Namespaces);
        // SAFETY: integers only.
        let known = kept
            || unsafe { raw::drop_from_bounding_set(capability) }
                .map_err(io::Error::from_raw_os_error)
                .cannot(|| format!("give up capability {capability}"))?;
        if !known {
            break;
        }
    }
    Ok(())
}
