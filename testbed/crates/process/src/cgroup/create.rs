//! Making a cgroup and setting its limits.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::files;
use super::hierarchies::{Hierarchies, Hierarchy};
use super::limits::{LimitKind, LimitNotApplied, Limits};
use super::{ASIDE, CgroupDirectory, CgroupReference};
use crate::error::ProcessError;

pub(super) fn create(
    hierarchies: &Hierarchies,
    path: &str,
    limits: &Limits,
) -> Result<(CgroupReference, Vec<LimitNotApplied>), ProcessError> {
    let relative = checked(path)?;
    let mut made = Vec::new();
    let mut refused = Vec::new();
    for (&hierarchy, base) in &hierarchies.bases {
        let directory = base.join(&relative);
        match make_directory(&directory) {
            Ok(()) => made.push(CgroupDirectory {
                hierarchy,
                base: base.clone(),
                path: directory,
            }),
            Err(error) => refused.push((
                hierarchy,
                format!("cannot create {}: {error}", directory.display()),
            )),
        }
    }
    let reference = CgroupReference { directories: made };
    let not_applied = limits
        .asked()
        .into_iter()
        .filter_map(|limit| {
            let reason = apply(limit, limits, hierarchies, &reference, &refused).err()?;
            Some(LimitNotApplied { limit, reason })
        })
        .collect();
    Ok((reference, not_applied))
}

/// Hands every controller that limits something down to a cgroup of version 2. One that cannot be is missed by whoever
/// wants a limit below.
pub(super) fn hand_down(reference: &CgroupReference) {
    let Some(directory) = reference.directory(Hierarchy::Unified) else {
        return;
    };
    // Memory first: it is refused where there are processes, the others would make the cgroup unfit for them.
    for controller in [Hierarchy::Memory, Hierarchy::Cpu, Hierarchy::Pids] {
        if !has_controller(&directory.base, controller) || enable(controller, directory).is_err() {
            return;
        }
    }
}

/// Changes the limits that differ; returns those that could not be changed.
pub(super) fn change(
    hierarchies: &Hierarchies,
    reference: &CgroupReference,
    before: &Limits,
    after: &Limits,
) -> Vec<LimitNotApplied> {
    let changed = LimitKind::ALL
        .into_iter()
        .filter(|limit| !after.agrees(before, *limit));
    changed
        .filter_map(|limit| {
            let reason = apply(limit, after, hierarchies, reference, &[]).err()?;
            Some(LimitNotApplied { limit, reason })
        })
        .collect()
}

fn checked(path: &str) -> Result<PathBuf, ProcessError> {
    let relative = PathBuf::from(path);
    let plain = relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if path.is_empty() || !plain {
        Err(ProcessError::CgroupPath {
            path: path.to_owned(),
        })
    } else {
        Ok(relative)
    }
}

/// Another lab that ends may remove an empty directory above ours between two steps, hence the second and third try.
fn make_directory(directory: &Path) -> io::Result<()> {
    let mut result = fs::create_dir_all(directory);
    for _ in 0..2 {
        match &result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => result = fs::create_dir_all(directory),
            _ => break,
        }
    }
    result
}

fn apply(
    limit: LimitKind,
    limits: &Limits,
    hierarchies: &Hierarchies,
    reference: &CgroupReference,
    refused: &[(Hierarchy, String)],
) -> Result<(), String> {
    let controller = limit.hierarchy();
    let unified_base = hierarchies.bases.get(&Hierarchy::Unified);
    let unified = unified_base.is_some_and(|base| has_controller(base, controller));
    let hierarchy = if unified { Hierarchy::Unified } else { controller };
    if let Some((_, reason)) = refused.iter().find(|(refused, _)| *refused == hierarchy) {
        return Err(reason.clone());
    }
    let Some(directory) = reference.directory(hierarchy) else {
        return Err(format!("this machine has no cgroup controller {controller}"));
    };
    if unified {
        enable(controller, directory)?;
    }
    limits.apply(limit, unified, &directory.path)
}

fn has_controller(directory: &Path, controller: Hierarchy) -> bool {
    files::read(directory, "cgroup.controllers").is_ok_and(|list| {
        list.split_ascii_whitespace()
            .any(|name| name == controller.name())
    })
}

