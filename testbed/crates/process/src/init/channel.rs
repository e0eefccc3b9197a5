//! Whom init tells what happens, and who may give it orders: the supervisor at the other end of the control socket, or
//! nobody but whoever reads the console. Sending never blocks: a supervisor that does not read must not stop services.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::console;
use crate::error::{Cannot, ProcessError};
use crate::frame::{self, FrameBuffer};
use crate::message::{Notice, Request};
use crate::spec::Event;

/// More than this is not kept for a supervisor that does not read.
const LONGEST_BACKLOG: usize = 1 << 20;

pub(super) struct Channel {
    /// None: the console.
    socket: Option<UnixStream>,
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
        Ok(Self::from(Some(socket)))
    }

    /// No orders; what happens is printed.
    pub(super) fn console() -> Self {
        Self::from(None)
    }

    fn from(socket: Option<UnixStream>) -> Self {
        Self {
            socket,
            incoming: FrameBuffer::default(),
            backlog: Vec::new(),
            lost: 0,
        }
    }

    /// Readable when there are orders; none come from the console.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Is there something to write when the socket has room again?
    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub(super) fn send(&mut self, notice: &Notice) {
        if self.socket.is_none() {
            return console::print(notice);
        }
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
            let Some(socket) = &mut self.socket else { return };
            match socket.write(&self.backlog) {
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
            let Some(socket) = &mut self.socket else {
                return Incoming::Requests(requests);
            };
            match socket.read(&mut bytes) {
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
