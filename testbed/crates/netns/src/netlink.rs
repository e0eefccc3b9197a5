//! A route netlink socket: pipelined requests, acknowledgements with the kernel's own sentence, dumps.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkSerializable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::attribute::{align, find, read_text, read_u16, read_u32};
use crate::error::NetnsError;

/// Length, type, flags, sequence number, port.
const HEADER: usize = 16;
/// How many requests are sent before their acknowledgements are read. Each acknowledgement is charged with about a kilobyte to the
/// receive buffer (212,992 bytes unless the system says otherwise), so this leaves room.
const WINDOW: usize = 64;
/// Room for one answer of a dump; the kernel never sends more than 32 KiB at once.
const ANSWER: usize = 64 * 1024;
/// In the flags of an error message: the request is echoed as its header only.
const CAPPED: u16 = 0x100;
/// In the flags of an error message: attributes follow.
const EXTENDED: u16 = 0x200;
/// The attribute with the kernel's sentence.
const SENTENCE: u16 = 1;

/// One change asked of the kernel.
#[derive(Debug)]
pub(crate) struct Request {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
    operation: String,
    /// The namespace meant, where it is not the socket's.
    place: Option<String>,
}

impl Request {
    /// A request from a typed message. `operation` completes the sentence "cannot …".
    pub(crate) fn new(message: &RouteNetlinkMessage, flags: u16, operation: String) -> Self {
        let mut body = vec![0; message.buffer_len()];
        message.serialize(&mut body);
        Self::raw(message.message_type(), body, flags, operation)
    }

    /// A request from bytes.
    pub(crate) fn raw(kind: u16, body: Vec<u8>, flags: u16, operation: String) -> Self {
        Self {
            kind,
            flags,
            body,
            operation,
            place: None,
        }
    }

    /// Names another namespace in errors than that of the socket it is sent from.
    pub(crate) fn about(self, namespace: &str) -> Self {
        Self {
            place: Some(namespace.to_string()),
            ..self
        }
    }

    /// Type, flags and payload.
    #[cfg(test)]
    pub(crate) fn parts(&self) -> (u16, u16, &[u8]) {
        (self.kind, self.flags, &self.body)
    }

    fn append_to(&self, buffer: &mut Vec<u8>, sequence: u32, extra_flags: u16) {
        let flags = self.flags | NLM_F_REQUEST | extra_flags;
        let length = u32::try_from(HEADER + self.body.len()).unwrap_or(u32::MAX);
        buffer.extend_from_slice(&length.to_ne_bytes());
        buffer.extend_from_slice(&self.kind.to_ne_bytes());
        buffer.extend_from_slice(&flags.to_ne_bytes());
        buffer.extend_from_slice(&sequence.to_ne_bytes());
        buffer.extend_from_slice(&0_u32.to_ne_bytes());
        buffer.extend_from_slice(&self.body);
        buffer.resize(align(buffer.len()), 0);
    }
}

/// A socket that stays bound to the namespace it was opened in.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: Socket,
    namespace: String,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket in the calling thread's namespace, which is called `namespace` in messages.
    pub(crate) fn open(namespace: &str) -> Result<Self, NetnsError> {
        let open = || -> io::Result<Socket> {
            let socket = Socket::new(NETLINK_ROUTE)?;
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(socket)
        };
        let socket = open().map_err(|source| system("open a netlink socket", namespace, source))?;
        Ok(Self {
            socket,
            namespace: namespace.to_string(),
            sequence: 0,
        })
    }

    /// Sends all requests and returns once every one is done. Stops at the first window that has a failure; the error is that of
    /// the first request that failed.
    pub(crate) fn execute(&mut self, requests: &[Request]) -> Result<(), NetnsError> {
        let mut buffer = Vec::new();
        for window in requests.chunks(WINDOW) {
            buffer.clear();
            let first = self.sequence.wrapping_add(1);
            for request in window {
                self.sequence = self.sequence.wrapping_add(1);
                request.append_to(&mut buffer, self.sequence, NLM_F_ACK);
            }
            self.send(&buffer)?;
            self.await_acknowledgements(window, first)?;
        }
        Ok(())
    }

    /// Asks for a list and returns the payload of every answer.
    pub(crate) fn dump(&mut self, request: &Request) -> Result<Vec<Vec<u8>>, NetnsError> {
        let mut buffer = Vec::new();
        self.sequence = self.sequence.wrapping_add(1);
        request.append_to(&mut buffer, self.sequence, NLM_F_DUMP);
        self.send(&buffer)?;
        let mut answers = Vec::new();
        loop {
            self.receive(&mut buffer)?;
            for answer in messages(&buffer).filter(|answer| answer.sequence == self.sequence) {
                match answer.kind {
                    NLMSG_DONE => return Ok(answers),
                    NLMSG_ERROR => self.check(&answer, request)?,
                    _ => answers.push(answer.payload.to_vec()),
                }
            }
        }
    }

    /// The descriptor, for requests that are made by `ioctl` in the socket's namespace.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The descriptor, to wait on.
    pub(crate) fn borrowed(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The socket itself, to listen to notifications.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The name of the namespace in messages.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    fn await_acknowledgements(&self, window: &[Request], first: u32) -> Result<(), NetnsError> {
        let mut failure: Option<(usize, NetnsError)> = None;
        let mut missing = window.len();
        let mut buffer = Vec::new();
        while missing > 0 {
            self.receive(&mut buffer)?;
            for answer in messages(&buffer).filter(|answer| answer.kind == NLMSG_ERROR) {
                let position = answer.sequence.wrapping_sub(first) as usize;
                // An answer to an earlier, abandoned exchange has another number.
                let Some(request) = window.get(position) else {
                    continue;
                };
                missing -= 1;
                if let Err(error) = self.check(&answer, request)
                    && failure.as_ref().is_none_or(|(earlier, _)| position < *earlier)
                {
                    failure = Some((position, error));
                }
            }
        }
        failure.map_or(Ok(()), |(_, error)| Err(error))
    }

    fn check(&self, answer: &Message<'_>, request: &Request) -> Result<(), NetnsError> {
        match answer.error_number() {
            Some(0) => Ok(()),
            Some(errno) => Err(NetnsError::Refused {
                operation: request.operation.clone(),
                namespace: request.place.as_ref().unwrap_or(&self.namespace).clone(),
                errno,
                reason: answer.sentence(),
            }),
            None => Err(NetnsError::Protocol {
                namespace: self.namespace.clone(),
                reason: "an acknowledgement is too short".into(),
            }),
        }
    }

    fn send(&self, buffer: &[u8]) -> Result<(), NetnsError> {
        match retry(|| self.socket.send(buffer, 0)) {
            Ok(sent) if sent == buffer.len() => Ok(()),
            Ok(sent) => Err(NetnsError::Protocol {
                namespace: self.namespace.clone(),
                reason: format!("only {sent} of {} bytes were accepted", buffer.len()),
            }),
            Err(source) => Err(system("send a netlink request", &self.namespace, source)),
        }
    }

    fn receive(&self, buffer: &mut Vec<u8>) -> Result<(), NetnsError> {
        buffer.clear();
        buffer.reserve(ANSWER);
        retry(|| self.socket.recv(buffer, 0))
            .map(drop)
            .map_err(|source| system("receive a netlink answer", &self.namespace, source))
    }
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn system(operation: &str, namespace: &str, source: io::Error) -> NetnsError {
    NetnsError::System {
        operation: operation.into(),
        namespace: namespace.into(),
        source,
    }
}

/// One received message.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// The type.
    pub(crate) kind: u16,
    flags: u16,
    sequence: u32,
    /// What follows the header.
    pub(crate) payload: &'a [u8],
}

