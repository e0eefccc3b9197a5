//! The node's root file system: what the host has, below a layer of the node's own.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use super::surroundings::{attach, make_directory};
use crate::error::{Cannot, ProcessError};
use crate::sys;

/// Makes the new root and moves into it. The old one stays mounted, out of reach of absolute paths, until
/// [`leave_old`]: the kernel lets an unprivileged user mount `/proc` and `/sys` only while it sees the host's.
pub(super) fn enter_new(scratch: &Path, warnings: &mut Vec<String>) -> Result<(), ProcessError> {
    let root = make(scratch, warnings)?;
    chdir(&root).cannot(|| format!("enter {}", root.display()))?;
    // The old root is stacked on the new one; the process' own root is the new one (pivot_root(2), "pivot_root(".", ".")").
    pivot_root(".", ".").cannot(|| "change the root file system".into())?;
    chdir("/").cannot(|| "enter the new root".into())
}

/// Lets go of the host's file tree.
pub(super) fn leave_old() -> Result<(), ProcessError> {
    umount2(".", MntFlags::MNT_DETACH).cannot(|| "leave the old root file system".into())?;
    chdir("/").cannot(|| "enter the new root".into())
}

fn make(scratch: &Path, warnings: &mut Vec<String>) -> Result<PathBuf, ProcessError> {
    let root = scratch.join("root");
    match overlay(Path::new("/"), scratch, "", &root) {
        Ok(()) => return Ok(root),
        // Not every file system can take what is written; another overlay cannot, for one.
        Err(_) => own_scratch(scratch)?,
    }
    if let Err(error) = overlay(Path::new("/"), scratch, "", &root) {
        warnings.push(format!(
            "the root file system is put together from parts: {error}"
        ));
        assemble(scratch, &root, warnings)?;
    }
    Ok(root)
}

fn own_scratch(scratch: &Path) -> Result<(), ProcessError> {
    mount(
        Some("tmpfs"),
        scratch,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )
    .cannot(|| format!("mount a tmpfs at {}", scratch.display()))
}

/// Mounts `lower`, below directories of `scratch` that take what is written, at `target`.
fn overlay(lower: &Path, scratch: &Path, suffix: &str, target: &Path) -> Result<(), ProcessError> {
    let (upper, work) = (format!("upper{suffix}"), format!("work{suffix}"));
    for directory in [&scratch.join(&upper), &scratch.join(&work), target] {
        make_directory(directory)?;
    }
    // Relative to the working directory: a comma or colon in the path of scratch would end the option.
    chdir(scratch).cannot(|| format!("enter {}", scratch.display()))?;
    let options = format!("lowerdir={},upperdir={upper},workdir={work}", lower.display());
    mount(
        Some("overlay"),
        target,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .cannot(|| format!("mount an overlay over {}", lower.display()))
}

/// Without an overlay over the whole (in a user namespace the kernel refuses it where something is mounted below):
/// one for each top directory that allows it, a read-only view of the others.
fn assemble(scratch: &Path, root: &Path, warnings: &mut Vec<String>) -> Result<(), ProcessError> {
    mount(
        Some("tmpfs"),
        root,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )
    .cannot(|| format!("mount a tmpfs at {}", root.display()))?;
    let mut read_only = Vec::new();
    for entry in fs::read_dir("/").cannot(|| "read the directory /".into())? {
        let entry = entry.cannot(|| "read the directory /".into())?;
        let (source, target) = (entry.path(), root.join(entry.file_name()));
        let kind = entry
            .file_type()
            .cannot(|| format!("look at {}", source.display()))?;
        if kind.is_symlink() {
            let link = fs::read_link(&source).cannot(|| format!("read {}", source.display()))?;
            symlink(link, &target).cannot(|| format!("make {}", source.display()))?;
        } else if ["/proc", "/sys", "/dev", "/tmp", "/run"]
            .iter()
            .any(|own| source == Path::new(own))
        {
            make_directory(&target)?;
        } else if !kind.is_dir() || overlay_part(&source, scratch, &target).is_err() {
            match view(&source, kind.is_dir(), &target) {
                Ok(()) => read_only.push(source.display().to_string()),
                Err(error) => warnings.push(format!(
                    "{} of the host is not visible: {error}",
                    source.display()
                )),
            }
        }
    }
    warnings.push(format!("the node cannot write to {}", read_only.join(", ")));
    Ok(())
}

fn overlay_part(source: &Path, scratch: &Path, target: &Path) -> Result<(), ProcessError> {
    let name = source
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    // The name becomes part of the options.
    if name.contains([',', ':', '\\']) {
        return Err(ProcessError::NullByte { what: name });
    }
    overlay(source, scratch, &format!("-{name}"), target)
}

fn view(source: &Path, is_directory: bool, target: &Path) -> Result<(), ProcessError> {
    let tree = sys::open_tree(source, true).cannot(|| format!("open {}", source.display()))?;
    sys::make_read_only(tree.as_fd()).cannot(|| format!("make {} read-only", source.display()))?;
    attach(&tree, is_directory, target)
}
