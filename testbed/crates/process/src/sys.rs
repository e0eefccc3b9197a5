//! System calls that neither nix nor libc wraps.

use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// linux/sched.h; the constant of libc does not fit its type.
pub(crate) const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let descriptor = check(result)? as RawFd;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// What a fork-like `clone3` made: 0 in the child, the child's pid in the caller.
///
/// # Safety
/// The child of a process with several threads may only make async-signal-safe calls until it executes a program.
/// `arguments` must not share memory (`CLONE_VM`) or the descriptor table.
pub(crate) unsafe fn clone3(arguments: &mut libc::clone_args) -> io::Result<libc::pid_t> {
    // SAFETY: the structure lives through the call and its size is given; the caller keeps the rest.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_mut(arguments),
            size_of::<libc::clone_args>(),
        )
    };
    match check(result) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) && only_flags(arguments) => {
            // SAFETY: as above.
            unsafe { clone_without_structure(arguments) }
        }
        made => made.map(|pid| pid as libc::pid_t),
    }
}

/// Container engines forbid `clone3` as if it did not exist, since their filters cannot look into its structure. The older
/// call does the same for arguments that are flags and a signal.
///
/// # Safety
/// As [`clone3`].
unsafe fn clone_without_structure(arguments: &libc::clone_args) -> io::Result<libc::pid_t> {
    let flags = arguments.flags | arguments.exit_signal;
    // SAFETY: without a stack the child goes on with a copy of ours; the caller keeps the rest.
    check(unsafe { libc::syscall(libc::SYS_clone, flags as libc::c_ulong, 0, 0, 0, 0) })
        .map(|pid| pid as libc::pid_t)
}

/// Whether nothing but flags and the signal is given, and only flags that are as old as the older call.
fn only_flags(arguments: &libc::clone_args) -> bool {
    let libc::clone_args {
        flags,
        pidfd,
        stack,
        tls,
        set_tid,
        ..
    } = *arguments;
    flags >> 32 == 0 && [pidfd, stack, tls, set_tid] == [0; 4]
}

/// All fields zero: a plain fork that sends no signal at its end.
pub(crate) fn empty_clone_arguments() -> libc::clone_args {
    // SAFETY: a structure of integers, for which zero is a valid value.
    unsafe { std::mem::zeroed() }
}

pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: two integers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

pub(crate) fn pidfd_send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let information: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: the descriptor is borrowed for the call; a null siginfo asks for the default one.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            information,
            0,
        )
    })
    .map(|_| ())
}

/// A detached copy of the mount at `path` (with what is mounted below, if `recursive`). Its root is `path` itself, so
/// `..` leads nowhere.
pub(crate) fn open_tree(path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= libc::AT_RECURSIVE as libc::c_uint;
    }
    // SAFETY: the path is a C string that lives through the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Attaches a detached mount at `target`.
pub(crate) fn move_mount(tree: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
    let target = c_path(target)?;
    // SAFETY: both paths are C strings that live through the call; the descriptor is borrowed for it.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(|_| ())
}

/// Makes a mount tree read-only, with everything mounted in it. Other flags stay as they are.
pub(crate) fn make_read_only(tree: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the structure lives through the call and its size is given; the descriptor is borrowed for it.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            std::ptr::from_ref(&attributes),
            size_of::<libc::mount_attr>(),
        )
    })
    .map(|_| ())
}
