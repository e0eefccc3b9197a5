//! Steps of a process that is a copy of one thread of a process that may have many: async-signal-safe calls only, no
//! allocation.

use std::ffi::CStr;
use std::os::fd::RawFd;

/// Above every descriptor that gets a fixed number.
const OUT_OF_THE_WAY: RawFd = 10;

/// Handlers are functions of another program, and ignored signals would stay ignored.
///
/// # Safety
/// Only in a new process that will execute a program.
pub(crate) unsafe fn reset_signal_handlers() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is valid for every signal; those that cannot be changed are refused without harm.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Has the process of this pidfd ended?
///
/// # Safety
/// Async-signal-safe; `process` must be open.
pub(crate) unsafe fn has_ended(process: RawFd) -> bool {
    let mut poll = libc::pollfd {
        fd: process,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one structure, which lives through the call.
    unsafe { libc::poll(&raw mut poll, 1, 0) > 0 }
}

/// Moves the calling process into the cgroup with this `cgroup.procs`.
///
/// # Safety
/// Async-signal-safe.
pub(crate) unsafe fn join_cgroup(file: &CStr) -> bool {
    // SAFETY: plain system calls on strings that live through them. 0 means the writer itself.
    unsafe {
        let procs = libc::open(file.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if procs < 0 {
            return false;
        }
        let written = libc::write(procs, c"0".as_ptr().cast(), 1);
        let code = *libc::__errno_location();
        libc::close(procs);
        *libc::__errno_location() = code;
        written == 1
    }
}

/// Puts each descriptor at its number and closes all above the last.
///
/// # Safety
/// Only in a new process whose descriptor table is its own.
pub(crate) unsafe fn place_descriptors<const COUNT: usize>(wanted: [(RawFd, RawFd); COUNT]) -> bool {
    let mut moved = [0; COUNT];
    let mut last = 2;
    // SAFETY: plain system calls on numbers.
    unsafe {
        // A source may have the number that another one is wanted at: first all go above those numbers.
        for (place, (source, target)) in moved.iter_mut().zip(wanted) {
            *place = libc::fcntl(source, libc::F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
            if *place < 0 {
                return false;
            }
            last = last.max(target);
        }
        for (source, (_, target)) in moved.into_iter().zip(wanted) {
            if libc::dup2(source, target) < 0 {
                return false;
            }
        }
        libc::syscall(libc::SYS_close_range, last + 1, libc::c_uint::MAX, 0) == 0
    }
}

/// Takes a capability out of the bounding set of the calling thread. False: this kernel has no such capability.
///
/// # Errors
/// The error number.
///
/// # Safety
/// Async-signal-safe.
pub(crate) unsafe fn drop_from_bounding_set(capability: u32) -> Result<bool, i32> {
    // SAFETY: integers only.
    unsafe {
        if libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) == 0 {
            return Ok(true);
        }
        match *libc::__errno_location() {
            libc::EINVAL => Ok(false),
            code => Err(code),
        }
    }
}

/// `struct __user_cap_header_struct` of linux/capability.h.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`, one for 32 capabilities.
#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Empties the inheritable set: a program that root executes gets it *besides* the bounding set.
///
/// # Safety
/// Async-signal-safe.
pub(crate) unsafe fn clear_inheritable_capabilities() -> bool {
    let mut header = CapabilityHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let mut data = [CapabilityData {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    }; 2];
    // SAFETY: both structures have the form that version 3 says and live through the calls.
    unsafe {
        if libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) != 0 {
            return false;
        }
        data[0].inheritable = 0;
        data[1].inheritable = 0;
        libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) == 0
    }
}

/// Empties all three sets.
///
/// # Safety
/// Async-signal-safe.
pub(crate) unsafe fn drop_all_capabilities() -> bool {
    let mut header = CapabilityHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let none = [CapabilityData {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    }; 2];
    // SAFETY: both structures have the form that version 3 says and live through the call.
    unsafe { libc::syscall(libc::SYS_capset, &raw mut header, none.as_ptr()) == 0 }
}
