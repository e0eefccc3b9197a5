//! A process around the server, so that no function outlives it even when it is killed.
//!
//! The server is a child of the guard, and the guard adopts whatever the server leaves behind: when the server has
//! ended, the guard kills all that is left and ends with the server's exit code. When the guard itself is killed, the
//! server gets SIGTERM. Below an init process, which adopts orphans itself (in a container or a node of its own), or a
//! service manager with control groups, there is nothing to add.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getppid};
use tracing::warn;

use crate::error::FaasError;
use crate::platform::temporary_directory;

/// Whether nobody else cleans up after this process.
#[must_use]
pub fn is_needed() -> bool {
    let init = Pid::from_raw(1);
    getpid() != init && getppid() != init
}

/// Runs this program again with its own arguments, `flag` and a directory that the server may make, and stays until all of
/// it has ended.
///
/// # Errors
/// [`FaasError::Guard`] when the server cannot be started.
pub fn run(flag: &str) -> Result<u8, FaasError> {
    let failed = |error: Errno| FaasError::Guard(error.into());
    set_child_subreaper(true).map_err(failed)?;
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD] {
        signals.add(signal);
    }
    // Before the server exists, so that none of its signals is missed. It inherits the mask and empties it.
    signals.thread_block().map_err(failed)?;
    let program = std::env::current_exe().map_err(FaasError::Guard)?;
    let directory = temporary_directory();
    let server = Command::new(program)
        .args(std::env::args_os().skip(1))
        .arg(flag)
        .arg(&directory)
        .spawn()
        .map_err(FaasError::Guard)?;
    let server = Pid::from_raw(i32::try_from(server.id()).unwrap_or_default());
    let status = watch(server, &signals).map_err(failed)?;
    kill_descendants();
    crate::runtime::remove_cgroups(server.as_raw().unsigned_abs());
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn!("cannot remove {}: {error}", directory.display());
        }
        _ => {}
    }
    Ok(exit_code(status))
}

/// Passes signals on to the server and reaps orphans until the server has ended.
fn watch(server: Pid, signals: &SigSet) -> Result<ExitStatus, Errno> {
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => {
                if let Some(status) = reap(server)? {
                    return Ok(status);
                }
            }
            signal => kill(
                server,
                if signal == Signal::SIGHUP {
                    Signal::SIGTERM
                } else {
                    signal
                },
            )?,
        }
    }
}

/// Reaps everything that has ended; the server's status if it is among them.
fn reap(server: Pid) -> Result<Option<ExitStatus>, Errno> {
    loop {
        let (pid, raw) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, code << 8),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, signal as i32),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(error) => return Err(error),
        };
        if pid == server {
            return Ok(Some(ExitStatus::from_raw(raw)));
        }
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Kills what is left, generation by generation: the children of a killed process become ours.
fn kill_descendants() {
    const ROUNDS: u32 = 1000;
    for _ in 0..ROUNDS {
        let children = children_of(getpid()).unwrap_or_default();
        if children.is_empty() {
            return;
        }
        for child in children {
            // It is our child and not reaped yet, so the number is still its own.
            let _ = kill(child, Signal::SIGKILL);
        }
        while !matches!(
            waitpid(None, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive) | Err(_)
        ) {}
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Children of `parent`, from the parent field of `/proc/PID/stat`.
fn children_of(parent: Pid) -> io::Result<BTreeSet<Pid>> {
    let parent = parent.to_string();
    let mut children = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that ends meanwhile is no child any more.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        if fields.split_whitespace().nth(1) == Some(&parent) {
            children.insert(Pid::from_raw(pid));
        }
    }
    Ok(children)
}

/// Prepares the process that serves: as many descriptors as allowed, and, when guarded, an end with the guard.
///
/// # Errors
/// [`FaasError::Guard`] when the guard has gone already.
pub fn prepare_server(guarded: bool) -> Result<(), FaasError> {
    const DESCRIPTORS: u64 = 65_536;
    // Without more descriptors the platform serves fewer calls at a time; it says so when that happens.
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard.min(DESCRIPTORS)
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(DESCRIPTORS), hard);
    }
    if guarded {
        SigSet::empty()
            .thread_set_mask()
            .map_err(|error| FaasError::Guard(error.into()))?;
        set_pdeathsig(Signal::SIGTERM).map_err(|error| FaasError::Guard(error.into()))?;
        if getppid() == Pid::from_raw(1) {
            return Err(FaasError::Guard(io::Error::other("it has ended")));
        }
    }
    Ok(())
}
