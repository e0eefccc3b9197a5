//! Inside: the process that makes the sandbox, and the launcher that lives in it.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getegid, geteuid, setsid};

use super::protocol::{self, Answer, Message, Order, Texts};
use super::{Isolation, SANDBOX_USER, SandboxSpec, surroundings};
use crate::error::{Cannot, ProcessError};
use crate::sys;

/// Makes a sandbox and runs its programs. A program started by [`Sandbox::start`](super::Sandbox::start) calls this first
/// of all, before it starts a thread.
///
/// Started by anything else it ends with code 2.
pub fn sandbox_main() -> ! {
    let code = match take_over() {
        Ok((spec, control)) => make(&spec, control),
        Err(_) => 2,
    };
    std::process::exit(code)
}

/// The specification on standard input and the control socket on standard output; both become `/dev/null`.
fn take_over() -> io::Result<(SandboxSpec, OwnedFd)> {
    let control = io::stdout().as_fd().try_clone_to_owned()?;
    let spec = serde_json::from_reader(io::stdin().lock())?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok((spec, control))
}

fn make(spec: &SandboxSpec, control: OwnedFd) -> i32 {
    match enter(spec) {
        // The maker: all that is left to do is to tell.
        Ok(Some(pid)) => {
            _ = protocol::say(control.as_fd(), &Message::Started { pid });
            0
        }
        Ok(None) => live(spec, control),
        Err(error) => {
            tell_failure(&control, &error);
            1
        }
    }
}

fn tell_failure(control: &OwnedFd, error: &ProcessError) {
    let reason = error.to_string();
    // Without an owner there is nobody to tell.
    _ = protocol::say(control.as_fd(), &Message::Failed { reason });
}

