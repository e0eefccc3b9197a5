//! Running one more program in a node, from a process outside it.
//!
//! What happens, and what follows from it:
//! - A copy of the calling process (it may have many threads) enters the node's namespaces and cgroup with system calls
//!   alone, makes the program's process as a *sibling* of itself, and is gone. The program is therefore a child of the
//!   caller, which waits for it directly: no process in between has to pass on signals, stops and exit codes.
//! - Standard input, output and error are the caller's own. A terminal works, with job control, Ctrl-C and window size,
//!   but it is the host's: inside the node `tty` finds no name for it.
//! - The program ends with the caller, even if the caller is killed (`PR_SET_PDEATHSIG`). What the program itself has
//!   started belongs to the node's init then, and lives until the node ends. What is left of a program whose caller was
//!   killed is for the machine's process 1 to reap, and a node is only gone when that is done.
//! - In a frozen node the program does not start until the node thaws.

mod child;
mod plan;
mod report;
mod signals;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, pipe2};
use serde::{Deserialize, Serialize};

use crate::error::{Cannot, ProcessError};
use crate::identity;
use crate::spawner::NodeReference;
use crate::status::ExitStatus;
use crate::sys;
use plan::Plan;
use report::Outcome;
use signals::{Forwarding, SignalsBlocked, Terminal};

/// A program to run in a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments. A program without a slash is looked up in the `PATH` of `env`, inside the node.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Working directory, in the node.
    pub directory: PathBuf,
    /// For a shell that somebody types into: where the caller is in the foreground of its terminal, the program gets a
    /// process group of its own there. A shell hands the terminal back to the group it came from, and the caller's has
    /// no number inside the node.
    pub foreground: bool,
    /// Whether the program joins the node's network and cgroup only: for one that is not among the node's files.
    pub network_only: bool,
}

/// Runs a program in a node and returns its exit code: its own, or 128 + n when signal n ended it. Standard input, output and
/// error are the caller's.
///
/// Blocks until the program has ended. While it runs, SIGHUP, SIGINT, SIGQUIT and SIGTERM that other processes send to
/// the caller go to the program instead; those that the terminal sends reach the program anyway, and the caller ignores
/// them.
///
/// # Errors
/// [`ProcessError::NotExecuted`] when there is no such program or it cannot be executed (see [`ProcessError::shell_code`]),
/// [`ProcessError::Gone`] when the node has ended, [`ProcessError::EmptyCommand`], [`ProcessError::NullByte`], and
/// [`ProcessError::System`] with the step that failed, the working directory among them. (Exit code 125 by convention.)
pub fn execute_in(node: &NodeReference, command: &Command) -> Result<i32, ProcessError> {
    let target = identity::open(node.pid, node.start_time)?.ok_or(ProcessError::Gone { pid: node.pid })?;
    let own_process = sys::pidfd_open(std::process::id() as i32).cannot(|| "open the own process".into())?;
    let terminal = Terminal::remember();
    let mut plan = Plan::new(node, command, target.as_raw_fd(), own_process.as_raw_fd())?;
    plan.foreground = command.foreground && terminal.is_ours();
    let status = run(&plan, command)?;
    terminal.take_back();
    Ok(status.shell_code())
}

fn run(plan: &Plan, command: &Command) -> Result<ExitStatus, ProcessError> {
    let (report, writer) = pipe2(OFlag::O_CLOEXEC).cannot(|| "make a pipe".into())?;
    let entrant = start_entrant(plan, &writer)?;
    drop(writer);
    let outcome = report::read(report);
    wait_child(Id::Pid(entrant))?;
    let program = match outcome? {
        Outcome::Running { program } => program,
        Outcome::NotExecuted { program, error } => {
            wait_child(Id::Pid(program))?;
            return Err(ProcessError::NotExecuted {
                program: command.argv.first().cloned().unwrap_or_default(),
                source: error,
            });
        }
        Outcome::Failed { program, error } => {
            if let Some(program) = program {
                wait_child(Id::Pid(program))?;
            }
            return Err(error);
        }
    };
    // A child of ours keeps its number until we wait for it.
    let process = match sys::pidfd_open(program.as_raw()) {
        Ok(process) => process,
        Err(_) => return wait_child(Id::Pid(program)),
    };
    let forwarding = Forwarding::to(process.as_fd());
    let status = wait_child(Id::PIDFd(process.as_fd()));
    drop(forwarding);
    status
}

fn start_entrant(plan: &Plan, report: &OwnedFd) -> Result<Pid, ProcessError> {
    let mut arguments = sys::empty_clone_arguments();
    arguments.exit_signal = libc::SIGCHLD as u64;
    // A handler of the caller must not run in the copy.
    let _blocked = SignalsBlocked::new()?;
    // SAFETY: a plain fork, whose child does nothing but follow the plan, and that keeps the rules.
    match unsafe { sys::clone3(&mut arguments) }.cannot(|| "start a process".into())? {
        // SAFETY: this is the new process.
        0 => unsafe { child::enter(plan, report.as_raw_fd()) },
        pid => Ok(Pid::from_raw(pid)),
    }
}

fn wait_child(id: Id<'_>) -> Result<ExitStatus, ProcessError> {
    loop {
        let waited = match &id {
            Id::PIDFd(process) => waitid(Id::PIDFd(*process), WaitPidFlag::WEXITED),
            Id::Pid(pid) => waitid(Id::Pid(*pid), WaitPidFlag::WEXITED),
            _ => Err(Errno::EINVAL),
        };
        match waited {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
            Ok(status) => return Ok(ExitStatus::from_wait(status).unwrap_or(ExitStatus::Unknown)),
            // Somebody else in this process waits for all children.
            Err(Errno::ECHILD) => return Ok(ExitStatus::Unknown),
            Err(error) => return Err(io::Error::from(error)).cannot(|| "wait for a process".into()),
        }
    }
}
