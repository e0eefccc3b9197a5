//! Joining, killing and freezing.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::hierarchies::Hierarchy;
use super::{CgroupDirectory, CgroupReference, files};
use crate::error::ProcessError;
use crate::sys;

const KILL_WITHIN: Duration = Duration::from_secs(5);
const FREEZE_WITHIN: Duration = Duration::from_secs(2);

impl CgroupReference {
    pub(super) fn directory(&self, hierarchy: Hierarchy) -> Option<&CgroupDirectory> {
        self.directories
            .iter()
            .find(|directory| directory.hierarchy == hierarchy)
    }

    pub(crate) fn join(&self, pid: i32) -> Result<(), ProcessError> {
        for directory in &self.directories {
            files::write(&directory.entrance(), "cgroup.procs", &pid.to_string()).map_err(|source| {
                ProcessError::Cgroup {
                    action: "join",
                    path: directory.path.clone(),
                    source,
                }
            })?;
        }
        Ok(())
    }

    pub(super) fn kill_all(&self) -> Result<(), ProcessError> {
        let deadline = Instant::now() + KILL_WITHIN;
        loop {
            self.kill_once();
            // A fork may have slipped through without `cgroup.kill`: look again until nothing is left.
            match self.occupied() {
                None => return Ok(()),
                Some(path) if Instant::now() >= deadline => {
                    let source = io::Error::new(io::ErrorKind::TimedOut, "processes are left in it");
                    return Err(ProcessError::Cgroup {
                        action: "empty",
                        path: path.into(),
                        source,
                    });
                }
                Some(_) => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// A directory that still has processes.
    fn occupied(&self) -> Option<&Path> {
        let mut paths = self.directories.iter().map(|directory| directory.path.as_path());
        paths.find(|path| !files::processes(path).is_empty())
    }

    fn kill_once(&self) {
        let unified = self.directory(Hierarchy::Unified);
        if unified.is_some_and(|directory| files::write(&directory.path, "cgroup.kill", "1").is_ok()) {
            // Processes that joined the other hierarchies only are caught below.
            thread::sleep(Duration::from_micros(500));
        }
        // Frozen processes cannot fork; they take the signal when they thaw.
        let frozen = self.directory(Hierarchy::Freezer);
        if let Some(directory) = frozen {
            _ = files::write(&directory.path, "freezer.state", "FROZEN");
        }
        for directory in &self.directories {
            kill_listed(&directory.path);
        }
        if let Some(directory) = frozen {
            _ = files::write(&directory.path, "freezer.state", "THAWED");
        }
    }

    pub(super) fn can_freeze(&self) -> bool {
        self.freezer().is_some()
    }

    /// Where freezing is done, and whether as in version 2.
    fn freezer(&self) -> Option<(&CgroupDirectory, bool)> {
        let unified = self.directory(Hierarchy::Unified);
        let unified = unified.filter(|directory| directory.path.join("cgroup.freeze").exists());
        let own = self.directory(Hierarchy::Freezer);
        unified
            .map(|directory| (directory, true))
            .or(own.map(|directory| (directory, false)))
    }

    pub(super) fn freeze(&self, frozen: bool) -> Result<(), ProcessError> {
        let action = if frozen { "freeze" } else { "thaw" };
        let Some((directory, unified)) = self.freezer() else {
            return Ok(());
        };
        let (file, value) = match (unified, frozen) {
            (true, true) => ("cgroup.freeze", "1"),
            (true, false) => ("cgroup.freeze", "0"),
            (false, true) => ("freezer.state", "FROZEN"),
            (false, false) => ("freezer.state", "THAWED"),
        };
        let failed = |source| ProcessError::Cgroup {
            action,
            path: directory.path.clone(),
            source,
        };
        files::write(&directory.path, file, value).map_err(failed)?;
        let deadline = Instant::now() + FREEZE_WITHIN;
        while !is_frozen(directory, frozen).map_err(failed)? {
            if Instant::now() >= deadline {
                return Err(failed(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "its processes do not follow",
                )));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// Has the cgroup reached the state asked for?
fn is_frozen(directory: &CgroupDirectory, asked: bool) -> io::Result<bool> {
    let state = match directory.hierarchy {
        Hierarchy::Unified => files::read(&directory.path, "cgroup.events")?
            .lines()
            .any(|line| line == "frozen 1"),
        _ => files::read(&directory.path, "freezer.state")?.trim() == "FROZEN",
    };
    Ok(state == asked)
}

/// A number may mean another process by the time the signal is sent, so each is opened first and then looked up in the
/// cgroup again.
fn kill_listed(directory: &Path) {
    let opened: Vec<(i32, OwnedFd)> = files::processes(directory)
        .into_iter()
        .filter_map(|pid| sys::pidfd_open(pid).ok().map(|process| (pid, process)))
        .collect();
    if opened.is_empty() {
        return;
    }
    let still_there: BTreeSet<i32> = files::processes(directory).into_iter().collect();
    for (pid, process) in opened {
        if still_there.contains(&pid) {
            // It may have ended by itself; `kill_all` looks again.
            _ = sys::pidfd_send_signal(process.as_fd(), libc::SIGKILL);
        }
    }
}
