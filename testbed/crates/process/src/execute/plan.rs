//! Everything that entering a node needs, made before the first process exists.

use std::ffi::CString;
use std::fs;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use super::Command;
use crate::error::{Cannot, ProcessError};
use crate::spawner::{NodeReference, c_string};

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const NAMESPACES: [(&str, libc::c_int); 7] = [
    ("user", libc::CLONE_NEWUSER),
    ("mnt", libc::CLONE_NEWNS),
    ("pid", libc::CLONE_NEWPID),
    ("uts", libc::CLONE_NEWUTS),
    ("ipc", libc::CLONE_NEWIPC),
    ("net", libc::CLONE_NEWNET),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

pub(super) struct Plan {
    /// A pidfd of the node's init.
    pub(super) node: RawFd,
    /// A pidfd of the calling process.
    pub(super) caller: RawFd,
    pub(super) namespaces: libc::c_int,
    pub(super) cgroup_files: Vec<CString>,
    /// Bit n: the node's processes may have capability n.
    pub(super) capabilities: u64,
    pub(super) directory: CString,
    /// Whether the program gets a process group of its own in the foreground of the terminal.
    pub(super) foreground: bool,
    /// Paths to try, in order.
    pub(super) candidates: Vec<CString>,
    /// Whether they come from `PATH`.
    pub(super) is_search: bool,
    pub(super) arguments: Strings,
    pub(super) environment: Strings,
}

/// Strings as `execve` wants them.
pub(super) struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    fn new(owned: Vec<CString>) -> Self {
        let ends = std::iter::once(std::ptr::null());
        let pointers = owned.iter().map(|text| text.as_ptr()).chain(ends).collect();
        Self {
            _owned: owned,
            pointers,
        }
    }

    pub(super) fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

impl Plan {
    pub(super) fn new(
        node: &NodeReference,
        command: &Command,
        node_process: RawFd,
        caller: RawFd,
    ) -> Result<Self, ProcessError> {
        let program = command.argv.first().ok_or(ProcessError::EmptyCommand)?;
        let arguments: Result<Vec<CString>, _> = command
            .argv
            .iter()
            .map(|argument| c_string(argument.as_bytes(), "an argument"))
            .collect();
        let environment: Result<Vec<CString>, _> = command
            .env
            .iter()
            .map(|(name, value)| c_string(format!("{name}={value}").as_bytes(), &format!("variable {name}")))
            .collect();
        let path = command.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        Ok(Self {
            node: node_process,
            caller,
            namespaces: if command.network_only {
                namespaces(node.pid)? & libc::CLONE_NEWNET
            } else {
                namespaces(node.pid)?
            },
            cgroup_files: cgroup_files(node)?,
            capabilities: capabilities(node.pid)?,
            directory: c_string(command.directory.as_os_str().as_bytes(), "the working directory")?,
            foreground: false,
            candidates: candidates(program, path)?,
            is_search: !program.contains('/'),
            arguments: Strings::new(arguments?),
            environment: Strings::new(environment?),
        })
    }
}

fn cgroup_files(node: &NodeReference) -> Result<Vec<CString>, ProcessError> {
    let directories = node.cgroup.iter().flat_map(|cgroup| &cgroup.directories);
    directories
        .map(|directory| {
            c_string(
                directory.entrance().join("cgroup.procs").as_os_str().as_bytes(),
                "the path of a cgroup",
            )
        })
        .collect()
}

/// Those of the node that are not the caller's own: entering one again may need rights that the caller does not have, and
/// the kernel refuses it for the user namespace.
fn namespaces(pid: i32) -> Result<libc::c_int, ProcessError> {
    let identity = |path: String| {
        let metadata = fs::metadata(&path).cannot(|| format!("look at {path}"))?;
        Ok::<_, ProcessError>((metadata.dev(), metadata.ino()))
    };
    let mut namespaces = 0;
    for (name, flag) in NAMESPACES {
        if identity(format!("/proc/self/ns/{name}"))? != identity(format!("/proc/{pid}/ns/{name}"))? {
            namespaces |= flag;
        }
    }
    Ok(namespaces)
}

/// What init has left of its bounding set.
fn capabilities(pid: i32) -> Result<u64, ProcessError> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).cannot(|| format!("read {path}"))?;
    let text = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap_or_default();
    u64::from_str_radix(text.trim(), 16)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
        .cannot(|| format!("understand {path}"))
}

fn candidates(program: &str, path: &str) -> Result<Vec<CString>, ProcessError> {
    let what = "the name of the program";
    if program.contains('/') {
        return Ok(vec![c_string(program.as_bytes(), what)?]);
    }
    // An empty name would find the directories themselves.
    let directories = path.split(':').filter(|_| !program.is_empty());
    directories
        .map(|directory| match directory {
            "" => c_string(format!("./{program}").as_bytes(), what),
            directory => c_string(format!("{directory}/{program}").as_bytes(), what),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_every_directory_and_a_path_is_taken_as_it_is() {
        let found = candidates("ls", "/a::/b").expect("no null byte");
        assert_eq!(found, [c"/a/ls", c"./ls", c"/b/ls"].map(ToOwned::to_owned));
        assert_eq!(
            candidates("./ls", "/a").expect("no null byte"),
            [c"./ls".to_owned()]
        );
        assert!(candidates("", "/a").expect("no null byte").is_empty());
        assert!(matches!(
            candidates("l\0s", "/a"),
            Err(ProcessError::NullByte { .. })
        ));
    }

    #[test]
    fn capabilities_of_this_process_are_read() {
        let pid = std::process::id() as i32;
        assert!(capabilities(pid).is_ok());
        assert_eq!(namespaces(pid).expect("own namespaces"), 0);
    }
}
