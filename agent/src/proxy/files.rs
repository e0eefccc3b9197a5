//! Files that are there whole or not at all.

use super::ProxyError;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Replaces a file in one step: a reader, or a crash, sees the old text or the new one.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), ProxyError> {
    let beside = sibling(path, ".new");
    write(&beside, text)?;
    rename(&beside, path)
}

/// `path` with something after its name.
pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), ProxyError> {
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

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), ProxyError> {
    std::fs::rename(from, to).map_err(|source| ProxyError::File {
        action: "replace",
        path: to.to_owned(),
        source,
    })
}

/// A file's text; nothing when there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, ProxyError> {
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
