//! Limits of a cgroup, and which control file takes them.

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use super::hierarchies::Hierarchy;

/// What a cgroup may use at most; `None`: no limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time, in processors: 0.5 is half of one.
    pub cpus: Option<f64>,
    /// Memory and swap space together, in bytes.
    pub memory_bytes: Option<u64>,
    /// Number of processes and threads.
    pub pids: Option<u64>,
}

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Processor time.
    Cpus,
    /// Memory.
    Memory,
    /// Number of processes.
    Pids,
}

impl LimitKind {
    pub(super) const ALL: [Self; 3] = [Self::Cpus, Self::Memory, Self::Pids];

    /// The version 1 hierarchy that has it.
    pub(super) fn hierarchy(self) -> Hierarchy {
        match self {
            Self::Cpus => Hierarchy::Cpu,
            Self::Memory => Hierarchy::Memory,
            Self::Pids => Hierarchy::Pids,
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpus => "cpus",
            Self::Memory => "memory",
            Self::Pids => "pids",
        })
    }
}

/// A limit that was asked for and does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitNotApplied {
    /// Which one.
    pub limit: LimitKind,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for LimitNotApplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit {} not applied: {}", self.limit, self.reason)
    }
}

impl Limits {
    /// The limits that were asked for.
    pub(super) fn asked(&self) -> Vec<LimitKind> {
        let mut asked = Vec::new();
        asked.extend(self.cpus.map(|_| LimitKind::Cpus));
        asked.extend(self.memory_bytes.map(|_| LimitKind::Memory));
        asked.extend(self.pids.map(|_| LimitKind::Pids));
        asked
    }

    /// Whether the two ask for the same.
    pub(super) fn agrees(&self, other: &Self, limit: LimitKind) -> bool {
        match limit {
            LimitKind::Cpus => self.cpus == other.cpus,
            LimitKind::Memory => self.memory_bytes == other.memory_bytes,
            LimitKind::Pids => self.pids == other.pids,
        }
    }

    /// Writes one limit to the cgroup at `directory`; lifts it where none is asked for.
    pub(super) fn apply(&self, limit: LimitKind, unified: bool, directory: &Path) -> Result<(), String> {
        match limit {
            LimitKind::Cpus => match self.cpus {
                Some(cpus) => apply_cpus(cpus, unified, directory),
                None if unified => set(directory, "cpu.max", "max"),
                None => set(directory, "cpu.cfs_quota_us", "-1"),
            },
            LimitKind::Memory => apply_memory(self.memory_bytes, unified, directory),
            LimitKind::Pids => {
                let most = self.pids.map_or("max".to_owned(), |pids| pids.to_string());
                set(directory, "pids.max", &most)
            }
        }
    }
}

fn set(directory: &Path, file: &str, value: &str) -> Result<(), String> {
    files::write(directory, file, value).map_err(|error| {
        format!(
            "cannot write {value} to {}: {error}",
            directory.join(file).display()
        )
    })
}

fn apply_cpus(cpus: f64, unified: bool, directory: &Path) -> Result<(), String> {
    let (quota, period) = quota(cpus)?;
    if unified {
        return set(directory, "cpu.max", &format!("{quota} {period}"));
    }
    // The kernel compares period and quota in force: without a quota any period will do.
    set(directory, "cpu.cfs_quota_us", "-1")?;
    set(directory, "cpu.cfs_period_us", &period.to_string())?;
    set(directory, "cpu.cfs_quota_us", &quota.to_string())
}

/// Microseconds of processor time per period, and the period in microseconds. The kernel takes quotas from 1 ms on;
/// the period is its default, 100 ms, unless the quota is too small for that.
fn quota(cpus: f64) -> Result<(u64, u64), String> {
    if !cpus.is_finite() || cpus <= 0.0 {
        return Err(format!("{cpus} is not a number of processors"));
    }
    for period in [100_000_u64, 1_000_000] {
        let quota = (cpus * period as f64).round();
        if quota >= 1000.0 {
            return Ok((quota as u64, period));
        }
    }
    Err(format!("{cpus} processors are too few, the least is 0.001"))
}

/// `None` lifts the limit.
fn apply_memory(bytes: Option<u64>, unified: bool, directory: &Path) -> Result<(), String> {
    if unified {
        let most = bytes.map_or("max".to_owned(), |bytes| bytes.to_string());
        set(directory, "memory.max", &most)?;
        return apply_swap(directory, "memory.swap.max", bytes.map_or("max", |_| "0"));
    }
    let most = bytes.map_or("-1".to_owned(), |bytes| bytes.to_string());
    let limit = || set(directory, "memory.limit_in_bytes", &most);
    let swap = || apply_swap(directory, "memory.memsw.limit_in_bytes", &most);
    // Version 1 counts swap space in: that limit is never below the other one, so the order depends on the way.
    match (bytes, limit()) {
        (Some(_), Ok(())) => swap(),
        (Some(_), Err(reason)) => {
            swap().map_err(|_| reason)?;
            limit()
        }
        (None, _) => {
            swap()?;
            limit()
        }
    }
}

fn apply_swap(directory: &Path, file: &str, value: &str) -> Result<(), String> {
    match files::write(directory, file, value) {
        // Without swap accounting there is no such file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!(
            "swap space is not limited: {}: {error}",
            directory.join(file).display()
        )),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_in_the_kernels_range() {
        assert_eq!(quota(0.5), Ok((50_000, 100_000)));
        assert_eq!(quota(2.0), Ok((200_000, 100_000)));
        assert_eq!(quota(0.005), Ok((5_000, 1_000_000)));
        assert!(quota(0.0001).is_err());
        assert!(quota(f64::NAN).is_err());
        assert!(quota(-1.0).is_err());
    }

    #[test]
    fn a_limit_without_its_file_says_which_file() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let limits = Limits {
            pids: Some(7),
            ..Limits::default()
        };
        let reason = limits
            .apply(LimitKind::Pids, true, directory.path())
            .expect_err("no such file");
        assert!(reason.contains("pids.max"), "{reason}");
    }
}
