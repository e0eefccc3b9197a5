//! Between `clone3` and `execve`: the process is a copy of one thread of a process that has many. Locks may be held by
//! threads that do not exist here, so nothing allocates and nothing but async-signal-safe calls is made.

use std::ffi::CStr;
use std::os::fd::RawFd;

use crate::message::{CONFIGURATION_DESCRIPTOR, CONTROL_DESCRIPTOR, LIFELINE_DESCRIPTOR};
use crate::raw;

pub(super) struct ChildPlan<'a> {
    pub(super) executable: &'a CStr,
    /// Ends with a null pointer.
    pub(super) arguments: Vec<*const libc::c_char>,
    pub(super) cgroup_files: Vec<&'a CStr>,
    pub(super) network_namespace: RawFd,
    pub(super) configuration: RawFd,
    pub(super) lifeline: RawFd,
    pub(super) control: RawFd,
    pub(super) null: RawFd,
    /// A pidfd of the process that starts us.
    pub(super) own_process: RawFd,
}

impl ChildPlan<'_> {
    /// Becomes the init, or reports why not and ends.
    ///
    /// # Safety
    /// Only in a new process with a memory and a descriptor table of its own.
    pub(super) unsafe fn execute(&self) -> ! {
        // SAFETY: the same conditions.
        let (step, control) = unsafe { self.steps() };
        let code = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        // SAFETY: the same conditions.
        unsafe {
            report(control, step, code);
            libc::_exit(1)
        }
    }

    /// The step that failed, `errno` says why; and where the control socket is by then.
    ///
    /// # Safety
    /// As [`ChildPlan::execute`].
    unsafe fn steps(&self) -> (&'static str, RawFd) {
        // SAFETY: plain system calls on descriptors and strings that live through them.
        unsafe {
            raw::reset_signal_handlers();
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return ("ask for a signal at the supervisor's end", self.control);
            }
            // If the parent ended before that call, no signal comes. `getppid` is 0 in a new pid namespace either way,
            // so the parent's descriptor is asked.
            if raw::has_ended(self.own_process) {
                libc::_exit(1);
            }
            if libc::setns(self.network_namespace, libc::CLONE_NEWNET) != 0 {
                return ("enter the network namespace", self.control);
            }
            for file in &self.cgroup_files {
                if !raw::join_cgroup(file) {
                    return ("join the cgroup", self.control);
                }
            }
            let wanted = [
                (self.null, 0),
                (self.null, 1),
                (self.null, 2),
                (self.configuration, CONFIGURATION_DESCRIPTOR),
                (self.lifeline, LIFELINE_DESCRIPTOR),
                (self.control, CONTROL_DESCRIPTOR),
            ];
            if !raw::place_descriptors(wanted) {
                return ("place descriptors", self.control);
            }
            let environment = [std::ptr::null::<libc::c_char>()];
            libc::execve(
                self.executable.as_ptr(),
                self.arguments.as_ptr(),
                environment.as_ptr(),
            );
            ("execute the program of init", CONTROL_DESCRIPTOR)
        }
    }
}

/// Sends `Notice::Failed` without allocating.
///
/// # Safety
/// Async-signal-safe; `control` must be open.
unsafe fn report(control: RawFd, step: &'static str, code: i32) {
    let mut frame = [0_u8; 128];
    let length = failure(&mut frame, step, code);
    // SAFETY: `length` bytes of `frame` were written. Nobody to tell is no reason to stay.
    unsafe { libc::send(control, frame.as_ptr().cast(), length, libc::MSG_NOSIGNAL) };
}

/// Writes the frame of `Notice::Failed { step, code }` and returns its length.
fn failure(frame: &mut [u8; 128], step: &str, code: i32) -> usize {
    let mut length = 4;
    let mut append = |bytes: &[u8]| {
        for byte in bytes {
            if length < frame.len() {
                frame[length] = *byte;
                length += 1;
            }
        }
    };
    append(br#"{"Failed":{"step":""#);
    append(step.as_bytes());
    append(br#"","code":"#);
    let mut digits = [0_u8; 10];
    let mut rest = code.unsigned_abs();
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    append(&digits[first..]);
    append(b"}}");
    frame[..4].copy_from_slice(&((length - 4) as u32).to_le_bytes());
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameBuffer;
    use crate::message::Notice;

    #[test]
    fn the_frame_written_by_hand_is_the_one_that_is_read() {
        for wanted in [0, 2, 10, 133] {
            let mut frame = [0; 128];
            let length = failure(&mut frame, "enter the network namespace", wanted);
            let mut buffer = FrameBuffer::default();
            buffer.extend(&frame[..length]);
            match buffer.next::<Notice>().expect("in step") {
                Some(Notice::Failed { step, code }) => {
                    assert_eq!((step.as_str(), code), ("enter the network namespace", wanted));
                }
                other => panic!("unexpected message {other:?}"),
            }
        }
    }
}
