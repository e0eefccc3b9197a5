//! Socket options that no safe wrapper has.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd};

use libc::{c_int, c_void, socklen_t};

/// Types that the kernel may read from or write to memory byte by byte: any bytes are a valid value.
pub(super) trait PlainData {}
impl PlainData for c_int {}
impl PlainData for libc::c_uint {}
impl PlainData for libc::tpacket_stats {}

/// Sets a socket option.
pub(super) fn set_option<T: PlainData>(
    socket: impl AsFd,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let length = size_of::<T>() as socklen_t;
    // SAFETY: `value` is `length` readable bytes for the time of the call, and the descriptor is open.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    done(result)
}

/// Reads a socket option.
pub(super) fn get_option<T: PlainData>(socket: impl AsFd, level: c_int, name: c_int) -> io::Result<T> {
    let mut length = size_of::<T>() as socklen_t;
    // SAFETY: all bytes zero is a valid value, as `PlainData` promises.
    let mut value: T = unsafe { zeroed() };
    let target: *mut c_void = std::ptr::from_mut(&mut value).cast();
    // SAFETY: `target` points to `length` writable bytes; the kernel writes no more than that.
    let result =
        unsafe { libc::getsockopt(socket.as_fd().as_raw_fd(), level, name, target, &raw mut length) };
    done(result).map(|()| value)
}

/// Attaches a classic BPF program.
pub(super) fn set_program(
    socket: impl AsFd,
    level: c_int,
    name: c_int,
    program: &[libc::sock_filter],
) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut(),
    };
    let size = size_of::<libc::sock_fprog>() as socklen_t;
    // SAFETY: the kernel copies the program, which lives until the call returns, and does not write to it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const program).cast(),
            size,
        )
    };
    done(result)
}

fn done(result: c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
