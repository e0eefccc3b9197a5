//! From the copy of the caller to the program: async-signal-safe calls only, no allocation.

use std::os::fd::RawFd;

use super::plan::Plan;
use super::report::{self, FAILED, NOT_EXECUTED, STARTED};
use crate::raw;
use crate::sys;

/// Where the descriptors are that are needed until the program runs.
const REPORT: RawFd = 3;
const NODE: RawFd = 4;
const CALLER: RawFd = 5;

/// Enters the node, starts the program's process and ends.
///
/// # Safety
/// Only in a new process with a memory and a descriptor table of its own.
pub(super) unsafe fn enter(plan: &Plan, report: RawFd) -> ! {
    // SAFETY: the same conditions hold for all of it.
    unsafe {
        raw::reset_signal_handlers();
        // The node's processes will see this one: they must not find their way out through its `/proc` entry.
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        for file in &plan.cgroup_files {
            if !raw::join_cgroup(file) {
                fail(report, report::JOIN_CGROUP);
            }
        }
        let wanted = [
            (0, 0),
            (1, 1),
            (2, 2),
            (report, REPORT),
            (plan.node, NODE),
            (plan.caller, CALLER),
        ];
        if !raw::place_descriptors(wanted) {
            fail(report, report::PLACE_DESCRIPTORS);
        }
        if libc::setns(NODE, plan.namespaces) != 0 {
            fail(REPORT, report::ENTER_NAMESPACES);
        }
        let mut arguments = sys::empty_clone_arguments();
        // A child of the caller, in the pid namespace that was entered. Its end is told as ours is.
        arguments.flags = libc::CLONE_PARENT as u64;
        match sys::clone3(&mut arguments) {
            Ok(0) => become_program(plan),
            Ok(pid) => report::write(REPORT, STARTED, pid, 0),
            Err(_) => fail(REPORT, report::START),
        }
        libc::_exit(0)
    }
}

/// # Safety
/// As [`enter`].
unsafe fn become_program(plan: &Plan) -> ! {
    // SAFETY: the same conditions hold for all of it; strings and arrays of the plan live until the program runs.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
            fail(REPORT, report::START);
        }
        // Its parent is in another pid namespace, so `getppid` cannot tell whether it ended before that call.
        if raw::has_ended(CALLER) {
            libc::_exit(1);
        }
        if libc::chdir(plan.directory.as_ptr()) != 0 {
            fail(REPORT, report::CHANGE_DIRECTORY);
        }
        if !limit_privileges(plan.capabilities) {
            fail(REPORT, report::LIMIT_PRIVILEGES);
        }
        if plan.foreground {
            // SIGTTOU is still blocked. A terminal that was hung up meanwhile is none of the program's troubles.
            libc::setpgid(0, 0);
            libc::tcsetpgrp(0, libc::getpid());
        }
        libc::syscall(
            libc::SYS_close_range,
            REPORT,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        let code = execute(plan);
        report::write(REPORT, NOT_EXECUTED, code, 0);
        libc::_exit(1)
    }
}

/// Tries every candidate; returns the error number that says most. A directory that may not be searched, such as another user's,
/// has no program for us: to a shell there is none either.
///
/// # Safety
/// As [`enter`].
unsafe fn execute(plan: &Plan) -> i32 {
    let mut worst = libc::ENOENT;
    for candidate in &plan.candidates {
        // SAFETY: strings and arrays of the plan, which end as `execve` wants.
        let (code, is_there) = unsafe {
            libc::execve(
                candidate.as_ptr(),
                plan.arguments.as_ptr(),
                plan.environment.as_ptr(),
            );
            let code = *libc::__errno_location();
            (code, libc::access(candidate.as_ptr(), libc::F_OK) == 0)
        };
        let is_missing = matches!(code, libc::ENOENT | libc::ENOTDIR);
        if !is_missing && (is_there || !plan.is_search) {
            worst = code;
        }
    }
    worst
}

/// # Safety
/// Async-signal-safe.
unsafe fn limit_privileges(kept: u64) -> bool {
    // SAFETY: integers, and structures of the functions' own.
    unsafe {
        if !raw::clear_inheritable_capabilities() {
            return false;
        }
        for capability in 0..64 {
            if kept & (1 << capability) == 0 {
                match raw::drop_from_bounding_set(capability) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(_) => return false,
                }
            }
        }
    }
    true
}

/// # Safety
/// Async-signal-safe; `report` must be open. Does not return.
unsafe fn fail(report: RawFd, step: i32) -> ! {
    // SAFETY: the same conditions.
    unsafe {
        let code = *libc::__errno_location();
        report::write(report, FAILED, step, code);
        libc::_exit(1)
    }
}
