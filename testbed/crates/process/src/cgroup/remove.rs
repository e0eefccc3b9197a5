//! Removing a cgroup.

use std::fs;
use std::io;
use std::path::{Component, Path};
use std::thread;
use std::time::{Duration, Instant};

use super::{CgroupDirectory, CgroupReference, files};
use crate::error::ProcessError;

const WITHIN: Duration = Duration::from_secs(2);

/// Kills what is left in the cgroup and removes it, from another process than the one that made it, at any later time.
/// A cgroup that is gone already is no error. Only directories below the recorded bases are touched, and only removed
/// if the kernel holds them for empty.
///
/// # Errors
/// [`ProcessError::Cgroup`] with the first directory that stays.
pub fn remove_cgroup_tree(reference: &CgroupReference) -> Result<(), ProcessError> {
    reference.kill_all()?;
    remove(reference)
}

pub(super) fn remove(reference: &CgroupReference) -> Result<(), ProcessError> {
    let deadline = Instant::now() + WITHIN;
    let mut first_error = None;
    for directory in &reference.directories {
        if let Err(error) = remove_directory(directory, deadline) {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

fn remove_directory(directory: &CgroupDirectory, deadline: Instant) -> Result<(), ProcessError> {
    let failed = |source| ProcessError::Cgroup {
        action: "remove",
        path: directory.path.clone(),
        source,
    };
    let below = directory
        .path
        .strip_prefix(&directory.base)
        .unwrap_or(Path::new(""));
    let plain = below
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if below.as_os_str().is_empty() || !plain {
        return Err(failed(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not below its base",
        )));
    }
    loop {
        match remove_tree(&directory.path) {
            Ok(()) => break,
            Err(error) if Instant::now() >= deadline => return Err(failed(error)),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
    for above in directory.path.ancestors().skip(1) {
        // The first that another cgroup uses ends it; that is not our trouble.
        if above == directory.base || !above.starts_with(&directory.base) || fs::remove_dir(above).is_err() {
            break;
        }
    }
    Ok(())
}

fn remove_tree(directory: &Path) -> io::Result<()> {
    for cgroup in files::tree(directory) {
        match fs::remove_dir(&cgroup) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Hierarchy;

    fn reference(base: &Path, path: &str) -> CgroupReference {
        let directory = CgroupDirectory {
            hierarchy: Hierarchy::Unified,
            base: base.to_path_buf(),
            path: base.join(path),
        };
        CgroupReference {
            directories: vec![directory],
        }
    }

    #[test]
    fn the_tree_and_empty_parents_go_and_the_base_stays() {
        let base = tempfile::tempdir().expect("temporary directory");
        fs::create_dir_all(base.path().join("tool/lab/node/inner")).expect("directories");
        fs::create_dir_all(base.path().join("tool/other")).expect("directories");
        let lab = reference(base.path(), "tool/lab/node");
        remove_cgroup_tree(&lab).expect("all empty");
        assert!(!base.path().join("tool/lab").exists());
        assert!(base.path().join("tool/other").exists());
        remove_cgroup_tree(&lab).expect("gone already");
        remove_cgroup_tree(&reference(base.path(), "tool/other")).expect("empty");
        assert!(!base.path().join("tool").exists());
        assert!(base.path().exists());
    }

    #[test]
    fn what_is_not_below_the_base_is_refused() {
        let base = tempfile::tempdir().expect("temporary directory");
        let mut wrong = reference(base.path(), "lab");
        wrong.directories[0].path = "/nowhere/else".into();
        assert!(remove(&wrong).is_err());
        assert!(remove(&reference(base.path(), "")).is_err());
        assert!(remove(&reference(base.path(), "../elsewhere")).is_err());
    }

    #[test]
    fn a_directory_that_stays_is_an_error() {
        let base = tempfile::tempdir().expect("temporary directory");
        fs::create_dir_all(base.path().join("lab")).expect("directory");
        fs::write(base.path().join("lab/file"), "").expect("file");
        let message = remove(&reference(base.path(), "lab"))
            .expect_err("not empty")
            .to_string();
        assert!(message.contains("lab"), "{message}");
    }
}
