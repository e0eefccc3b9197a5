//! What a test leaves behind: processes, mounts, descriptors, cgroups.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use dfaas_process::Hierarchies;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    processes: BTreeSet<i32>,
    mounts: Vec<String>,
    descriptors: usize,
    cgroups: Vec<PathBuf>,
}

impl Snapshot {
    pub(crate) fn take() -> Self {
        Self {
            processes: processes(),
            mounts: fs::read_to_string("/proc/self/mountinfo")
                .expect("mounts")
                .lines()
                .map(str::to_owned)
                .collect(),
            descriptors: fs::read_dir("/proc/self/fd").expect("descriptors").count(),
            cgroups: cgroups(),
        }
    }

    /// Fails if anything is left. The kernel takes a moment for what was killed.
    pub(crate) fn compare(self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        while Self::take() != self && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let after = Self::take();
        assert_eq!(after.processes, self.processes, "processes are left behind");
        assert_eq!(after.mounts, self.mounts, "mounts are left behind");
        assert_eq!(after.cgroups, self.cgroups, "cgroups are left behind");
        assert_eq!(after.descriptors, self.descriptors, "descriptors are left behind");
    }
}

/// Processes of this binary, and children of this process.
fn processes() -> BTreeSet<i32> {
    let own = std::env::current_exe().expect("own path");
    let this = std::process::id() as i32;
    let numbers = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        *pid != this
            && (is_child(*pid, this)
                || fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == own))
    })
    .collect()
}

fn is_child(pid: i32, parent: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let fields = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().nth(1).map(str::to_owned));
    fields.flatten().is_some_and(|field| field == parent.to_string())
}

fn cgroups() -> Vec<PathBuf> {
    let bases = Hierarchies::detect().expect("hierarchies").bases;
    bases
        .values()
        .map(|base| base.join(crate::fixture::cgroup_top()))
        .filter(|path| path.exists())
        .collect()
}
