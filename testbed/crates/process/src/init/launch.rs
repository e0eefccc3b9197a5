//! Starting a service's program.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Component, Path};
use std::process::{Command, Stdio};

use nix::sys::signal::SigSet;
use nix::unistd::{Pid, setsid};

use crate::spec::ServiceSpec;

/// The out-of-memory killer's preference for services, -1000 … 1000: a service goes before init does.
const KILLED_FIRST: &[u8] = b"500";

/// Is this a service that can be started at all?
pub(super) fn check(spec: &ServiceSpec) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let name = &spec.name;
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(format!(
            "{name:?} is not a name for a service: letters, digits, `-`, `_` and `.`, at most 64"
        ));
    }
    if spec.command.is_empty() {
        return Err("the command is empty".into());
    }
    for path in spec.files.iter().map(|(path, _)| path).chain([&spec.directory]) {
        if !path.is_absolute()
            || path
                .components()
                .any(|component| component == Component::ParentDir)
        {
            return Err(format!("{} is not an absolute path without `..`", path.display()));
        }
    }
    Ok(())
}

/// Writes the service's files.
pub(super) fn write_files(spec: &ServiceSpec) -> Result<(), String> {
    for (path, content) in &spec.files {
        let above = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(above)
            .map_err(|error| format!("cannot make directory {}: {error}", above.display()))?;
        fs::write(path, content).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// Runs the program in a session of its own, so that all it starts can be signalled as one group.
pub(super) fn launch(spec: &ServiceSpec, output: impl Fn() -> io::Result<OwnedFd>) -> Result<Pid, String> {
    let Some((program, arguments)) = spec.command.split_first() else {
        return Err("the command is empty".into());
    };
    let directory = &spec.directory;
    fs::create_dir_all(directory)
        .map_err(|error| format!("cannot make directory {}: {error}", directory.display()))?;
    let stream = || {
        output()
            .map(Stdio::from)
            .map_err(|error| format!("cannot give it an output: {error}"))
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(&spec.env)
        .current_dir(directory);
    command.stdin(Stdio::null()).stdout(stream()?).stderr(stream()?);
    // SAFETY: init has one thread, so a fork of it may call anything.
    unsafe { command.pre_exec(detach) };
    match command.spawn() {
        Ok(child) => Ok(Pid::from_raw(child.id() as i32)),
        Err(error) => Err(format!("cannot execute {program}: {error}")),
    }
}

fn detach() -> io::Result<()> {
    setsid()?;
    // Init has all signals blocked.
    SigSet::empty().thread_set_mask()?;
    // Without /proc, or with a stricter limit from outside, the preference is not worth a failure.
    _ = fs::write("/proc/self/oom_score_adj", KILLED_FIRST);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Restart;

    fn service(name: &str, directory: &str) -> ServiceSpec {
        ServiceSpec {
            name: name.into(),
            command: vec!["true".into()],
            env: Default::default(),
            directory: directory.into(),
            restart: Restart::Never,
            files: Vec::new(),
        }
    }

    #[test]
    fn names_become_file_names_and_paths_are_absolute() {
        assert_eq!(check(&service("agent-1.x_y", "/")), Ok(()));
        for name in ["", ".", "../x", "a/b", "a b", &"x".repeat(65)] {
            assert!(check(&service(name, "/")).is_err(), "{name}");
        }
        assert!(check(&service("agent", "relative")).is_err());
        assert!(check(&service("agent", "/a/../b")).is_err());
        let without = ServiceSpec {
            command: Vec::new(),
            ..service("agent", "/")
        };
        assert!(check(&without).is_err());
    }
}
