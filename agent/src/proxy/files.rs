//! Files that are there whole or not at all.

use super::ProxyError;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Replaces a file in one step: a reader, or a crash, sees the old text or the new one.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), ProxyError> {
    let beside = sibling(path, ".new");
    write(&beside, text)?;
    rename(&beside, path)
}

/// `path` with something after its name.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), ProxyError> {
    let write = || {
        let mut file = std::fs::File::create(path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|source| ProxyError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), ProxyError> {
    std::fs::rename(from, to).map_err(|source| ProxyError::File {
        action: "replace",
        path: to.to_owned(),
        source,
    })
}

/// Removes a file; one that is not there is removed already.
pub(crate) fn remove(path: &Path) -> Result<(), ProxyError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(ProxyError::File {
            action: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// A file's text; nothing when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, ProxyError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ProxyError::File {
            action: "read",
            path: path.to_owned(),
            source,
        }),
    }
}
