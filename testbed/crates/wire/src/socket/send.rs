//! Sending frames in batches.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

use libc::{iovec, mmsghdr, sockaddr_ll};

use super::receive::empty_header;
use super::{Lane, link_address};
use crate::shard::Outgoing;

/// The kernel's structures for sending; built anew for each call.
#[derive(Default)]
pub(crate) struct SendBatch {
    addresses: Vec<sockaddr_ll>,
    vectors: Vec<iovec>,
    messages: Vec<mmsghdr>,
}

impl SendBatch {
    /// Sends all frames, each through its interface. The outcome of each is told by its place.
    pub(crate) fn send(
        &mut self,
        lane: &Lane,
        frames: &[Outgoing],
        mut outcome: impl FnMut(usize, io::Result<()>),
    ) {
        self.prepare(frames);
        let mut at = 0;
        while at < self.messages.len() {
            let rest = &mut self.messages[at..];
            // SAFETY: each header points to an address and one I/O vector of this batch, each vector to a
            // frame of `frames`, all with their true lengths and untouched until the call returns. The kernel
            // reads through these pointers and writes to `msg_len` only.
            let sent = unsafe {
                libc::sendmmsg(
                    lane.as_fd().as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as u32,
                    libc::MSG_DONTWAIT,
                )
            };
            if sent <= 0 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    outcome(at, Err(error));
                    at += 1;
                }
                continue;
            }
            for _ in 0..sent {
                outcome(at, Ok(()));
                at += 1;
            }
        }
    }

    fn prepare(&mut self, frames: &[Outgoing]) {
        self.addresses.clear();
        self.vectors.clear();
        self.messages.clear();
        self.addresses
            .extend(frames.iter().map(|outgoing| link_address(outgoing.output, 0)));
        self.vectors.extend(frames.iter().map(|outgoing| {
            let bytes = outgoing.departure.packet.frame.bytes();
            iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            }
        }));
        for (address, vector) in self.addresses.iter_mut().zip(&mut self.vectors) {
            let mut header = empty_header();
            header.msg_name = std::ptr::from_mut(address).cast();
            header.msg_namelen = size_of::<sockaddr_ll>() as u32;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            self.messages.push(mmsghdr {
                msg_hdr: header,
                msg_len: 0,
            });
        }
    }
}
