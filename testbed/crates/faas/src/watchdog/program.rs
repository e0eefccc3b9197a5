//! Finding a function's program, and the sentences for what goes wrong, as Go's `os/exec` has them.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nix::errno::Errno;

/// The file to execute for `name`, searched in `search_path` unless it has a slash.
///
/// # Errors
/// Go's sentence when there is none.
pub(crate) fn find(name: &str, search_path: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    if name.is_empty() {
        return Err("exec: no command".to_owned());
    }
    let found = search_path
        .split(':')
        .filter(|directory| !directory.is_empty())
        .map(|directory| Path::new(directory).join(name))
        .find(|candidate| is_executable(candidate));
    found.ok_or_else(|| not_found(name))
}

/// The sentence for a name that no directory of the search path has.
pub(crate) fn not_found(name: &str) -> String {
    if name.is_empty() {
        return "exec: no command".to_owned();
    }
    format!("exec: {name:?}: executable file not found in $PATH")
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The sentence for a program that could not be started.
pub(crate) fn spawn_failure(path: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::InvalidInput {
        return "exec: environment variable contains NUL".to_owned();
    }
    format!("fork/exec {}: {}", path.display(), sentence(error))
}

/// The kernel's reason in Go's words.
pub(crate) fn sentence(error: &io::Error) -> String {
    let text = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN) => "resource temporarily unavailable".to_owned(),
        Some(Errno::ENOMEM) => "cannot allocate memory".to_owned(),
        Some(number) => number.desc().to_owned(),
        None => error.to_string(),
    };
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => text,
    }
}

/// The sentence for a process that ended badly; `None` when it ended well.
pub(crate) fn exit_failure(status: ExitStatus) -> Option<String> {
    if let Some(code) = status.code() {
        return (code != 0).then(|| format!("exit status {code}"));
    }
    let number = status.signal().unwrap_or_default();
    let core = if status.core_dumped() {
        " (core dumped)"
    } else {
        ""
    };
    Some(format!("signal: {}{core}", signal_name(number)))
}

/// The kernel's signals by Go's names.
fn signal_name(number: i32) -> String {
    const NAMES: &[&str] = &[
        "hangup",
        "interrupt",
        "quit",
        "illegal instruction",
        "trace/breakpoint trap",
        "aborted",
        "bus error",
        "floating point exception",
        "killed",
        "user defined signal 1",
        "segmentation fault",
        "user defined signal 2",
        "broken pipe",
        "alarm clock",
        "terminated",
        "stack fault",
        "child exited",
        "continued",
        "stopped (signal)",
        "stopped",
        "stopped (tty input)",
        "stopped (tty output)",
        "urgent I/O condition",
        "CPU time limit exceeded",
        "file size limit exceeded",
        "virtual timer expired",
        "profiling timer expired",
        "window changed",
        "I/O possible",
        "power failure",
        "bad system call",
    ];
    let name = usize::try_from(number - 1)
        .ok()
        .and_then(|index| NAMES.get(index));
    name.map_or_else(|| format!("signal {number}"), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;
    use std::process::ExitStatus;

    use super::{exit_failure, find, spawn_failure};

    #[test]
    fn searches_like_go() {
        assert_eq!(find("sh", "/nowhere:/bin").unwrap(), Path::new("/bin/sh"));
        assert_eq!(find("./x", "/bin").unwrap(), Path::new("./x"));
        assert_eq!(
            find("nonexistent-binary", "/bin").unwrap_err(),
            "exec: \"nonexistent-binary\": executable file not found in $PATH"
        );
        assert_eq!(
            find("passwd", "/etc").unwrap_err(),
            "exec: \"passwd\": executable file not found in $PATH"
        );
    }

    #[test]
    fn sentences_are_gos() {
        let missing = std::io::Error::from_raw_os_error(2);
        assert_eq!(
            spawn_failure(Path::new("/x"), &missing),
            "fork/exec /x: no such file or directory"
        );
        assert_eq!(exit_failure(ExitStatus::from_raw(0)), None);
        assert_eq!(
            exit_failure(ExitStatus::from_raw(3 << 8)).as_deref(),
            Some("exit status 3")
        );
        assert_eq!(
            exit_failure(ExitStatus::from_raw(9)).as_deref(),
            Some("signal: killed")
        );
        assert_eq!(
            exit_failure(ExitStatus::from_raw(11 | 0x80)).as_deref(),
            Some("signal: segmentation fault (core dumped)")
        );
        assert_eq!(
            exit_failure(ExitStatus::from_raw(34)).as_deref(),
            Some("signal: signal 34")
        );
    }
}
