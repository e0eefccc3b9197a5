//! Isolated processes: namespaces, a tiny init, cgroups v1 and v2.
//!
//! A *node* is a process tree of its own: process 1 is [`init_main`], started by a [`Spawner`] into new pid, mount,
//! uts and ipc namespaces and into a network namespace that somebody else made. It sees the host's files through an
//! overlay (or read-only), its own `/proc`, `/sys`, `/dev`, `/tmp`, `/run` and `/etc/hosts`, and runs the services it
//! is told to run. [`execute_in`] brings one more program into a running node, from any process of this machine.
//!
//! # Who ends what
//! Nothing survives the process that owns the [`Spawner`], however it ends: the kernel kills each init when the
//! spawner's thread ends (`PR_SET_PDEATHSIG`), each init leaves when its lifeline pipe or its control socket closes,
//! and the kernel kills every process of a pid namespace with its init. Mounts go with the mount namespace. Only
//! empty cgroup directories stay behind; [`remove_cgroup_tree`] takes a [`CgroupReference`] out of a ledger for that.
//!
//! # What a node may do
//! Processes of a node keep root's identity but not all of root's power, see [`Privileges`].
//!
//! # Programs that nobody trusts
//! A [`Sandbox`] is smaller than a node: it has no services, and its programs are an ordinary user without any
//! capability.
//!
//! Needs Linux 5.12 (`clone3`, `close_range`, `mount_setattr`), and `CAP_SYS_ADMIN` in the current user namespace:
//! root, or a process that has made a user namespace for itself.

mod cgroup;
mod error;
mod execute;
mod frame;
mod identity;
mod init;
mod message;
mod mountinfo;
mod raw;
mod sandbox;
mod spawner;
mod spec;
mod status;
mod sys;

pub use cgroup::{
    Cgroup, CgroupDirectory, CgroupReference, Hierarchies, Hierarchy, LimitKind, LimitNotApplied, Limits,
    Usage, cgroup_of, remove_cgroup_tree,
};
pub use error::ProcessError;
pub use execute::{Command, execute_in};
pub use identity::{kill_process, process_alive, start_time};
pub use init::{init_main, run_services};
pub use sandbox::{Answer, Isolation, Request, SANDBOX_USER, Sandbox, SandboxSpec, sandbox_main};
pub use spawner::{Init, NodeReference, Spawner};
pub use spec::{Bind, Event, InitSpec, Privileges, Restart, ServiceSpec};
pub use status::ExitStatus;
