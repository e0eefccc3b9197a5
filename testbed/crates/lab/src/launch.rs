//! Starting a lab: claim the name, start its supervisor, follow its progress.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::progress::{LabRequest, Progress};
use crate::state::StateDirectory;
use crate::{labs, ledger};

/// The hidden verb of the command line program that runs [`crate::supervise`].
pub const SUPERVISOR_VERB: &str = "supervise";

/// How long the kernel may take to end a killed supervisor.
const KILLED_SUPERVISOR_LIMIT: Duration = Duration::from_secs(10);

/// Starts the lab and returns when it is ready. `on_progress` sees every milestone; when `interrupted` becomes true,
/// everything is undone and the result is [`LabError::Interrupted`].
///
/// # Errors
/// Whatever kept the lab from becoming ready; unless `keep` was asked for, nothing of it is left then.
pub fn start(
    request: &LabRequest,
    interrupted: &AtomicBool,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<(), LabError> {
    let state = StateDirectory::of(&request.topology.name);
    let lock = claim(&state)?;
    let mut supervisor = match Supervisor::spawn(&state, &lock, request) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            state.remove()?;
            return Err(error);
        }
    };
    drop(lock);
    let outcome = supervisor.follow(interrupted, on_progress);
    match outcome {
        Outcome::Ready => Ok(()),
        Outcome::Failed {
            message,
            exit_code,
            mut left,
        } => {
            supervisor.wait_unless_kept();
            if !supervisor.kept {
                left.extend(clean_up(&state)?); // of a supervisor that failed before it had a lab to take down
            }
            if !left.is_empty() {
                return Err(LabError::Left {
                    name: state.name().to_owned(),
                    left,
                });
            }
            if interrupted.load(Ordering::Relaxed) {
                return Err(LabError::Interrupted);
            }
            Err(LabError::Reported { message, exit_code })
        }
        Outcome::Gone => {
            supervisor.wait_unless_kept();
            let detail = last_lines(&state.supervisor_log(), 5);
            let detail = if detail.is_empty() {
                detail
            } else {
                format!("; its last words:\n{detail}")
            };
            let left = clean_up(&state)?;
            if !left.is_empty() {
                return Err(LabError::Left {
                    name: state.name().to_owned(),
                    left,
                });
            }
            Err(LabError::SupervisorGone {
                name: state.name().to_owned(),
                detail,
            })
        }
    }
}

/// Claims the lab's name: the directory exists and is locked afterwards. What a killed supervisor left is removed first.
fn claim(state: &StateDirectory) -> Result<File, LabError> {
    let deadline = Instant::now() + KILLED_SUPERVISOR_LIMIT;
    loop {
        let fresh = state.claim()?;
        let Some(lock) = state.try_lock()? else {
            // The kernel may still be busy with the last threads of a supervisor that was killed just now.
            let killed = state.supervisor().is_some() && !state.supervisor_lives();
            if killed && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            let pid = state.supervisor().map_or(0, |it| it.pid);
            return Err(LabError::NameTaken {
                name: state.name().to_owned(),
                pid,
            });
        };
        if !lock_is_current(state, &lock) {
            continue; // somebody removed the directory between our two steps
        }
        if fresh {
            return Ok(lock);
        }
        tracing::warn!(
            lab = state.name(),
            "removing what an earlier supervisor left behind"
        );
        let left = clean_up_locked(state)?;
        if !left.is_empty() {
            return Err(LabError::Left {
                name: state.name().to_owned(),
                left,
            });
        }
    }
}

fn lock_is_current(state: &StateDirectory, lock: &File) -> bool {
    let on_disk = std::fs::metadata(state.path().join("lock"));
    match (on_disk, lock.metadata()) {
        (Ok(on_disk), Ok(held)) => on_disk.ino() == held.ino() && on_disk.dev() == held.dev(),
        _ => false,
    }
}

/// Undoes what the ledger of a dead supervisor names and removes the state directory. Returns what is left.
pub(crate) fn clean_up(state: &StateDirectory) -> Result<Vec<String>, LabError> {
    if !state.exists() {
        return Ok(Vec::new());
    }
    match state.try_lock()? {
        Some(lock) if lock_is_current(state, &lock) => clean_up_locked(state),
        _ => Ok(Vec::new()), // somebody else is at it
    }
}

fn clean_up_locked(state: &StateDirectory) -> Result<Vec<String>, LabError> {
    let left = ledger::replay(&ledger::read(&state.ledger())?);
    if left.is_empty() {
        state.remove()?;
    }
    Ok(left)
}

/// A supervisor that has not reported the end of its start yet.
struct Supervisor {
    child: Child,
    /// Held open: its end tells the supervisor to stop and undo.
    stdin: Option<ChildStdin>,
    progress: Receiver<Progress>,
    kept: bool,
}

enum Outcome {
    Ready,
    Failed {
        message: String,
        exit_code: u8,
        left: Vec<String>,
    },
    Gone,
}

impl Supervisor {
    fn spawn(state: &StateDirectory, lock: &File, request: &LabRequest) -> Result<Self, LabError> {
        let log_path = state.supervisor_log();
        let log = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log_path)
            .map_err(|source| LabError::file("open", &log_path, source))?;
        let executable = labs::own_executable()?;
        let spawn_error = |source| LabError::file("run", &executable, source);
        let lock = lock.try_clone().map_err(spawn_error)?;
        clear_close_on_exec(&lock).map_err(spawn_error)?;
        let mut child = Command::new(&executable)
            .arg(SUPERVISOR_VERB)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(spawn_error)?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(spawn_error(std::io::Error::other("no pipes to the supervisor")));
        };
        let mut line = serde_json::to_vec(request).map_err(|error| spawn_error(error.into()))?;
        line.push(b'\n');
        // A supervisor that dies at once shows as a broken pipe here; following its progress tells the story.
        if let Err(error) = stdin.write_all(&line) {
            tracing::debug!(%error, "the supervisor did not take its request");
        }
        let (sender, progress) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(milestone) => drop(sender.send(milestone)),
                    Err(error) => tracing::debug!(%error, line, "unreadable progress line"),
                }
            }
        });
        Ok(Self {
            child,
            stdin: Some(stdin),
            progress,
            kept: false,
        })
    }

    fn follow(&mut self, interrupted: &AtomicBool, on_progress: &mut dyn FnMut(&Progress)) -> Outcome {
        loop {
            if interrupted.load(Ordering::Relaxed) {
                self.stdin = None;
            }
            let milestone = match self.progress.recv_timeout(Duration::from_millis(20)) {
                Ok(milestone) => milestone,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Outcome::Gone,
            };
            on_progress(&milestone);
            match milestone {
                Progress::Ready { .. } => return Outcome::Ready,
                Progress::Failed {
                    message,
                    exit_code,
                    kept,
                    left,
                } => {
                    self.kept = kept;
                    return Outcome::Failed {
                        message,
                        exit_code,
                        left,
                    };
                }
                _ => {}
            }
        }
    }

    fn wait_unless_kept(&mut self) {
        if !self.kept {
            // Only the exit matters here; why it ended is in its last milestone or its log.
            drop(self.child.wait());
        }
    }
}

fn clear_close_on_exec(file: &File) -> std::io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

/// The last `count` lines of a text file, or nothing when there is none.
pub(crate) fn last_lines(path: &Path, count: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
