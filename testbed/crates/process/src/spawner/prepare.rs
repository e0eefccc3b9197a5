//! Everything a new init needs, made before the process exists: between `clone3` and `execve` nothing may be allocated.

use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::child::ChildPlan;
use crate::cgroup::Hierarchy;
use crate::error::{Cannot, ProcessError};
use crate::message::Configuration;
use crate::spec::InitSpec;

/// The largest time that a request waits for room in the control socket.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct Prepared {
    pub(super) node: String,
    /// Our end.
    pub(super) control: UnixStream,
    /// The unified cgroup, which a process can be born into.
    pub(super) unified: Option<File>,
    executable: CString,
    arguments: Vec<CString>,
    cgroup_files: Vec<CString>,
    network_namespace: OwnedFd,
    configuration: OwnedFd,
    lifeline: OwnedFd,
    their_control: UnixStream,
    null: File,
}

impl Prepared {
    pub(super) fn new(spec: InitSpec, lifeline: &OwnedFd) -> Result<Self, ProcessError> {
        let (control, their_control) = UnixStream::pair().cannot(|| "make a control socket".into())?;
        control
            .set_write_timeout(Some(WRITE_WITHIN))
            .cannot(|| "set up a control socket".into())?;
        let (cgroup_files, unified) = cgroup(&spec)?;
        let executable = c_string(spec.executable.as_os_str().as_bytes(), "the path of init")?;
        let mut arguments = vec![executable.clone()];
        for argument in &spec.arguments {
            arguments.push(c_string(argument.as_bytes(), "an argument of init")?);
        }
        let null = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")
            .cannot(|| "open /dev/null".into())?;
        Ok(Self {
            configuration: configuration(&spec)?,
            node: spec.node,
            control,
            unified,
            executable,
            arguments,
            cgroup_files,
            network_namespace: spec.network_namespace,
            lifeline: lifeline.try_clone().cannot(|| "copy the lifeline".into())?,
            their_control,
            null,
        })
    }

    /// The same as numbers and pointers. `born_in_unified`: the unified cgroup needs no joining.
    pub(super) fn plan(&self, own_process: RawFd, born_in_unified: bool) -> ChildPlan<'_> {
        let mut arguments: Vec<*const libc::c_char> =
            self.arguments.iter().map(|text| text.as_ptr()).collect();
        arguments.push(std::ptr::null());
        let skipped = usize::from(born_in_unified);
        ChildPlan {
            executable: &self.executable,
            arguments,
            cgroup_files: self
                .cgroup_files
                .iter()
                .skip(skipped)
                .map(CString::as_c_str)
                .collect::<Vec<&CStr>>(),
            network_namespace: self.network_namespace.as_raw_fd(),
            configuration: self.configuration.as_raw_fd(),
            lifeline: self.lifeline.as_raw_fd(),
            control: self.their_control.as_raw_fd(),
            null: self.null.as_raw_fd(),
            own_process,
        }
    }
}

pub(crate) fn c_string(bytes: &[u8], what: &str) -> Result<CString, ProcessError> {
    CString::new(bytes).map_err(|_| ProcessError::NullByte {
        what: what.to_owned(),
    })
}

/// The files that take a process into the cgroup, the unified one first, and that one opened.
fn cgroup(spec: &InitSpec) -> Result<(Vec<CString>, Option<File>), ProcessError> {
    let Some(reference) = &spec.cgroup else {
        return Ok((Vec::new(), None));
    };
    let mut unified = None;
    let mut files = Vec::new();
    for directory in &reference.directories {
        let procs: PathBuf = directory.path.join("cgroup.procs");
        let file = c_string(procs.as_os_str().as_bytes(), "the path of a cgroup")?;
        if directory.hierarchy == Hierarchy::Unified {
            let opened = File::open(&directory.path).map_err(|source| ProcessError::Cgroup {
                action: "open",
                path: directory.path.clone(),
                source,
            })?;
            unified = Some(opened);
            files.insert(0, file);
        } else {
            files.push(file);
        }
    }
    Ok((files, unified))
}

fn configuration(spec: &InitSpec) -> Result<OwnedFd, ProcessError> {
    let text = serde_json::to_vec(&Configuration::from(spec))
        .map_err(io::Error::from)
        .cannot(|| format!("describe node {}", spec.node))?;
    let memory =
        memfd_create(c"configuration", MFdFlags::MFD_CLOEXEC).cannot(|| "make a memory file".into())?;
    let file = File::from(memory);
    // Written with an offset, so that init reads from the start.
    std::os::unix::fs::FileExt::write_all_at(&file, &text, 0).cannot(|| "write a memory file".into())?;
    Ok(file.into())
}
