//! A place for programs that nobody trusts, and a process in it that starts them quickly.
//!
//! Making namespaces takes milliseconds, starting a program in them a fraction of one. So they are made once:
//! [`Sandbox::start`] runs a *launcher* as process 1 of new pid, mount, uts, ipc and network namespaces, which gives up
//! all privileges and then starts one program per [`Request`], with the descriptors that came with it.
//!
//! The launcher ends when the [`Sandbox`] is dropped or its owner dies, and the kernel kills every process of a pid
//! namespace with its process 1. Without isolation there is the same launcher in the namespaces of its owner; then what
//! its programs have started in sessions of their own outlives it.

mod launcher;
mod protocol;
mod surroundings;

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use serde::{Deserialize, Serialize};

use crate::cgroup::CgroupReference;
use crate::error::{Cannot, ProcessError};
use crate::spec::Bind;
use crate::sys;
pub use launcher::sandbox_main;
use protocol::Message;
pub use protocol::{Answer, Request};

/// The user and group that programs of a sandbox run as.
pub const SANDBOX_USER: u32 = 1000;

/// How much a sandbox keeps apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Namespaces, a file tree, a user without privileges; the network of the owner.
    SharedNetwork,
    /// The same, and a network of its own that has a loopback and nothing else.
    Full,
    /// Nothing: programs run as their owner does.
    None,
}

/// What a sandbox is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// Its host name.
    pub name: String,
    /// How much it keeps apart.
    pub isolation: Isolation,
    /// What its programs see besides the distribution's programs and libraries: files and directories of the owner.
    pub binds: Vec<Bind>,
    /// Files of `/etc` that are the sandbox' own: name and content. One that the machine does not have is left out.
    pub etc: Vec<(String, String)>,
    /// Where its home directory is; writable, and empty at first.
    pub home: PathBuf,
    /// The environment of every program.
    pub environment: Vec<(String, String)>,
    /// A program that is found under this name wherever the search path does not have one.
    pub own_program: (String, PathBuf),
    /// The cgroup it belongs to.
    pub cgroup: Option<CgroupReference>,
}

/// A running sandbox. Dropping it kills everything in it.
#[derive(Debug)]
pub struct Sandbox {
    control: OwnedFd,
    process: OwnedFd,
    pid: i32,
    isolation: Isolation,
}

impl Sandbox {
    /// Makes a sandbox and waits until its launcher takes requests. `command` is a program, with arguments, that calls
    /// [`sandbox_main`] first of all.
    ///
    /// # Errors
    /// [`ProcessError::Sandbox`] with the step that failed and the kernel's answer, [`ProcessError::System`].
    pub fn start(command: (&std::path::Path, &[&str]), spec: &SandboxSpec) -> Result<Self, ProcessError> {
        let (control, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .cannot(|| "make a control socket".into())?;
        let mut helper = Command::new(command.0)
            .args(command.1)
            .env_clear()
            .stdin(Stdio::from(description(spec)?))
            .stdout(Stdio::from(theirs))
            .spawn()
            .cannot(|| format!("execute {}", command.0.display()))?;
        let heard = listen(control.as_fd());
        // It has made the launcher and ended, or failed and ended.
        helper.wait().cannot(|| "wait for a process".into())?;
        let Heard {
            pid,
            is_ready,
            failure,
        } = heard;
        let process = pid.map(sys::pidfd_open).transpose();
        let process = process.cannot(|| "open a process".into())?;
        match (process, pid) {
            (Some(process), Some(pid)) if is_ready => Ok(Sandbox {
                control,
                process,
                pid,
                isolation: spec.isolation,
            }),
            (process, _) => {
                if let Some(process) = process {
                    // It has closed its socket, so it ends.
                    _ = waitid(Id::PIDFd(process.as_fd()), WaitPidFlag::WEXITED);
                }
                Err(ProcessError::Sandbox {
                    name: spec.name.clone(),
                    reason: failure.unwrap_or_else(|| "its launcher ended".into()),
                })
            }
        }
    }

    /// The launcher's number, as its owner sees it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The socket of requests and answers, to be watched: readable when there is an answer, writable when there is room
    /// for a request.
    #[must_use]
    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Hands a request over.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room at the moment; `InvalidInput` for texts with a null byte; others when the
    /// launcher has ended.
    pub fn send(&self, request: &Request<'_>) -> io::Result<()> {
        protocol::send_request(self.control.as_fd(), request)
    }

    /// The next answer; `None` when the launcher has ended and there are no more.
    ///
    /// # Errors
    /// `WouldBlock` when there is none at the moment.
    pub fn receive(&self) -> io::Result<Option<Answer>> {
        protocol::receive_answer(self.control.as_fd())
    }

    /// Kills everything in it; returns before it is gone.
    pub fn kill(&self) {
        if self.isolation == Isolation::None {
            // Without a pid namespace nobody but the launcher knows what to kill; it does so at the end of its socket.
            _ = shutdown(self.control.as_raw_fd(), Shutdown::Both);
        } else {
            // The only failure is that it has ended.
            _ = sys::pidfd_send_signal(self.process.as_fd(), libc::SIGKILL);
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.kill();
        // A killed process ends unless the kernel is in the way; then it is reaped by whoever adopts it.
        _ = waitid(Id::PIDFd(self.process.as_fd()), WaitPidFlag::WEXITED);
    }
}

/// What a launcher and its maker have said.
#[derive(Default)]
struct Heard {
    pid: Option<i32>,
    is_ready: bool,
    failure: Option<String>,
}

/// Listens until there is a sandbox, or nobody is left to say anything. The two of them speak in no particular order.
fn listen(control: BorrowedFd<'_>) -> Heard {
    let mut heard = Heard::default();
    while heard.pid.is_none() || !heard.is_ready {
        match protocol::receive(control) {
            Ok(Some(Message::Started { pid })) => heard.pid = Some(pid),
            Ok(Some(Message::Ready)) => heard.is_ready = true,
            Ok(Some(Message::Failed { reason })) => heard.failure = Some(reason),
            Ok(Some(Message::Answer(_))) => {}
            Ok(None) => break,
            Err(error) => {
                heard.failure = Some(error.to_string());
                break;
            }
        }
    }
    heard
}

/// The specification in a file that goes with its last reader.
fn description(spec: &SandboxSpec) -> Result<OwnedFd, ProcessError> {
    let text = serde_json::to_vec(spec)
        .map_err(io::Error::from)
        .cannot(|| format!("describe sandbox {}", spec.name))?;
    let memory = memfd_create(c"sandbox", MFdFlags::MFD_CLOEXEC).cannot(|| "make a memory file".into())?;
    let mut file = std::fs::File::from(memory);
    file.write_all(&text)
        .and_then(|()| io::Seek::rewind(&mut file))
        .cannot(|| "write a memory file".into())?;
    Ok(file.into())
}
