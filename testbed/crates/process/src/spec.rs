//! What to run in a node, and what a node tells.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cgroup::CgroupReference;
use crate::status::ExitStatus;

/// A node's init and its surroundings.
#[derive(Debug)]
pub struct InitSpec {
    /// The node's name; it becomes the host name.
    pub node: String,
    /// A program that calls [`init_main`](crate::init_main) when it gets `arguments`; usually the running program itself.
    pub executable: PathBuf,
    /// Its arguments, without the program's name.
    pub arguments: Vec<String>,
    /// The network namespace the node lives in.
    pub network_namespace: OwnedFd,
    /// The lines of the node's `/etc/hosts`, after those of the loopback.
    pub hosts: Vec<(IpAddr, String)>,
    /// The whole text of the node's `/etc/resolv.conf`; empty: no name server.
    pub resolv_conf: String,
    /// An existing directory of the host that belongs to this node alone; what the node writes into its root file
    /// system lands below it. Best on a tmpfs; where an overlay cannot write to it init mounts a tmpfs of its own there.
    pub scratch: PathBuf,
    /// Directories and files of the host that the node sees.
    pub binds: Vec<Bind>,
    /// An existing directory of the host where `<service>.log` files appear.
    pub log_directory: PathBuf,
    /// The cgroup that the node and all its processes belong to.
    pub cgroup: Option<CgroupReference>,
    /// What processes of the node may do.
    pub privileges: Privileges,
}

impl InitSpec {
    /// A node without hosts, binds, name server and cgroup, with the privileges that suit most.
    pub fn new(
        node: impl Into<String>,
        executable: impl Into<PathBuf>,
        arguments: Vec<String>,
        network_namespace: OwnedFd,
        scratch: impl Into<PathBuf>,
        log_directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            node: node.into(),
            executable: executable.into(),
            arguments,
            network_namespace,
            hosts: Vec::new(),
            resolv_conf: String::new(),
            scratch: scratch.into(),
            binds: Vec::new(),
            log_directory: log_directory.into(),
            cgroup: None,
            privileges: Privileges::default(),
        }
    }
}

/// What the processes of a node may do. They are root in either case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privileges {
    /// Only capabilities that cannot reach beyond the node: no mounting, no device nodes, no kernel modules, no
    /// tracing of init. A program that wants namespaces of its own makes a user namespace with them.
    #[default]
    Confined,
    /// Also `CAP_SYS_ADMIN`, for services that make namespaces or mounts without a user namespace, and the node's
    /// cgroup to make others in. Programs in such a node must be trusted: whoever may mount can find a way to write to
    /// the host's files, and whoever may write to a cgroup can lift its limits.
    Namespaces,
}

/// A directory or file of the host that a node sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// In the node, absolute; made if missing.
    pub target: PathBuf,
    /// May the node not write to it?
    pub read_only: bool,
}

impl Bind {
    /// A bind that the node cannot write to.
    pub fn read_only(source: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        Self {
            source: source.as_ref().into(),
            target: target.as_ref().into(),
            read_only: true,
        }
    }
}

/// A program that init keeps running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Letters, digits, `-`, `_` and `.`; unique in its node; names the log file.
    pub name: String,
    /// The program (looked up in the `PATH` of `env` if it has no slash) and its arguments.
    pub command: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Working directory, absolute, in the node; made if missing.
    pub directory: PathBuf,
    /// What happens when the program ends.
    pub restart: Restart,
    /// Written before the first start: absolute path in the node, content. Missing directories are made.
    #[serde(with = "crate::message::files")]
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

/// What happens when a service's program ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// It is started again, after 100 ms at first, then twice as long each time up to 10 s; a program that ran for
    /// 10 s starts at 100 ms again.
    Always,
    /// It stays ended.
    Never,
}

/// What a node tells the process that started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Init has made the node's surroundings and takes services.
    Ready,
    /// Something is not as asked; the node works on.
    Warning {
        /// What is not as asked.
        text: String,
    },
    /// A service's program runs.
    ServiceStarted {
        /// The service.
        name: String,
        /// The process' number as seen by the process that owns the [`Spawner`](crate::Spawner); 0 if it could not be found.
        pid: i32,
        /// Its number inside the node.
        inner_pid: i32,
        /// How often init has started it again so far.
        restarts: u32,
    },
    /// A service's program has ended; its last words are in its log file by now.
    ServiceExited {
        /// The service.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// When it will be started again; `None`: not at all.
        will_restart_in: Option<Duration>,
    },
    /// Init could not make the node's surroundings; `InitExited` follows.
    InitFailed {
        /// The step and the kernel's answer.
        reason: String,
    },
    /// Init has ended, and with it every process of the node. The last event.
    InitExited {
        /// How it ended.
        status: ExitStatus,
    },
}