/// A version 2 controller works in a cgroup when every cgroup above it hands it down.
fn enable(controller: Hierarchy, leaf: &CgroupDirectory) -> Result<(), String> {
    let above: Vec<&Path> = leaf
        .path
        .ancestors()
        .skip(1)
        .take_while(|path| path.starts_with(&leaf.base))
        .collect();
    for directory in above.into_iter().rev() {
        let enabled = files::read(directory, "cgroup.subtree_control").unwrap_or_default();
        if enabled
            .split_ascii_whitespace()
            .any(|name| name == controller.name())
        {
            continue;
        }
        if directory == leaf.base && is_own(directory) {
            step_aside(directory)
                .map_err(|error| format!("cannot empty {}: {error}", directory.display()))?;
        }
        let handed = files::write(directory, "cgroup.subtree_control", &format!("+{controller}"));
        handed.map_err(|error| {
            let hint = match error.raw_os_error() {
                Some(libc::EBUSY) => " (processes live in this cgroup itself)",
                _ => "",
            };
            format!(
                "cannot enable {controller} below {}: {error}{hint}",
                directory.display()
            )
        })?;
    }
    Ok(())
}

/// Whether a directory is the cgroup of this process' own node or container, which is the topmost it sees but not that of
/// the machine: all in it belong together, and may be moved.
fn is_own(directory: &Path) -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // The machine's topmost has no type.
    directory.join("cgroup.type").exists()
        && own
            .lines()
            .any(|line| line == "0::/" || line == format!("0::/{ASIDE}"))
}

