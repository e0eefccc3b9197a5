//! What the processes of a cgroup use.

use std::path::Path;
use std::time::Duration;

use super::hierarchies::Hierarchy;
use super::{CgroupReference, files};

/// What a cgroup uses; `None`: nobody counts it on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since it was made.
    pub processor_time: Option<Duration>,
    /// Memory, with the files it has read.
    pub memory_bytes: Option<u64>,
    /// The same without files that nobody has looked at for long.
    pub working_set_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
}

impl Usage {
    /// What two cgroups use together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        fn sum<T: std::ops::Add<Output = T>>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one + other),
                (one, other) => one.or(other),
            }
        }
        Self {
            processor_time: sum(self.processor_time, other.processor_time),
            memory_bytes: sum(self.memory_bytes, other.memory_bytes),
            working_set_bytes: sum(self.working_set_bytes, other.working_set_bytes),
            processes: sum(self.processes, other.processes),
        }
    }
}

pub(super) fn read(cgroup: &CgroupReference) -> Usage {
    let directory = |hierarchy| cgroup.directory(hierarchy).map(|it| it.path.as_path());
    let unified = directory(Hierarchy::Unified);
    let memory = unified
        .and_then(|path| memory(path, "memory.current", "inactive_file"))
        .or_else(|| {
            memory(
                directory(Hierarchy::Memory)?,
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        });
    let pids = [unified, directory(Hierarchy::Pids)];
    Usage {
        processor_time: unified
            .and_then(|path| Some(Duration::from_micros(line(path, "cpu.stat", "usage_usec")?)))
            // Version 1 counts it beside the limits on most machines.
            .or_else(|| {
                Some(Duration::from_nanos(number(
                    directory(Hierarchy::Cpu)?,
                    "cpuacct.usage",
                )?))
            }),
        memory_bytes: memory.map(|(all, _)| all),
        working_set_bytes: memory.map(|(all, idle)| all.saturating_sub(idle)),
        processes: pids
            .into_iter()
            .flatten()
            .find_map(|path| number(path, "pids.current")),
    }
}

/// All memory, and that of files not used lately.
fn memory(directory: &Path, file: &str, idle: &str) -> Option<(u64, u64)> {
    let all = number(directory, file)?;
    Some((all, line(directory, "memory.stat", idle).unwrap_or_default()))
}

fn number(directory: &Path, file: &str) -> Option<u64> {
    files::read(directory, file).ok()?.trim().parse().ok()
}

/// The number behind a name in a file of such lines.
fn line(directory: &Path, file: &str, name: &str) -> Option<u64> {
    let text = files::read(directory, file).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cgroup::CgroupDirectory;

    fn directory(base: &Path, hierarchy: Hierarchy, content: &[(&str, &str)]) -> CgroupDirectory {
        let path = base.join(hierarchy.name());
        fs::create_dir_all(&path).expect("directory");
        for (file, text) in content {
            fs::write(path.join(file), text).expect("file");
        }
        let base = base.to_path_buf();
        CgroupDirectory {
            hierarchy,
            base,
            path,
        }
    }

    #[test]
    fn both_versions_and_their_mixture_are_read() {
        let root = tempfile::tempdir().expect("temporary directory");
        let expected = Usage {
            processor_time: Some(Duration::from_millis(1500)),
            memory_bytes: Some(4096),
            working_set_bytes: Some(4000),
            processes: Some(3),
        };
        let unified = [
            ("cpu.stat", "usage_usec 1500000\nuser_usec 1\n"),
            ("memory.current", "4096\n"),
            ("memory.stat", "anon 1\ninactive_file 96\n"),
            ("pids.current", "3\n"),
        ];
        let version_2 = CgroupReference {
            directories: vec![directory(root.path(), Hierarchy::Unified, &unified)],
        };
        assert_eq!(read(&version_2), expected);
        let memory = [
            ("memory.usage_in_bytes", "4096\n"),
            ("memory.stat", "inactive_file 7\ntotal_inactive_file 96\n"),
        ];
        let root = tempfile::tempdir().expect("temporary directory");
        let mixed = CgroupReference {
            directories: vec![
                directory(root.path(), Hierarchy::Unified, &unified[..1]),
                directory(root.path(), Hierarchy::Memory, &memory),
                directory(root.path(), Hierarchy::Pids, &unified[3..]),
            ],
        };
        assert_eq!(read(&mixed), expected);
        let root = tempfile::tempdir().expect("temporary directory");
        let cpu = [("cpuacct.usage", "1500000000\n")];
        let version_1 = CgroupReference {
            directories: vec![directory(root.path(), Hierarchy::Cpu, &cpu)],
        };
        let time = read(&version_1).processor_time;
        assert_eq!(time, expected.processor_time);
        assert_eq!(read(&CgroupReference::default()), Usage::default());
        let twice = expected.plus(&expected).plus(&Usage::default());
        assert_eq!((twice.memory_bytes, twice.processes), (Some(8192), Some(6)));
    }
}