impl Message<'_> {
    /// The error number of an error message as a positive number; zero is an acknowledgement.
    pub(crate) fn error_number(&self) -> Option<i32> {
        let code = read_u32(self.payload, 0)?.cast_signed();
        Some(code.saturating_neg())
    }

    /// The kernel's sentence, which follows the echoed request.
    pub(crate) fn sentence(&self) -> Option<String> {
        if self.flags & EXTENDED == 0 {
            return None;
        }
        let echoed = if self.flags & CAPPED != 0 {
            HEADER
        } else {
            align(read_u32(self.payload, 4)? as usize)
        };
        let attributes = self.payload.get(4_usize.checked_add(echoed)?..)?;
        find(attributes, SENTENCE).map(read_text)
    }
}

/// Walks over the messages in a datagram; stops at the first malformed one.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = read_u32(bytes, 0)? as usize;
        let message = Message {
            kind: read_u16(bytes, 4)?,
            flags: read_u16(bytes, 6)?,
            sequence: read_u32(bytes, 8)?,
            payload: bytes.get(HEADER..length)?,
        };
        bytes = bytes.get(align(length)..).unwrap_or_default();
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_message(flags: u16, code: i32, tail: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let length = u32::try_from(HEADER + 4 + HEADER + tail.len()).unwrap();
        bytes.extend_from_slice(&length.to_ne_bytes());
        bytes.extend_from_slice(&NLMSG_ERROR.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&7_u32.to_ne_bytes());
        bytes.extend_from_slice(&0_u32.to_ne_bytes());
        bytes.extend_from_slice(&code.to_ne_bytes());
        bytes.extend_from_slice(&[0; HEADER]);
        bytes.extend_from_slice(tail);
        bytes
    }

    #[test]
    fn the_kernels_sentence_is_found_behind_the_echoed_header() {
        let mut attributes = crate::attribute::Attributes::default();
        attributes.put(2, &4_u32.to_ne_bytes());
        attributes.put_text(SENTENCE, "Specified qdisc kind is unknown");
        let bytes = error_message(CAPPED | EXTENDED, -libc::ENOENT, &attributes.into_bytes());
        let message = messages(&bytes).next().unwrap();
        assert_eq!(message.sequence, 7);
        assert_eq!(message.error_number(), Some(libc::ENOENT));
        assert_eq!(
            message.sentence().as_deref(),
            Some("Specified qdisc kind is unknown")
        );
    }

    #[test]
    fn an_acknowledgement_has_no_sentence() {
        let bytes = error_message(CAPPED, 0, &[]);
        let message = messages(&bytes).next().unwrap();
        assert_eq!(message.error_number(), Some(0));
        assert_eq!(message.sentence(), None);
    }

    #[test]
    fn truncated_messages_are_not_read() {
        let bytes = error_message(0, 0, &[]);
        for length in 0..bytes.len() {
            assert_eq!(messages(&bytes[..length]).count(), 0, "{length}");
        }
        // An uncapped echo that claims to be longer than the message.
        let mut bytes = error_message(EXTENDED, -1, &[]);
        bytes[HEADER + 4..HEADER + 8].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(messages(&bytes).next().unwrap().sentence(), None);
    }
}
