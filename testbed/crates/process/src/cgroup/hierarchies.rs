//! Where on this machine cgroups can be made.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};

use super::{CgroupDirectory, CgroupReference};
use crate::error::{Cannot, ProcessError};
use crate::mountinfo::{self, Mount};

/// One tree of cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hierarchy {
    /// Version 2: all controllers that are not in a version 1 hierarchy.
    Unified,
    /// Version 1, processor time.
    Cpu,
    /// Version 1, memory.
    Memory,
    /// Version 1, number of processes.
    Pids,
    /// Version 1, stopping and resuming.
    Freezer,
}

impl Hierarchy {
    const VERSION_1: [Self; 4] = [Self::Cpu, Self::Memory, Self::Pids, Self::Freezer];

    /// The controller's name in mount options and files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unified => "unified",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Freezer => "freezer",
        }
    }
}

impl fmt::Display for Hierarchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The directory of each hierarchy under which cgroups are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchies {
    /// Hierarchy → directory. A hierarchy that is not mounted is missing.
    pub bases: BTreeMap<Hierarchy, PathBuf>,
}

impl Hierarchies {
    /// The hierarchies mounted here. In the unified one the base is the topmost cgroup above (or of) the calling
    /// process that it may change: the root for root, a delegated cgroup for a user of systemd.
    ///
    /// # Errors
    /// [`ProcessError::System`] when `/proc` cannot be read.
    pub fn detect() -> Result<Self, ProcessError> {
        let mounts = visible_mounts()?;
        let own = fs::read_to_string("/proc/self/cgroup").cannot(|| "read /proc/self/cgroup".into())?;
        let writable = |path: &Path| access(&path.join("cgroup.procs"), AccessFlags::W_OK).is_ok();
        Ok(Self::from_mounts(&mounts, &own, writable))
    }

    fn from_mounts(mounts: &[Mount], own_cgroups: &str, writable: impl Fn(&Path) -> bool) -> Self {
        let mut bases = BTreeMap::new();
        for mount in mounts {
            match mount.kind.as_str() {
                "cgroup2" => {
                    let base = delegated(&mount.point, own_cgroups, &writable);
                    bases.entry(Hierarchy::Unified).or_insert(base);
                }
                "cgroup" => {
                    for hierarchy in Hierarchy::VERSION_1 {
                        if mount.options.iter().any(|option| option == hierarchy.name()) {
                            bases.entry(hierarchy).or_insert_with(|| mount.point.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        Self { bases }
    }
}

/// The mounts of hierarchies that are to be seen: over one may lie another file system, in which a directory can be made that is
/// no cgroup. Other mounts are not touched, as one of a network may not answer.
fn visible_mounts() -> Result<Vec<Mount>, ProcessError> {
    let mut mounts = mountinfo::read().cannot(|| "read /proc/self/mountinfo".into())?;
    mounts.retain(|mount| {
        ["cgroup", "cgroup2"].contains(&mount.kind.as_str()) && mount.point.join("cgroup.procs").exists()
    });
    Ok(mounts)
}

/// The topmost directory from `root` down to the process' own cgroup that may be changed; `root` if there is none, so
/// that the kernel's refusal is what the user reads.
fn delegated(root: &Path, own_cgroups: &str, writable: &impl Fn(&Path) -> bool) -> PathBuf {
    let own = own_cgroups
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap_or("");
    let mut candidate = root.to_path_buf();
    let mut components = Path::new(own).components();
    loop {
        if writable(&candidate) {
            return candidate;
        }
        match components.next() {
            Some(component) => candidate.push(component),
            None => return root.to_path_buf(),
        }
    }
}

/// The cgroup that a process is in, one directory in each hierarchy: for processes that others have put there, such as a
/// container's. Nothing of it is ours to remove, so it belongs in no ledger.
///
/// # Errors
/// [`ProcessError::System`] when `/proc` cannot be read, for example because the process has ended.
pub fn cgroup_of(pid: i32) -> Result<CgroupReference, ProcessError> {
    let mounts = visible_mounts()?;
    let path = format!("/proc/{pid}/cgroup");
    let membership = fs::read_to_string(&path).cannot(|| format!("read {path}"))?;
    Ok(membership_in(&mounts, &membership))
}

/// Lines are `number:controllers:path`, with number 0 and no controllers for the unified hierarchy (cgroups(7)).
fn membership_in(mounts: &[Mount], membership: &str) -> CgroupReference {
    let path_of = |hierarchy: Hierarchy| {
        membership.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let meant = match hierarchy {
                Hierarchy::Unified => number == "0",
                named => controllers
                    .split(',')
                    .any(|controller| controller == named.name()),
            };
            meant.then(|| path.trim_start_matches('/').to_owned())
        })
    };
    // Mounts as a root sees them: the base of each hierarchy is its top.
    let bases = Hierarchies::from_mounts(mounts, "", |_| true).bases;
    let directories = bases.into_iter().filter_map(|(hierarchy, base)| {
        let path = base.join(path_of(hierarchy)?);
        Some(CgroupDirectory {
            hierarchy,
            base,
            path,
        })
    });
    CgroupReference {
        directories: directories.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_s_cgroup_is_found_in_each_hierarchy() {
        let membership =
            "9:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc\n";
        let found = membership_in(&mountinfo::parse(HYBRID), membership);
        let paths: Vec<_> = found
            .directories
            .iter()
            .map(|directory| (directory.hierarchy, directory.path.display().to_string()))
            .collect();
        assert_eq!(
            paths,
            [
                (Hierarchy::Unified, "/sys/fs/cgroup/unified/docker/abc".to_owned()),
                (Hierarchy::Cpu, "/sys/fs/cgroup/cpu,cpuacct/docker/abc".to_owned()),
                (Hierarchy::Memory, "/sys/fs/cgroup/memory/docker/abc".to_owned()),
            ]
        );
    }

    const HYBRID: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn a_hybrid_machine_has_version_1_controllers_and_a_unified_tree() {
        let found = Hierarchies::from_mounts(&mountinfo::parse(HYBRID), "0::/\n", |_| true);
        assert_eq!(
            found.bases[&Hierarchy::Cpu],
            Path::new("/sys/fs/cgroup/cpu,cpuacct")
        );
        assert_eq!(
            found.bases[&Hierarchy::Unified],
            Path::new("/sys/fs/cgroup/unified")
        );
        assert!(!found.bases.contains_key(&Hierarchy::Pids));
        assert_eq!(found.bases.len(), 4);
    }

    #[test]
    fn a_user_of_systemd_gets_the_topmost_cgroup_that_is_delegated() {
        let mounts = mountinfo::parse(b"30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
        let own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/shell.scope\n";
        let service = Path::new("/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service");
        let found = Hierarchies::from_mounts(&mounts, own, |path| path.starts_with(service));
        assert_eq!(found.bases[&Hierarchy::Unified], service);
        let none = Hierarchies::from_mounts(&mounts, own, |_| false);
        assert_eq!(none.bases[&Hierarchy::Unified], Path::new("/sys/fs/cgroup"));
    }
}
