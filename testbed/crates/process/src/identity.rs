//! Naming a process so that the name cannot mean another one later: its number *and* its start time.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::error::{Cannot, ProcessError};
use crate::sys;

/// What `/proc/<pid>/stat` says about a process.
struct Stat {
    state: u8,
    start_time: u64,
}

/// The command's name, the second field, may contain spaces and parentheses: fields are counted after the last `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    // The state is field 3, the start time field 22 (proc_pid_stat(5)).
    let start_time = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, start_time })
}

fn stat(pid: i32) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unexpected form of /proc/PID/stat"))
}

/// When a process started, in clock ticks since the machine booted.
///
/// # Errors
/// [`ProcessError::Gone`] when there is no such process, [`ProcessError::System`] when `/proc` cannot be read.
pub fn start_time(pid: i32) -> Result<u64, ProcessError> {
    match stat(pid) {
        Ok(stat) => Ok(stat.start_time),
        Err(error) if is_gone(&error) => Err(ProcessError::Gone { pid }),
        Err(error) => Err(error).cannot(|| format!("read the start time of process {pid}")),
    }
}

/// Does the process that had this number at that time still run? A process that has ended and was not waited for
/// counts as ended.
pub fn process_alive(pid: i32, start_time: u64) -> bool {
    stat(pid).is_ok_and(|stat| stat.start_time == start_time && !matches!(stat.state, b'Z' | b'X'))
}

/// Sends a signal to exactly that process. `Ok(false)`: it had ended before.
///
/// # Errors
/// [`ProcessError::System`] when the signal may not be sent or is no signal.
pub fn kill_process(pid: i32, start_time: u64, signal: i32) -> Result<bool, ProcessError> {
    let Some(process) = open(pid, start_time)? else {
        return Ok(false);
    };
    match sys::pidfd_send_signal(process.as_fd(), signal) {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error).cannot(|| format!("send signal {signal} to process {pid}")),
    }
}

/// A descriptor of exactly that process, `None` if it has ended.
///
/// The start time is compared after opening: from then on the descriptor cannot come to mean another process.
pub(crate) fn open(pid: i32, start_time: u64) -> Result<Option<OwnedFd>, ProcessError> {
    if pid <= 0 {
        return Ok(None);
    }
    match sys::pidfd_open(pid) {
        Ok(process) if process_alive(pid, start_time) => Ok(Some(process)),
        Ok(_) => Ok(None),
        // A number that belongs to a thread is not the process that was recorded either.
        Err(error) if is_gone(&error) || error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        Err(error) => Err(error).cannot(|| format!("open process {pid}")),
    }
}

/// The number by which this process knows the child of `init` that has the number `inner` in init's pid namespace.
pub(crate) fn outer_pid(init: i32, inner: i32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children")).ok()?;
    children
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .find(|pid| innermost_pid(*pid) == Some(inner))
}

fn innermost_pid(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_ascii_whitespace().next_back()?.parse().ok()
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse_the_parser() {
        let text = "12 (a) b) c) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 10";
        let stat = parse_stat(text).expect("well formed");
        assert_eq!((stat.state, stat.start_time), (b'S', 98765));
        assert!(parse_stat("12 (a) S 1").is_none());
    }

    #[test]
    fn this_process_is_alive_and_another_start_time_is_not_it() {
        let pid = std::process::id() as i32;
        let started = start_time(pid).expect("own start time");
        assert!(process_alive(pid, started));
        assert!(!process_alive(pid, started + 1));
        assert!(!kill_process(pid, started + 1, libc::SIGKILL).expect("refused without harm"));
    }

    #[test]
    fn a_child_is_killed_once_and_then_gone() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep starts");
        let pid = child.id() as i32;
        let started = start_time(pid).expect("start time of the child");
        assert!(kill_process(pid, started, libc::SIGKILL).expect("signal is sent"));
        child.wait().expect("child ends");
        assert!(!process_alive(pid, started));
        assert!(!kill_process(pid, started, libc::SIGKILL).expect("gone is no error"));
        assert!(matches!(start_time(pid), Err(ProcessError::Gone { .. })));
    }

    #[test]
    fn numbers_that_name_groups_are_never_signalled() {
        assert!(!kill_process(-1, 0, libc::SIGKILL).expect("refused"));
        assert!(!kill_process(0, 0, libc::SIGKILL).expect("refused"));
    }
}
