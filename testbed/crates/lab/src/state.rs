//! Where a lab keeps its files: `/run/dfaas-testbed/<lab>/`.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::rootless;

/// Environment variable that moves the state of all labs, for tests and for machines without `/run`.
pub const STATE_ROOT_VARIABLE: &str = "DFAAS_TESTBED_STATE";

/// The supervisor, as written in the state directory: enough to know later whether it still lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorIdentity {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot (`/proc/PID/stat`, field 22): a reused pid has another one.
    pub start_time: u64,
}

/// The directory of one lab.
#[derive(Debug, Clone)]
pub struct StateDirectory {
    name: String,
    path: PathBuf,
}

impl StateDirectory {
    /// The state directory of the lab `name`, which need not exist.
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: root().join(name),
        }
    }

    /// All labs that have a state directory, by name.
    ///
    /// # Errors
    /// When the directory of all labs exists but cannot be read.
    pub fn all() -> Result<Vec<Self>, LabError> {
        let root = root();
        let entries = match std::fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(LabError::file("read", &root, source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| LabError::file("read", &root, source))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names.iter().map(|name| Self::of(name)).collect())
    }

    /// Creates the directory. It is the lab's claim on its name: of two supervisors, one gets `false`.
    ///
    /// # Errors
    /// When the file system refuses for another reason than that the directory exists.
    pub fn claim(&self) -> Result<bool, LabError> {
        let (root, choice) = chosen_root();
        DirBuilder::new()
            .recursive(true)
            .mode(if rootless::is_root() { 0o755 } else { 0o700 })
            .create(&root)
            .map_err(|source| LabError::file("create", &root, source))?;
        if choice == Choice::Temporary {
            tracing::warn!(
                "XDG_RUNTIME_DIR is not set: this lab's state is in {}, and only commands that run without it find the lab",
                root.display()
            );
            refuse_foreign(&root)?;
        }
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(LabError::file("create", &self.path, source)),
        }
    }

    /// Locks the directory for as long as the returned file lives, or returns `None` when another process holds it.
    /// The supervisor holds the lock all its life; whoever cleans up after it must get it first.
    ///
    /// # Errors
    /// When the lock file cannot be opened or locked.
    pub fn try_lock(&self) -> Result<Option<File>, LabError> {
        let path = self.path.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| LabError::file("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(source)) => Err(LabError::file("lock", &path, source)),
        }
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The Unix socket of the control API.
    pub fn control_socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// One folder per node, one log file per service.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// What the supervisor itself prints.
    pub fn supervisor_log(&self) -> PathBuf {
        self.path.join("supervisor.log")
    }

    /// The undo list.
    pub fn ledger(&self) -> PathBuf {
        self.path.join("ledger.jsonl")
    }

    /// Mount point of the supervisor's private tmpfs; empty for everybody else.
    pub fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// Writes down who supervises the lab.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_supervisor(&self, identity: SupervisorIdentity) -> Result<(), LabError> {
        let path = self.path.join("supervisor.json");
        let text =
            serde_json::to_vec(&identity).map_err(|source| LabError::file("write", &path, source.into()))?;
        // Under another name first: others look at any moment, and shall not see half of it.
        let new = self.path.join("supervisor.json.new");
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path));
        written.map_err(|source| LabError::file("write", &path, source))
    }

    /// Who supervises (or supervised) the lab; `None` when it ended before it could say.
    pub fn supervisor(&self) -> Option<SupervisorIdentity> {
        let text = std::fs::read(self.path.join("supervisor.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Whether the directory is still the one of this supervisor: it may have been removed while the lab ran, and be
    /// another lab's by now. What cannot be told counts as a yes.
    pub fn belongs_to(&self, identity: SupervisorIdentity) -> bool {
        match std::fs::read(self.path.join("supervisor.json")) {
            Ok(text) => serde_json::from_slice(&text).map_or(true, |it: SupervisorIdentity| it == identity),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// Whether the lab's supervisor is alive.
    pub fn supervisor_lives(&self) -> bool {
        self.supervisor()
            .is_some_and(|it| dfaas_process::process_alive(it.pid, it.start_time))
    }

    /// Whether anything of the lab is on disk.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Removes the directory and all in it. A missing directory is fine.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(&self) -> Result<(), LabError> {
        match std::fs::remove_dir_all(&self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(LabError::file("remove", &self.path, source)),
        }
    }
}

/// Why the directory of all labs is where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The user said so, or it is the usual place.
    Regular,
    /// There is no better place than the one that all users share.
    Temporary,
}

/// The directory of all labs: `/run/dfaas-testbed`, below `$XDG_RUNTIME_DIR` for other users than root.
pub(crate) fn root() -> PathBuf {
    chosen_root().0
}

fn chosen_root() -> (PathBuf, Choice) {
    if let Some(path) = std::env::var_os(STATE_ROOT_VARIABLE) {
        return (path.into(), Choice::Regular);
    }
    if rootless::is_root() {
        return ("/run/dfaas-testbed".into(), Choice::Regular);
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()) {
        Some(path) => (Path::new(&path).join("dfaas-testbed"), Choice::Regular),
        None => {
            let name = format!("dfaas-testbed-{}", nix::unistd::geteuid());
            (std::env::temp_dir().join(name), Choice::Temporary)
        }
    }
}

/// Fails if somebody else has made the directory: whoever owns it decides what a lab's files are.
fn refuse_foreign(root: &Path) -> Result<(), LabError> {
    let metadata =
        std::fs::symlink_metadata(root).map_err(|source| LabError::file("look at", root, source))?;
    if metadata.is_dir() && metadata.uid() == nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    Err(LabError::MachineCannot {
        what: format!("{} belongs to another user", root.display()),
        remedy: format!("set XDG_RUNTIME_DIR or {STATE_ROOT_VARIABLE} to a directory of your own"),
    })
}
