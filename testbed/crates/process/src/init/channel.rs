//! Init's end of the control socket. It never blocks: a supervisor that does not read must not stop services.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use crate::error::{Cannot, ProcessError};
use crate::frame::{self, FrameBuffer};
use crate::message::{Notice, Request};
use crate::spec::Event;

/// More than this is not kept for a supervisor that does not read.
const LONGEST_BACKLOG: usize = 1 << 20;

pub(super) struct Channel {
    socket: UnixStream,
    incoming: FrameBuffer,
    backlog: Vec<u8>,
    lost: u64,
}

/// What reading has found.
pub(super) enum Incoming {
    Requests(Vec<Request>),
    /// The supervisor is gone, or speaks nonsense.
    Closed,
}

impl Channel {
    pub(super) fn new(socket: UnixStream) -> Result<Self, ProcessError> {
        socket
            .set_nonblocking(true)
            .cannot(|| "set up the control socket".into())?;
        Ok(Self {
            socket,
            incoming: FrameBuffer::default(),
            backlog: Vec::new(),
            lost: 0,
        })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Is there something to write when the socket has room again?
    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub(super) fn send(&mut self, notice: &Notice) {
        if self.backlog.len() > LONGEST_BACKLOG {
            self.lost += 1;
            return;
        }
        // Notices are small and plain; one that cannot be written down is lost like one that cannot be kept.
        match frame::encode(notice) {
            Ok(frame) => self.backlog.extend(frame),
            Err(_) => self.lost += 1,
        }
        self.flush();
    }

    pub(super) fn flush(&mut self) {
        while !self.backlog.is_empty() {
            match self.socket.write(&self.backlog) {
                Ok(count) => _ = self.backlog.drain(..count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Full: later. Broken: reading notices the end.
                Err(_) => return,
            }
        }
        self.backlog = Vec::new();
        if self.lost > 0 {
            let text = format!(
                "{} messages of init were lost because nobody read them",
                self.lost
            );
            self.lost = 0;
            self.send(&Notice::Event(Event::Warning { text }));
        }
    }

    pub(super) fn receive(&mut self) -> Incoming {
        let mut requests = Vec::new();
        let mut bytes = [0; 16 << 10];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => return Incoming::Closed,
                Ok(count) => self.incoming.extend(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Incoming::Requests(requests);
                }
                Err(_) => return Incoming::Closed,
            }
            loop {
                match self.incoming.next() {
                    Ok(Some(request)) => requests.push(request),
                    Ok(None) => break,
                    Err(_) => return Incoming::Closed,
                }
            }
        }
    }
}
