//! The labs of this machine: find one, list all, take one down.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dfaas_control::Client;
use serde::Serialize;

use crate::error::LabError;
use crate::launch;
use crate::state::StateDirectory;

/// How long a supervisor may take to undo everything before it is killed and the ledger does the rest.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);

/// One row of `ls`.
#[derive(Debug, Clone, Serialize)]
pub struct LabRow {
    /// The lab's name.
    pub name: String,
    /// Process id of the supervisor, dead or alive; absent when it ended before it could say.
    pub pid: Option<i32>,
    /// `starting`, `ready`, `failed`, `stopping`, or `dead` when the supervisor was killed.
    pub state: String,
    /// Number of nodes; absent when the supervisor does not answer.
    pub nodes: Option<usize>,
}

/// All labs of this machine by name, those included whose supervisor was killed.
///
/// # Errors
/// When the directory of all labs cannot be read.
pub async fn list() -> Result<Vec<LabRow>, LabError> {
    let mut rows = Vec::new();
    for state in StateDirectory::all()? {
        let identity = state.supervisor();
        let detail = if state.supervisor_lives() {
            Client::new(state.control_socket()).lab_without_links().await.ok()
        } else {
            None
        };
        let word = match (&detail, &identity) {
            (Some(detail), _) => detail.state.to_string(),
            (None, Some(_)) if !state.supervisor_lives() => "dead".to_owned(),
            (None, None) if !is_locked(&state) => "dead".to_owned(),
            (None, _) => "starting".to_owned(),
        };
        rows.push(LabRow {
            name: state.name().to_owned(),
            pid: identity.map(|it| it.pid),
            state: word,
            nodes: detail.map(|it| it.nodes.len()),
        });
    }
    Ok(rows)
}

/// The lab a verb means: the one named, or the only one there is.
///
/// # Errors
/// [`LabError::NoSuchLab`], [`LabError::NoLab`] or [`LabError::SeveralLabs`].
pub fn choose(name: Option<&str>) -> Result<StateDirectory, LabError> {
    if let Some(name) = name {
        let state = StateDirectory::of(name);
        // A name with a slash is no lab's name and must not become a path.
        if name.is_empty() || name.contains(['/', '.']) || !state.exists() {
            return Err(LabError::NoSuchLab(name.to_owned()));
        }
        return Ok(state);
    }
    let mut all = StateDirectory::all()?;
    match all.len() {
        0 => Err(LabError::NoLab),
        1 => Ok(all.remove(0)),
        _ => Err(LabError::SeveralLabs(
            all.iter().map(|it| it.name().to_owned()).collect(),
        )),
    }
}

/// A client of the lab a verb means.
///
/// # Errors
/// As [`choose`]; a lab whose supervisor was killed is not running either.
pub fn connect(name: Option<&str>) -> Result<(StateDirectory, Client), LabError> {
    let state = choose(name)?;
    if !state.supervisor_lives() {
        return Err(LabError::NoSuchLab(state.name().to_owned()));
    }
    let client = Client::new(state.control_socket());
    Ok((state, client))
}

/// Takes a lab down, whatever state it is in, and returns when nothing of it is left.
///
/// # Errors
/// [`LabError::Left`] names what could not be removed.
pub async fn take_down(state: &StateDirectory) -> Result<(), LabError> {
    if let Some(identity) = state.supervisor()
        && state.supervisor_lives()
    {
        if let Err(error) = Client::new(state.control_socket()).shut_down().await {
            tracing::debug!(%error, "the supervisor does not answer; ending it");
            drop(dfaas_process::kill_process(
                identity.pid,
                identity.start_time,
                nix::libc::SIGTERM,
            ));
        }
        let deadline = Instant::now() + SHUTDOWN_LIMIT;
        while dfaas_process::process_alive(identity.pid, identity.start_time) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if dfaas_process::process_alive(identity.pid, identity.start_time) {
            tracing::warn!(lab = state.name(), "the supervisor hangs and is killed");
            drop(dfaas_process::kill_process(
                identity.pid,
                identity.start_time,
                nix::libc::SIGKILL,
            ));
            while dfaas_process::process_alive(identity.pid, identity.start_time) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    // Somebody else may be at it, or a start may be in the middle of being undone.
    let deadline = Instant::now() + SHUTDOWN_LIMIT;
    while state.exists() && is_locked(state) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let left = launch::clean_up(state)?;
    if left.is_empty() {
        Ok(())
    } else {
        Err(LabError::Left {
            name: state.name().to_owned(),
            left,
        })
    }
}

fn is_locked(state: &StateDirectory) -> bool {
    matches!(state.try_lock(), Ok(None))
}

/// The running program's own file.
pub(crate) fn own_executable() -> Result<PathBuf, LabError> {
    std::env::current_exe().map_err(|source| LabError::file("find", "/proc/self/exe".as_ref(), source))
}
