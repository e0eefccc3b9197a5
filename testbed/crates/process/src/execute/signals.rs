//! Signals of the caller while a program runs in a node, and its terminal.

use std::io::{IsTerminal, stdin};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

use crate::error::{Cannot, ProcessError};

const FORWARDED: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// Descriptors of the programs that get the caller's signals. Those beyond are not forwarded to.
static PROGRAMS: [AtomicI32; 64] = [const { AtomicI32::new(-1) }; 64];
/// How many there are, and what the signals did before the first.
static INSTALLED: Mutex<(usize, Vec<(Signal, SigAction)>)> = Mutex::new((0, Vec::new()));

/// Runs as a signal handler: atomics and one system call.
extern "C" fn forward(signal: libc::c_int, information: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid structure to a handler installed with SA_SIGINFO.
    if unsafe { (*information).si_code } == libc::SI_KERNEL {
        // From the terminal, which sends it to the program too.
        return;
    }
    // SAFETY: `errno` belongs to this thread; it is put back because the interrupted code may be about to read it.
    let before = unsafe { *libc::__errno_location() };
    for program in &PROGRAMS {
        let process = program.load(Ordering::Acquire);
        if process >= 0 {
            let default: *const libc::siginfo_t = std::ptr::null();
            // SAFETY: integers and a null pointer. A program that has ended needs no signal.
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process, signal, default, 0) };
        }
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = before };
}

/// While it lives, the caller's signals go to a program.
pub(super) struct Forwarding {
    slot: Option<&'static AtomicI32>,
}

impl Forwarding {
    pub(super) fn to(program: BorrowedFd<'_>) -> Self {
        let number = program.as_raw_fd();
        let take = |slot: &&AtomicI32| {
            slot.compare_exchange(-1, number, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        let slot = PROGRAMS.iter().find(take);
        if slot.is_some() {
            install();
        }
        Self { slot }
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            uninstall();
            slot.store(-1, Ordering::Release);
        }
    }
}

fn install() {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    installed.0 += 1;
    if installed.0 > 1 {
        return;
    }
    let action = SigAction::new(
        SigHandler::SigAction(forward),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    for signal in FORWARDED {
        // SAFETY: the handler makes async-signal-safe calls only.
        let Ok(before) = (unsafe { sigaction(signal, &action) }) else {
            continue;
        };
        if matches!(before.handler(), SigHandler::SigIgn) {
            // As under nohup: stays ignored.
            // SAFETY: puts back what was there.
            _ = unsafe { sigaction(signal, &before) };
        } else {
            installed.1.push((signal, before));
        }
    }
}

fn uninstall() {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    installed.0 -= 1;
    if installed.0 == 0 {
        for (signal, before) in installed.1.drain(..) {
            // SAFETY: puts back what was there.
            _ = unsafe { sigaction(signal, &before) };
        }
    }
}

/// While it lives, the calling thread takes no signals.
pub(super) struct SignalsBlocked {
    before: SigSet,
}

impl SignalsBlocked {
    pub(super) fn new() -> Result<Self, ProcessError> {
        let before = SigSet::thread_get_mask().cannot(|| "read the signal mask".into())?;
        SigSet::all()
            .thread_set_mask()
            .cannot(|| "block signals".into())?;
        Ok(Self { before })
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // A mask that was in force can be set again.
        _ = self.before.thread_set_mask();
    }
}

/// The terminal's foreground group, if that is the caller's own.
pub(super) struct Terminal {
    group: Option<Pid>,
}

impl Terminal {
    pub(super) fn remember() -> Self {
        let input = stdin();
        let group = if input.is_terminal() {
            tcgetpgrp(&input).ok()
        } else {
            None
        };
        Self {
            group: group.filter(|group| *group == getpgrp()),
        }
    }

    /// Whether the caller is in the foreground of its terminal.
    pub(super) fn is_ours(&self) -> bool {
        self.group.is_some()
    }

    /// A shell makes its own group the foreground one and cannot name the caller's when it leaves: that group is outside
    /// its pid namespace. Without this the caller's next read would stop it.
    pub(super) fn take_back(&self) {
        if let Some(group) = self.group
            && let Ok(_blocked) = SignalsBlocked::new()
        {
            // A terminal that was hung up has no foreground.
            _ = tcsetpgrp(stdin(), group);
        }
    }
}
