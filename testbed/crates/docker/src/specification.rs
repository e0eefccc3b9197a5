//! What a container is made from, as data.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A network holder.
#[derive(Debug, Clone, Default)]
pub struct HolderSpec {
    /// The container's name, unique on the engine.
    pub name: String,
    /// The lab it belongs to.
    pub lab: String,
    /// The node it belongs to; its host name too.
    pub node: String,
    /// Lines of `/etc/hosts`: a joined container sees this one's.
    pub hosts: Vec<(IpAddr, String)>,
    /// The runtime, the engine's default when absent. The node's, because some runtimes share namespaces only among
    /// their own containers.
    pub oci_runtime: Option<String>,
}

/// A node container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerSpec {
    /// The container's name, unique on the engine.
    pub name: String,
    /// The lab it belongs to.
    pub lab: String,
    /// The node it is.
    pub node: String,
    /// Image.
    pub image: String,
    /// The network holder whose network it joins.
    pub holder: String,
    /// What it runs instead of the image's command.
    pub command: Option<Vec<String>>,
    /// Environment, added to the image's.
    pub environment: BTreeMap<String, String>,
    /// The runtime, for example `sysbox-runc`; the engine's default when absent.
    pub oci_runtime: Option<String>,
    /// Whether it may do everything the engine may.
    pub privileged: bool,
    /// Directories and files of this machine.
    pub volumes: Vec<Volume>,
    /// File systems in memory: path → mount options, for example `size=64m`.
    pub tmpfs: BTreeMap<String, String>,
    /// Devices of this machine.
    pub devices: Vec<Device>,
    /// Capabilities added to the engine's default ones, for example `NET_ADMIN`.
    pub capabilities: Vec<String>,
    /// Kernel settings, for example `net.ipv4.ip_forward` → `1`.
    pub sysctls: BTreeMap<String, String>,
    /// What it may use.
    pub limits: Limits,
    /// How its health is told, if not as the image says.
    pub health: Option<Health>,
}

/// What a container may use.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Processors, 0.5 for half of one.
    pub cpus: Option<f64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// A directory or file of this machine in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Absolute path on this machine.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: PathBuf,
    /// Whether the container may not change it.
    pub read_only: bool,
}

/// A device of this machine in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Path on this machine.
    pub source: PathBuf,
    /// Path in the container.
    pub target: PathBuf,
}

/// A command that tells by its exit code whether a container is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Run by the container's shell.
    pub command: String,
    /// Between two checks.
    pub interval: Duration,
    /// After this a check has failed.
    pub timeout: Duration,
    /// Failures in a row until it is unwell.
    pub retries: u32,
}
