//! Control files of a cgroup.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes to a control file that exists already. One `write` call: the kernel takes each as a whole setting.
pub(super) fn write(directory: &Path, file: &str, value: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(directory.join(file))?
        .write_all(value.as_bytes())
}

pub(super) fn read(directory: &Path, file: &str) -> io::Result<String> {
    fs::read_to_string(directory.join(file))
}

/// The cgroup and all below it, the deepest first. What vanishes meanwhile is left out.
pub(super) fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Ok(entries) = fs::read_dir(directory) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.extend(tree(&entry.path()));
            }
        }
        found.push(directory.to_path_buf());
    }
    found
}

/// Every process in the cgroup and below.
pub(super) fn processes(directory: &Path) -> Vec<i32> {
    let lists = tree(directory)
        .into_iter()
        .filter_map(|cgroup| read(&cgroup, "cgroup.procs").ok());
    lists
        .flat_map(|list| {
            list.lines()
                .filter_map(|line| line.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect()
}