/// Makes the namespaces and, in them, the launcher's process, which is a child of our parent. Returns in both: with the
/// launcher's number in the process that made it.
fn enter(spec: &SandboxSpec) -> Result<Option<i32>, ProcessError> {
    // Ctrl-C in the owner's terminal is for the owner. A process that leads a group already needs no session.
    _ = setsid();
    if let Some(cgroup) = &spec.cgroup {
        cgroup.join(std::process::id() as i32)?;
    }
    if spec.isolation != Isolation::None {
        let (user, group) = (geteuid(), getegid());
        let mut namespaces = CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC;
        if spec.isolation == Isolation::Full {
            namespaces |= CloneFlags::CLONE_NEWNET;
        }
        if !user.is_root() {
            namespaces |= CloneFlags::CLONE_NEWUSER;
        }
        unshare(namespaces).cannot(|| "make namespaces".into())?;
        if !user.is_root() {
            map_user(user.as_raw(), group.as_raw())?;
        }
    }
    let mut arguments = sys::empty_clone_arguments();
    // With CLONE_PARENT the signal at its end is ours. This process has one thread, so its copy may do anything.
    arguments.flags = libc::CLONE_PARENT as u64;
    // SAFETY: a plain fork of a process with one thread.
    match unsafe { sys::clone3(&mut arguments) }.cannot(|| "start a launcher".into())? {
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// The owner's user and group under the numbers they have in every sandbox.
pub(super) fn map_user(user: u32, group: u32) -> Result<(), ProcessError> {
    let write = |file: &str, text: String| {
        let path = format!("/proc/self/{file}");
        std::fs::write(&path, text).cannot(|| format!("write {path}"))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{SANDBOX_USER} {user} 1"))?;
    write("gid_map", format!("{SANDBOX_USER} {group} 1"))
}

fn live(spec: &SandboxSpec, control: OwnedFd) -> i32 {
    let launcher = prepare(spec).and_then(|()| Launcher::new(spec, control.as_fd()));
    match launcher {
        Ok(mut launcher) => {
            launcher.run();
            launcher.kill_all();
            0
        }
        Err(error) => {
            tell_failure(&control, &error);
            1
        }
    }
}

fn prepare(spec: &SandboxSpec) -> Result<(), ProcessError> {
    if spec.isolation == Isolation::None {
        // What its programs leave behind comes to it.
        nix::sys::prctl::set_child_subreaper(true).cannot(|| "adopt orphans".into())?;
        return std::env::set_current_dir("/").cannot(|| "enter /".into());
    }
    surroundings::make(spec)
}

struct Launcher<'a> {
    control: BorrowedFd<'a>,
    signals: SignalFd,
    environment: Vec<CString>,
    search_path: Vec<String>,
    own_program: (CString, CString),
    /// Process → number of its request.
    running: BTreeMap<i32, u64>,
}

impl<'a> Launcher<'a> {
    fn new(spec: &SandboxSpec, control: BorrowedFd<'a>) -> Result<Self, ProcessError> {
        SigSet::all()
            .thread_set_mask()
            .cannot(|| "block signals".into())?;
        let taken = [Signal::SIGCHLD].into_iter().collect();
        let signals = SignalFd::with_flags(&taken, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .cannot(|| "make a signal descriptor".into())?;
        let text = |text: String| {
            CString::new(text).map_err(|_| ProcessError::NullByte {
                what: "the environment".into(),
            })
        };
        let environment: Result<Vec<CString>, _> = spec
            .environment
            .iter()
            .map(|(name, value)| text(format!("{name}={value}")))
            .collect();
        let path = spec.environment.iter().find(|(name, _)| name == "PATH");
        let own_path = match spec.isolation {
            Isolation::None => spec.own_program.1.display().to_string(),
            _ => surroundings::OWN_PROGRAM.to_owned(),
        };
        protocol::say(control, &Message::Ready).cannot(|| "say that it is ready".into())?;
        Ok(Self {
            control,
            signals,
            environment: environment?,
            search_path: path
                .map(|(_, path)| {
                    path.split(':')
                        .filter(|part| !part.is_empty())
                        .map(str::to_owned)
                        .collect()
                })
                .unwrap_or_default(),
            own_program: (text(spec.own_program.0.clone())?, text(own_path)?),
            running: BTreeMap::new(),
        })
    }

    /// Until the owner has gone.
    fn run(&mut self) {
        let mut buffer = Vec::new();
        loop {
            let mut watched = [
                PollFd::new(self.control, PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let has = |index: usize| watched[index].revents().is_some_and(|events| !events.is_empty());
            let (request, ended) = (has(0), has(1));
            if ended {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                if self.reap().is_err() {
                    return;
                }
            }
            if request {
                match protocol::receive_order(self.control, &mut buffer) {
                    Ok(Some(order)) => {
                        if self.take(order).is_err() {
                            return;
                        }
                    }
                    Ok(None) | Err(_) => return,
                }
            }
        }
    }

    fn answer(&self, answer: Answer) -> io::Result<()> {
        protocol::say(self.control, &Message::Answer(answer))
    }

    fn take(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Run { id, texts, streams } => match self.start(&texts, &streams) {
                Ok(pid) => {
                    self.running.insert(pid, id);
                    Ok(())
                }
                Err(NotStarted::NotFound) => self.answer(Answer::NotFound { id }),
                Err(NotStarted::Refused(code, path)) => {
                    let path = path.into_bytes();
                    self.answer(Answer::Refused { id, code, path })
                }
            },
            Order::Signal { id, signal } => {
                let group = self.running.iter().find(|(_, number)| **number == id);
                if let (Some((pid, _)), Ok(signal)) = (group, Signal::try_from(signal)) {
                    // It has not been waited for, so the number is its own; it may be about to end.
                    _ = kill(Pid::from_raw(-*pid), signal);
                }
                Ok(())
            }
            Order::Socket { id, version_6 } => {
                let family = if version_6 {
                    AddressFamily::Inet6
                } else {
                    AddressFamily::Inet
                };
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                let made = socket(family, SockType::Stream, flags, None);
                self.hand_over(id, made, Vec::new())
            }
            Order::Open { id, path } => {
                let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
                let opened = nix::fcntl::open(std::ffi::OsStr::from_bytes(&path), flags, Mode::empty());
                self.hand_over(id, opened, path)
            }
        }
    }

    fn hand_over(&self, id: u64, made: nix::Result<OwnedFd>, path: Vec<u8>) -> io::Result<()> {
        self.answer(match made {
            Ok(descriptor) => Answer::Descriptor { id, descriptor },
            Err(error) => Answer::Refused {
                id,
                code: error as i32,
                path,
            },
        })
    }

    fn start(&self, texts: &Texts, streams: &[OwnedFd]) -> Result<i32, NotStarted> {
        let arguments: Vec<&CStr> = texts.arguments().filter_map(c_str).collect();
        let program = self.find(arguments.first().copied().unwrap_or_default())?;
        let environment: Vec<&CStr> = self
            .environment
            .iter()
            .map(CString::as_c_str)
            .chain(texts.environment().filter_map(c_str))
            .collect();
        spawn(&program, &arguments, &environment, streams).map_err(|code| NotStarted::Refused(code, program))
    }

    fn find(&self, name: &CStr) -> Result<CString, NotStarted> {
        if name.to_bytes().contains(&b'/') {
            return Ok(name.to_owned());
        }
        let executable = |directory: &String| {
            let path = [directory.as_bytes(), b"/", name.to_bytes()].concat();
            let path = CString::new(path).ok()?;
            is_executable(&path).then_some(path)
        };
        let found = self.search_path.iter().find_map(executable);
        match found {
            Some(path) if !name.is_empty() => Ok(path),
            _ if name == self.own_program.0.as_c_str() => Ok(self.own_program.1.clone()),
            _ => Err(NotStarted::NotFound),
        }
    }

    /// Takes the status of everything that has ended.
    fn reap(&mut self) -> io::Result<()> {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while let Ok(status) = waitid(Id::All, look) {
            let Some(pid) = status.pid() else { break };
            let id = self.running.remove(&pid.as_raw());
            if id.is_some() {
                // While its number is still taken: what a program has left behind ends with it.
                _ = kill(Pid::from_raw(-pid.as_raw()), Signal::SIGKILL);
            }
            let mut status = 0;
            // SAFETY: one integer that lives through the call.
            unsafe { libc::waitpid(pid.as_raw(), &raw mut status, 0) };
            if let Some(id) = id {
                self.answer(Answer::Exited { id, status })?;
            }
        }
        Ok(())
    }

    /// Without a pid namespace nobody else kills what still runs.
    fn kill_all(&self) {
        for pid in self.running.keys() {
            _ = kill(Pid::from_raw(-*pid), Signal::SIGKILL);
        }
    }
}

/// Why there is no process.
enum NotStarted {
    NotFound,
    /// Error number and file.
    Refused(i32, CString),
}

fn c_str(bytes: &[u8]) -> Option<&CStr> {
    CStr::from_bytes_with_nul(bytes).ok()
}

fn is_executable(path: &CStr) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Starts a program in a process group of its own, with no signal blocked or ignored. `posix_spawn` shares the memory
/// until the program runs, which makes it several times faster than a fork.
fn spawn(
    program: &CStr,
    arguments: &[&CStr],
    environment: &[&CStr],
    streams: &[OwnedFd],
) -> Result<i32, i32> {
    let pointers = |texts: &[&CStr]| -> Vec<*mut libc::c_char> {
        let ends = std::iter::once(std::ptr::null_mut());
        texts
            .iter()
            .map(|text| text.as_ptr().cast_mut())
            .chain(ends)
            .collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    let flags = libc::POSIX_SPAWN_SETPGROUP | libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
    let mut pid = 0;
    // SAFETY: both structures are initialised before their use and destroyed after it; the arrays end with null
    // pointers, and what they point to lives through the call. Signal sets are plain memory.
    let code = unsafe {
        let mut actions = std::mem::zeroed::<libc::posix_spawn_file_actions_t>();
        let mut attributes = std::mem::zeroed::<libc::posix_spawnattr_t>();
        let (mut none, mut all) = (
            std::mem::zeroed::<libc::sigset_t>(),
            std::mem::zeroed::<libc::sigset_t>(),
        );
        libc::sigemptyset(&raw mut none);
        libc::sigfillset(&raw mut all);
        libc::posix_spawn_file_actions_init(&raw mut actions);
        libc::posix_spawnattr_init(&raw mut attributes);
        libc::posix_spawnattr_setflags(&raw mut attributes, flags as libc::c_short);
        libc::posix_spawnattr_setpgroup(&raw mut attributes, 0);
        libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const none);
        libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const all);
        for (target, stream) in (0..).zip(streams) {
            libc::posix_spawn_file_actions_adddup2(&raw mut actions, stream.as_raw_fd(), target);
        }
        let code = libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            &raw const actions,
            &raw const attributes,
            arguments.as_ptr(),
            environment.as_ptr(),
        );
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        libc::posix_spawnattr_destroy(&raw mut attributes);
        code
    };
    if code == 0 { Ok(pid) } else { Err(code) }
}
