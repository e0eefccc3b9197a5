//! The private key on disk.

use dfaas_agent_api::{Identity, IdentityError};
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The key file cannot be used.
#[derive(Debug, Error)]
pub enum IdentityFileError {
    /// It cannot be read or written.
    #[error("cannot {action} the private key `{}` (AGENT_PRIVATE_KEY_FILE): {source}", path.display())]
    File {
        /// read, create or make.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// It holds something else.
    #[error("the private key `{}` (AGENT_PRIVATE_KEY_FILE) is unusable: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: IdentityError,
    },
}

/// The identity in this file; a missing or empty file gets a new one, readable by its owner only.
///
/// # Errors
/// When the file cannot be read, made, or holds no key.
pub fn load_or_create(path: &Path) -> Result<Identity, IdentityFileError> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => {
            Identity::from_pem(&text).map_err(|source| IdentityFileError::Content {
                path: path.to_owned(),
                source,
            })
        }
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(IdentityFileError::File {
            action: "read",
            path: path.to_owned(),
            source,
        }),
        _ => create(path),
    }
}

/// A new identity that is kept nowhere.
///
/// # Errors
/// When the kernel gives no random bytes.
pub fn generate() -> io::Result<Identity> {
    let mut seed = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(Identity::from_seed(&seed))
}

/// A new identity in a new file, readable by its owner only.
///
/// # Errors
/// When the file is there already or cannot be made.
pub fn create_new(path: &Path) -> Result<Identity, IdentityFileError> {
    if path.symlink_metadata().is_ok() {
        return Err(IdentityFileError::File {
            action: "create",
            path: path.to_owned(),
            source: io::ErrorKind::AlreadyExists.into(),
        });
    }
    create(path)
}

fn create(path: &Path) -> Result<Identity, IdentityFileError> {
    let failed = |action| {
        move |source| IdentityFileError::File {
            action,
            path: path.to_owned(),
            source,
        }
    };
    let identity = generate().map_err(failed("make"))?;
    let text = identity.to_pem().map_err(|source| IdentityFileError::Content {
        path: path.to_owned(),
        source,
    })?;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed("create"))?;
    }
    // Written beside and renamed: a crash leaves no half of a key.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(failed("create"))?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn made_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/key.pem");
        let first = load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path).unwrap().peer_id(), first.peer_id());
        assert_ne!(generate().unwrap().peer_id(), first.peer_id());
    }

    #[test]
    fn a_new_one_never_replaces_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let first = create_new(&path).unwrap();
        let error = create_new(&path).unwrap_err().to_string();
        assert!(error.contains("key.pem") && error.contains("exists"), "{error}");
        assert_eq!(load_or_create(&path).unwrap().peer_id(), first.peer_id());
    }

    #[test]
    fn something_else_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        fs::write(&path, "not a key").unwrap();
        let error = load_or_create(&path).unwrap_err().to_string();
        assert!(
            error.contains("key.pem") && error.contains("AGENT_PRIVATE_KEY_FILE"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a key");
    }

    #[test]
    fn an_unreachable_file_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(load_or_create(&file.join("key.pem")).is_err());
    }
}