/// Moves the processes of a cgroup to one below it. What is born meanwhile is found by the next look. With processes in
/// it, handing down some controllers (cpu, pids) would work, and make all below it unfit for the others (cgroups(7),
/// "threaded").
fn step_aside(directory: &Path) -> io::Result<()> {
    const LOOKS: u32 = 20;
    let aside = directory.join(ASIDE);
    make_directory(&aside)?;
    for _ in 0..LOOKS {
        let list = files::read(directory, "cgroup.procs")?;
        // A process outside of this pid namespace has the number 0.
        let mut pids = list.lines().filter(|pid| *pid != "0").peekable();
        if pids.peek().is_none() {
            break;
        }
        for pid in pids {
            match files::write(&aside, "cgroup.procs", pid) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that looks like a unified hierarchy with `controllers`, and the cgroup `lab/node` in it.
    fn unified(controllers: &str) -> (tempfile::TempDir, Hierarchies) {
        let root = tempfile::tempdir().expect("temporary directory");
        let node = root.path().join("lab/node");
        fs::create_dir_all(&node).expect("directories");
        for directory in [root.path(), &root.path().join("lab")] {
            fs::write(directory.join("cgroup.subtree_control"), "").expect("file");
        }
        fs::write(root.path().join("cgroup.controllers"), controllers).expect("file");
        for file in ["cpu.max", "memory.max", "memory.swap.max", "pids.max"] {
            fs::write(node.join(file), "").expect("file");
        }
        let bases = [(Hierarchy::Unified, root.path().to_path_buf())].into();
        (root, Hierarchies { bases })
    }

    const ALL: Limits = Limits {
        cpus: Some(0.5),
        memory_bytes: Some(1 << 20),
        pids: Some(10),
    };

    #[test]
    fn version_2_limits_are_written_and_controllers_handed_down() {
        let (root, hierarchies) = unified("cpuset cpu io memory pids\n");
        let (reference, not_applied) = create(&hierarchies, "lab/node", &ALL).expect("valid path");
        assert_eq!(not_applied, []);
        assert_eq!(reference.directories.len(), 1);
        let read = |path: &str| fs::read_to_string(root.path().join(path)).expect("file");
        assert_eq!(read("lab/node/cpu.max"), "50000 100000");
        assert_eq!(read("lab/node/memory.max"), "1048576");
        assert_eq!(read("lab/node/memory.swap.max"), "0");
        assert_eq!(read("lab/node/pids.max"), "10");
        assert!(read("cgroup.subtree_control").contains("+pids"));
        assert!(read("lab/cgroup.subtree_control").contains("+pids"));
    }

    #[test]
    fn controllers_are_handed_down_to_a_cgroup_without_limits() {
        let (root, hierarchies) = unified("cpu memory pids\n");
        let (reference, _) = create(&hierarchies, "lab/node", &Limits::default()).expect("valid path");
        let read = |path: &str| fs::read_to_string(root.path().join(path)).expect("file");
        assert_eq!(read("lab/cgroup.subtree_control"), "");
        hand_down(&reference);
        // A real control file keeps both; this one shows the last.
        for directory in ["", "lab/"] {
            assert!(read(&format!("{directory}cgroup.subtree_control")).starts_with("+pids"));
        }
        hand_down(&CgroupReference::default());
    }

    #[test]
    fn each_limit_that_cannot_hold_is_named() {
        let (_root, hierarchies) = unified("cpu\n");
        let (_, not_applied) = create(&hierarchies, "lab/node", &ALL).expect("valid path");
        let kinds: Vec<LimitKind> = not_applied.iter().map(|entry| entry.limit).collect();
        assert_eq!(kinds, [LimitKind::Memory, LimitKind::Pids]);
        assert!(
            not_applied[0].reason.contains("no cgroup controller memory"),
            "{}",
            not_applied[0]
        );
    }

    #[test]
    fn a_machine_without_cgroups_refuses_all_limits_and_nothing_else() {
        let (reference, not_applied) = create(&Hierarchies::default(), "lab", &ALL).expect("valid path");
        assert!(reference.directories.is_empty());
        assert_eq!(not_applied.len(), 3);
        reference.join(1).expect("no directory, nothing to do");
    }

    #[test]
    fn version_1_has_a_directory_per_controller() {
        let root = tempfile::tempdir().expect("temporary directory");
        let base = |name: &str| root.path().join(name);
        for (directory, files) in [
            ("cpu/lab", &["cpu.cfs_period_us", "cpu.cfs_quota_us"][..]),
            ("memory/lab", &["memory.limit_in_bytes"]),
            ("pids/lab", &["pids.max"]),
        ] {
            fs::create_dir_all(base(directory)).expect("directory");
            for file in files {
                fs::write(base(directory).join(file), "").expect("file");
            }
        }
        let bases = [
            (Hierarchy::Cpu, base("cpu")),
            (Hierarchy::Memory, base("memory")),
            (Hierarchy::Pids, base("pids")),
        ];
        let (reference, not_applied) =
            create(&Hierarchies { bases: bases.into() }, "lab", &ALL).expect("valid path");
        assert_eq!(not_applied, []);
        assert_eq!(reference.directories.len(), 3);
        assert_eq!(
            fs::read_to_string(base("cpu/lab/cpu.cfs_quota_us")).expect("file"),
            "50000"
        );
        assert_eq!(
            fs::read_to_string(base("memory/lab/memory.limit_in_bytes")).expect("file"),
            "1048576"
        );
    }

    #[test]
    fn limits_change_one_by_one_and_are_lifted() {
        let (root, hierarchies) = unified("cpu memory pids");
        let (reference, _) = create(&hierarchies, "lab/node", &ALL).expect("valid path");
        let read = |file: &str| fs::read_to_string(root.path().join("lab/node").join(file)).expect("file");
        let pids = read("pids.max");
        let after = Limits {
            cpus: Some(2.0),
            memory_bytes: None,
            ..ALL
        };
        assert_eq!(change(&hierarchies, &reference, &ALL, &after), []);
        // A real control file holds nothing of what was in it before.
        assert!(
            read("cpu.max").starts_with("200000 100000"),
            "{}",
            read("cpu.max")
        );
        assert!(read("memory.max").starts_with("max"), "{}", read("memory.max"));
        assert_eq!(read("pids.max"), pids, "what stays is not written");
    }

    #[test]
    fn paths_stay_below_their_base() {
        for path in ["", "/lab", "../lab", "lab/../..", "./lab"] {
            assert!(
                matches!(checked(path), Err(ProcessError::CgroupPath { .. })),
                "{path}"
            );
        }
        assert!(checked("dfaas-testbed/lab/node").is_ok());
    }
}
