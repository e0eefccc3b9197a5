//! The undo list of a lab. Each entry is written before its step runs, so that whatever outlives a killed
//! supervisor is known by its exact name to the next command.
//!
//! Namespaces, interfaces, mounts and the node's processes need no entry: the kernel removes them with the supervisor's
//! last descriptor. The file is not synced: it has to survive the supervisor, not the machine, and all it names dies
//! with the machine.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dfaas_docker::Engine;
use dfaas_process::CgroupReference;
use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::fault;

/// How one step is undone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "undo")]
pub(crate) enum Undo {
    /// End a process, known by pid *and* start time.
    EndProcess {
        /// Process id.
        pid: i32,
        /// Start time in clock ticks since boot.
        start_time: u64,
    },
    /// End and remove a container.
    RemoveContainer {
        /// Its exact name.
        name: String,
    },
    /// Kill what is left in a control group and remove it.
    RemoveCgroup {
        /// The exact directories.
        cgroup: CgroupReference,
    },
}

/// The writing side, owned by the supervisor.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: Mutex<File>,
}

impl Ledger {
    /// Opens the ledger for appending.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, LabError> {
        let file = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| LabError::file("open", path, source))?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }

    /// Writes one entry. Call it before the step that the entry undoes.
    ///
    /// # Errors
    /// When the entry cannot be written; the step must not run then.
    pub(crate) fn record(&self, undo: &Undo) -> Result<(), LabError> {
        let write_error = |source| LabError::file("write", &self.path, source);
        let mut line = serde_json::to_vec(undo).map_err(|error| write_error(error.into()))?;
        line.push(b'\n');
        fault::step("before a ledger entry");
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(&line).map_err(write_error)?;
        fault::step("after a ledger entry");
        Ok(())
    }
}

/// Reads a ledger. A last line that was cut off is passed over: its step never ran.
///
/// # Errors
/// When the file exists but cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<Undo>, LabError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(LabError::file("read", path, source)),
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|source| LabError::file("read", path, source))?;
        match serde_json::from_str(&line) {
            Ok(entry) => entries.push(entry),
            Err(error) => tracing::warn!(%error, line, "passed over an unreadable ledger line"),
        }
    }
    Ok(entries)
}

/// Undoes all entries, last first, and goes on after a failure. Returns what is left, in words.
pub(crate) fn replay(entries: &[Undo]) -> Vec<String> {
    let mut left = Vec::new();
    for entry in entries.iter().rev() {
        match entry {
            Undo::EndProcess { pid, start_time } => {
                if let Err(error) = end_process(*pid, *start_time) {
                    left.push(format!("process {pid}: {error}"));
                }
            }
            Undo::RemoveContainer { name } => {
                if let Err(error) = remove_container(name) {
                    left.push(format!("container `{name}`: {error}"));
                }
            }
            Undo::RemoveCgroup { cgroup } => {
                if let Err(error) = dfaas_process::remove_cgroup_tree(cgroup) {
                    left.push(error.to_string());
                }
            }
        }
    }
    left
}

/// Removes a container. On a thread of its own, because the caller may be inside a runtime already.
fn remove_container(name: &str) -> Result<(), String> {
    let name = name.to_owned();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(async {
            let engine = Engine::connect().await.map_err(|error| error.to_string())?;
            engine
                .remove_container(&name)
                .await
                .map_err(|error| error.to_string())
        })
    };
    match std::thread::spawn(work).join() {
        Ok(removed) => removed,
        Err(_) => Err("its removal failed unexpectedly".to_owned()),
    }
}

/// Kills a process and waits, at most two seconds, until it is gone.
fn end_process(pid: i32, start_time: u64) -> Result<(), String> {
    if pid == i32::try_from(std::process::id()).unwrap_or(0) || !dfaas_process::process_alive(pid, start_time)
    {
        return Ok(());
    }
    dfaas_process::kill_process(pid, start_time, nix::libc::SIGKILL).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + Duration::from_secs(2);
    while dfaas_process::process_alive(pid, start_time) {
        if Instant::now() > deadline {
            return Err("still there two seconds after SIGKILL".to_owned());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_last_line_does_not_hide_the_entries_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.jsonl");
        let ledger = Ledger::open(&path).unwrap();
        ledger
            .record(&Undo::EndProcess {
                pid: 1,
                start_time: 2,
            })
            .unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"undo\":\"end-pro")
            .unwrap();
        let entries = read(&path).unwrap();
        assert!(
            matches!(
                entries[..],
                [Undo::EndProcess {
                    pid: 1,
                    start_time: 2
                }]
            ),
            "{entries:?}"
        );
    }

    #[test]
    fn replay_ends_the_recorded_process_and_no_other() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let start_time = dfaas_process::start_time(pid).unwrap();
        let other_start = Undo::EndProcess {
            pid,
            start_time: start_time + 1,
        };
        assert_eq!(replay(&[other_start]), Vec::<String>::new());
        assert!(
            child.try_wait().unwrap().is_none(),
            "another start time means another process"
        );
        let waiter = std::thread::spawn(move || child.wait().unwrap());
        assert_eq!(
            replay(&[Undo::EndProcess { pid, start_time }]),
            Vec::<String>::new()
        );
        assert!(!waiter.join().unwrap().success());
    }

    #[test]
    fn a_missing_ledger_is_an_empty_one() {
        assert!(read(Path::new("/nonexistent/ledger.jsonl")).unwrap().is_empty());
    }
}
