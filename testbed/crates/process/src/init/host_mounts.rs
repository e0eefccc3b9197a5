//! Parts of the host's file tree that a node sees besides the root file system: other mounted file systems
//! (read-only), the binds asked for, and the node's own cgroup.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::surroundings::{attach, tmpfs};
use crate::cgroup::{CgroupReference, Hierarchy};
use crate::error::{Cannot, ProcessError};
use crate::message::Configuration;
use crate::mountinfo::{self, Mount};
use crate::spec::Privileges;
use crate::sys;

/// A detached mount and where it goes.
struct Tree {
    descriptor: OwnedFd,
    is_directory: bool,
    target: PathBuf,
    /// Is a node without it as good as useless?
    required: bool,
}

pub(super) struct Trees {
    trees: Vec<Tree>,
    /// Version 1 cgroups have one directory per controller, below a directory of our own.
    cgroup_directories: bool,
}

/// Where a node has its own things.
const OWN: [&str; 9] = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/var/tmp",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
];

/// File systems that show the kernel, not files.
const KERNEL: [&str; 17] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "sysfs",
    "tracefs",
];

impl Trees {
    /// Copies the mounts. What cannot be copied is warned about, except for binds: those were asked for.
    pub(super) fn collect(
        configuration: &Configuration,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ProcessError> {
        let mounts = mountinfo::read().cannot(|| "read /proc/self/mountinfo".into())?;
        let mut trees = Vec::new();
        for path in wanted(&mounts, &configuration.scratch) {
            match read_only_tree(&path) {
                Ok(descriptor) => trees.push(Tree::new(descriptor, &path, path.clone(), false)),
                Err(error) => {
                    warnings.push(format!("{} of the host is not visible: {error}", path.display()))
                }
            }
        }
        for bind in &configuration.binds {
            let opened = if bind.read_only {
                read_only_tree(&bind.source)
            } else {
                sys::open_tree(&bind.source, true)
            };
            let descriptor = opened.cannot(|| format!("open {} of the host", bind.source.display()))?;
            trees.push(Tree::new(descriptor, &bind.source, bind.target.clone(), true));
        }
        let cgroup_directories = configuration.cgroup.as_ref().is_some_and(|cgroup| {
            let (targets, has_directories) = cgroup_targets(cgroup);
            // Who makes namespaces for programs limits them, too.
            let open = match configuration.privileges {
                Privileges::Confined => read_only_tree,
                Privileges::Namespaces => |path: &Path| sys::open_tree(path, true),
            };
            for (source, target) in targets {
                match open(&source) {
                    Ok(descriptor) => trees.push(Tree::new(descriptor, &source, target, false)),
                    Err(error) => {
                        warnings.push(format!("cgroup {} is not visible: {error}", source.display()))
                    }
                }
            }
            has_directories
        });
        Ok(Self {
            trees,
            cgroup_directories,
        })
    }

    /// Puts them in place below the new root.
    pub(super) fn place(self, warnings: &mut Vec<String>) -> Result<(), ProcessError> {
        if self.cgroup_directories {
            tmpfs("/sys/fs/cgroup", "mode=755,size=64k")?;
        }
        for tree in self.trees {
            match attach(&tree.descriptor, tree.is_directory, &tree.target) {
                Err(error) if tree.required => return Err(error),
                Err(error) => warnings.push(error.to_string()),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

impl Tree {
    fn new(descriptor: OwnedFd, source: &Path, target: PathBuf, required: bool) -> Self {
        Self {
            descriptor,
            is_directory: source.is_dir(),
            target,
            required,
        }
    }
}

fn read_only_tree(path: &Path) -> std::io::Result<OwnedFd> {
    let tree = sys::open_tree(path, true)?;
    sys::make_read_only(tree.as_fd())?;
    Ok(tree)
}

/// Mount points to show, none below another one: each is copied with what is mounted in it.
fn wanted(mounts: &[Mount], scratch: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for mount in mounts {
        let point = &mount.point;
        // Deep overlays are the roots of other containers.
        let foreign = mount.kind == "overlay" && point.components().count() > 3;
        let own = OWN.iter().any(|own| point.starts_with(own));
        if point == Path::new("/") || foreign || own || KERNEL.contains(&mount.kind.as_str()) {
            continue;
        }
        if point.starts_with(scratch) || paths.iter().any(|path| point.starts_with(path)) {
            continue;
        }
        paths.push(point.clone());
    }
    paths
}

/// Source and target of each directory of the node's cgroup. As programs expect them: a unified hierarchy *is*
/// `/sys/fs/cgroup`; with version 1 there is one directory per controller (true).
fn cgroup_targets(cgroup: &CgroupReference) -> (Vec<(PathBuf, PathBuf)>, bool) {
    let top = Path::new("/sys/fs/cgroup");
    let pure = cgroup
        .directories
        .iter()
        .all(|directory| directory.hierarchy == Hierarchy::Unified);
    let targets = cgroup.directories.iter().map(|directory| {
        let target = if pure {
            top.to_path_buf()
        } else {
            top.join(directory.hierarchy.to_string())
        };
        (directory.path.clone(), target)
    });
    (targets.collect(), !pure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_file_systems_are_shown_and_the_nodes_own_places_are_not() {
        let text = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
            2 1 0:5 / /proc rw - proc proc rw\n\
            3 1 8:2 / /home rw - ext4 /dev/sda2 rw\n\
            4 3 8:3 / /home/user/disk rw - ext4 /dev/sda3 rw\n\
            5 1 0:20 / /run rw - tmpfs tmpfs rw\n\
            6 5 0:21 / /run/user/1000 rw - tmpfs tmpfs rw\n\
            7 1 0:22 / /var/lib/docker/overlay2/abc/merged rw - overlay overlay rw\n\
            8 1 0:23 / /usr rw - overlay sysext rw\n\
            9 1 8:4 /x /etc/hosts rw - ext4 /dev/sda4 rw\n\
            10 1 0:24 / /srv/scratch rw - tmpfs tmpfs rw\n\
            11 1 8:5 / /homework rw - ext4 /dev/sda5 rw\n";
        let paths = wanted(&mountinfo::parse(text), Path::new("/srv/scratch"));
        assert_eq!(paths, ["/home", "/usr", "/homework"].map(PathBuf::from));
    }

    #[test]
    fn cgroups_appear_where_programs_look_for_them() {
        let directory = |hierarchy, path: &str| crate::cgroup::CgroupDirectory {
            hierarchy,
            base: "/sys/fs/cgroup".into(),
            path: path.into(),
        };
        let unified = CgroupReference {
            directories: vec![directory(Hierarchy::Unified, "/sys/fs/cgroup/lab")],
        };
        assert_eq!(
            cgroup_targets(&unified),
            (
                vec![("/sys/fs/cgroup/lab".into(), "/sys/fs/cgroup".into())],
                false
            )
        );
        let hybrid = CgroupReference {
            directories: vec![
                directory(Hierarchy::Unified, "/sys/fs/cgroup/unified/lab"),
                directory(Hierarchy::Memory, "/sys/fs/cgroup/memory/lab"),
            ],
        };
        let (targets, has_directories) = cgroup_targets(&hybrid);
        assert!(has_directories);
        assert_eq!(targets[1].1, Path::new("/sys/fs/cgroup/memory"));
    }
}
