//! What goes over the control socket: one message per packet, its kind in the first byte.

use std::ffi::OsStr;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The largest message in a packet; a larger request travels in a file.
const LARGEST: usize = 64 * 1024;
/// Most descriptors of one message: the standard three, and the file of a large request.
const DESCRIPTORS: usize = 4;

const RUN: u8 = b'R';
const RUN_IN_FILE: u8 = b'M';
const SIGNAL: u8 = b'K';
const SOCKET: u8 = b'S';
const OPEN: u8 = b'O';
const STARTED: u8 = b'P';
const READY: u8 = b'Y';
const FAILED: u8 = b'F';
const EXITED: u8 = b'X';
const NOT_RUN: u8 = b'E';
const NOT_FOUND: u8 = b'N';
const DESCRIPTOR: u8 = b'D';

/// What a launcher is asked for. Numbers are the owner's choice and come back in the answers.
#[derive(Debug)]
pub enum Request<'a> {
    /// Start a program in a process group of its own; answered when it has ended, or when it cannot be started.
    Run {
        /// Number of this program.
        id: u64,
        /// The program and its arguments. Without a slash it is looked up in the sandbox' `PATH`.
        arguments: &'a [&'a OsStr],
        /// `NAME=value`, in addition to the environment of the sandbox.
        environment: &'a [&'a OsStr],
        /// Standard input, output and error.
        streams: [BorrowedFd<'a>; 3],
    },
    /// Send a signal to a program and all of its process group. One that has ended is none.
    Signal {
        /// Number of the program.
        id: u64,
        /// The signal.
        signal: i32,
    },
    /// Make a TCP socket, not connected yet, in the sandbox' network.
    Socket {
        /// Comes back in the answer.
        id: u64,
        /// Whether for IPv6.
        version_6: bool,
    },
    /// Open a file for reading.
    Open {
        /// Comes back in the answer.
        id: u64,
        /// Where it is in the sandbox.
        path: &'a OsStr,
    },
}

/// What a launcher answers.
#[derive(Debug)]
pub enum Answer {
    /// A program has ended; what was left of its process group has been killed.
    Exited {
        /// Number of the program.
        id: u64,
        /// The status as `waitpid` tells it.
        status: i32,
    },
    /// There is no program of this name in the search path.
    NotFound {
        /// Number of the request.
        id: u64,
    },
    /// The kernel refused.
    Refused {
        /// Number of the request.
        id: u64,
        /// The error number.
        code: i32,
        /// The file it is about; empty when it is about none.
        path: Vec<u8>,
    },
    /// A socket or an open file.
    Descriptor {
        /// Number of the request.
        id: u64,
        /// It.
        descriptor: OwnedFd,
    },
}

/// Everything that a launcher says.
#[derive(Debug)]
pub(super) enum Message {
    /// From the process that made the launcher: the launcher's number.
    Started { pid: i32 },
    /// The launcher takes requests.
    Ready,
    /// There will be no sandbox.
    Failed { reason: String },
    /// After that.
    Answer(Answer),
}

/// A request as the launcher sees it.
#[derive(Debug)]
pub(super) enum Order {
    Run {
        id: u64,
        texts: Texts,
        streams: Vec<OwnedFd>,
    },
    Signal {
        id: u64,
        signal: i32,
    },
    Socket {
        id: u64,
        version_6: bool,
    },
    Open {
        id: u64,
        path: Vec<u8>,
    },
}

/// Arguments and environment of a program: texts that end with a null byte, one after the other.
#[derive(Debug)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    start: usize,
    arguments: usize,
}

impl Texts {
    fn new(bytes: Vec<u8>, start: usize) -> Option<Self> {
        let arguments = bytes.get(start..start + 4)?.try_into().ok()?;
        let arguments = u32::from_le_bytes(arguments) as usize;
        let start = start + 4;
        let complete = bytes.len() == start || bytes.last() == Some(&0);
        complete.then_some(Texts {
            bytes,
            start,
            arguments,
        })
    }

    /// Each with its null byte.
    fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes[self.start..].split_inclusive(|byte| *byte == 0)
    }

    pub(super) fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        self.all().take(self.arguments)
    }

    pub(super) fn environment(&self) -> impl Iterator<Item = &[u8]> {
        self.all().skip(self.arguments)
    }
}

pub(super) fn send_request(socket: BorrowedFd<'_>, request: &Request<'_>) -> io::Result<()> {
    let (kind, id) = match request {
        Request::Run { id, .. } => (RUN, id),
        Request::Signal { id, .. } => (SIGNAL, id),
        Request::Socket { id, .. } => (SOCKET, id),
        Request::Open { id, .. } => (OPEN, id),
    };
    let mut message = head(kind, *id);
    match request {
        Request::Run {
            arguments,
            environment,
            streams,
            ..
        } => {
            let count = u32::try_from(arguments.len()).unwrap_or(u32::MAX);
            message.extend(count.to_le_bytes());
            for text in arguments.iter().chain(*environment) {
                if text.as_bytes().contains(&0) {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                message.extend_from_slice(text.as_bytes());
                message.push(0);
            }
            let streams = streams.map(|stream| stream.as_raw_fd());
            if message.len() > LARGEST {
                return send_in_file(socket, &message, streams);
            }
            send(socket, &message, &streams)
        }
        Request::Signal { signal, .. } => {
            message.extend(signal.to_le_bytes());
            send(socket, &message, &[])
        }
        Request::Socket { version_6, .. } => {
            message.push(u8::from(*version_6));
            send(socket, &message, &[])
        }
        Request::Open { path, .. } => {
            message.extend_from_slice(path.as_bytes());
            if message.contains(&0) && path.as_bytes().contains(&0) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            send(socket, &message, &[])
        }
    }
}

fn send_in_file(socket: BorrowedFd<'_>, message: &[u8], streams: [RawFd; 3]) -> io::Result<()> {
    let mut file = std::fs::File::from(memfd_create(c"request", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(message)?;
    let [input, output, error] = streams;
    send(socket, &[RUN_IN_FILE], &[input, output, error, file.as_raw_fd()])
}

fn head(kind: u8, id: u64) -> Vec<u8> {
    let mut message = Vec::with_capacity(1024);
    message.push(kind);
    message.extend(id.to_le_bytes());
    message
}

/// Sends without waiting.
fn send(socket: BorrowedFd<'_>, message: &[u8], descriptors: &[RawFd]) -> io::Result<()> {
    send_with(socket, message, descriptors, MsgFlags::MSG_DONTWAIT)
}

fn send_with(
    socket: BorrowedFd<'_>,
    message: &[u8],
    descriptors: &[RawFd],
    flags: MsgFlags,
) -> io::Result<()> {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let rights = if descriptors.is_empty() { &[][..] } else { &rights };
    let content = [IoSlice::new(message)];
    let flags = flags | MsgFlags::MSG_NOSIGNAL;
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &content, rights, flags, None) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop).map_err(io::Error::from),
        }
    }
}

/// Says something to the owner, waiting for room.
pub(super) fn say(socket: BorrowedFd<'_>, message: &Message) -> io::Result<()> {
    let blocking = MsgFlags::empty();
    match message {
        Message::Started { pid } => {
            let text = [&[STARTED][..], &pid.to_le_bytes()].concat();
            send_with(socket, &text, &[], blocking)
        }
        Message::Ready => send_with(socket, &[READY], &[], blocking),
        Message::Failed { reason } => {
            let text = [&[FAILED], &reason.as_bytes()[..reason.len().min(4096)]].concat();
            send_with(socket, &text, &[], blocking)
        }
        Message::Answer(Answer::Exited { id, status }) => {
            let mut text = head(EXITED, *id);
            text.extend(status.to_le_bytes());
            send_with(socket, &text, &[], blocking)
        }
        Message::Answer(Answer::NotFound { id }) => send_with(socket, &head(NOT_FOUND, *id), &[], blocking),
        Message::Answer(Answer::Refused { id, code, path }) => {
            let mut text = head(NOT_RUN, *id);
            text.extend(code.to_le_bytes());
            text.extend(&path[..path.len().min(4096)]);
            send_with(socket, &text, &[], blocking)
        }
        Message::Answer(Answer::Descriptor { id, descriptor }) => send_with(
            socket,
            &head(DESCRIPTOR, *id),
            &[descriptor.as_raw_fd()],
            blocking,
        ),
    }
}

/// The next packet and its descriptors; empty at the end.
fn receive_packet(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: MsgFlags,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; DESCRIPTORS]);
    let mut content = [IoSliceMut::new(buffer)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let received = loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut content, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            // The other end has closed with something unread.
            Err(Errno::ECONNRESET) => return Ok((0, Vec::new())),
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            // SAFETY: the kernel has just made these descriptors for us; nobody else knows their numbers.
            descriptors.extend(
                numbers
                    .into_iter()
                    .map(|number| unsafe { OwnedFd::from_raw_fd(number) }),
            );
        }
    }
    Ok((received.bytes, descriptors))
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(1..9)?.try_into().ok()?))
}

fn integer(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The next message, waited for; `None` at the end.
pub(super) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Message>> {
    receive_with(socket, MsgFlags::empty())
}

pub(super) fn receive_answer(socket: BorrowedFd<'_>) -> io::Result<Option<Answer>> {
    match receive_with(socket, MsgFlags::MSG_DONTWAIT)? {
        Some(Message::Answer(answer)) => Ok(Some(answer)),
        Some(_) => Err(nonsense()),
        None => Ok(None),
    }
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the launcher speaks nonsense")
}

fn receive_with(socket: BorrowedFd<'_>, flags: MsgFlags) -> io::Result<Option<Message>> {
    let mut buffer = [0; 8192];
    let (length, descriptors) = receive_packet(socket, &mut buffer, flags)?;
    if length == 0 {
        return Ok(None);
    }
    message(&buffer[..length], descriptors)
        .map(Some)
        .ok_or_else(nonsense)
}

fn message(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Option<Message> {
    Some(match *bytes.first()? {
        STARTED => Message::Started {
            pid: integer(bytes, 1)?,
        },
        READY => Message::Ready,
        FAILED => Message::Failed {
            reason: String::from_utf8_lossy(&bytes[1..]).into_owned(),
        },
        EXITED => Message::Answer(Answer::Exited {
            id: number(bytes)?,
            status: integer(bytes, 9)?,
        }),
        NOT_FOUND => Message::Answer(Answer::NotFound { id: number(bytes)? }),
        NOT_RUN => Message::Answer(Answer::Refused {
            id: number(bytes)?,
            code: integer(bytes, 9)?,
            path: bytes.get(13..)?.to_vec(),
        }),
        DESCRIPTOR => Message::Answer(Answer::Descriptor {
            id: number(bytes)?,
            descriptor: descriptors.into_iter().next()?,
        }),
        _ => return None,
    })
}

/// The next request, waited for; `None` at the end.
pub(super) fn receive_order(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> io::Result<Option<Order>> {
    buffer.resize(LARGEST, 0);
    let (length, descriptors) = receive_packet(socket, buffer, MsgFlags::empty())?;
    if length == 0 {
        return Ok(None);
    }
    order(&buffer[..length], descriptors)
        .map(Some)
        .ok_or_else(nonsense)
}

fn order(bytes: &[u8], mut descriptors: Vec<OwnedFd>) -> Option<Order> {
    Some(match *bytes.first()? {
        RUN if descriptors.len() == 3 => Order::Run {
            id: number(bytes)?,
            texts: Texts::new(bytes.to_vec(), 9)?,
            streams: descriptors,
        },
        RUN_IN_FILE if descriptors.len() == DESCRIPTORS => {
            let file = std::fs::File::from(descriptors.pop()?);
            let mut bytes = vec![0; usize::try_from(file.metadata().ok()?.len()).ok()?];
            file.read_exact_at(&mut bytes, 0).ok()?;
            Order::Run {
                id: number(&bytes)?,
                texts: Texts::new(bytes, 9)?,
                streams: descriptors,
            }
        }
        SIGNAL => Order::Signal {
            id: number(bytes)?,
            signal: integer(bytes, 9)?,
        },
        SOCKET => Order::Socket {
            id: number(bytes)?,
            version_6: *bytes.get(9)? != 0,
        },
        OPEN => Order::Open {
            id: number(bytes)?,
            path: bytes.get(9..)?.to_vec(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::fd::AsFd;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        let none = SockFlag::SOCK_CLOEXEC;
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, none).expect("socket pair")
    }

    #[test]
    fn requests_arrive_as_they_were_sent_large_ones_too() {
        let (ours, theirs) = pair();
        let null = std::fs::File::open("/dev/null").expect("null");
        for length in [1, 200_000] {
            let long = "x".repeat(length);
            let request = Request::Run {
                id: 7,
                arguments: &[OsStr::new("cat"), OsStr::new("")],
                environment: &[OsStr::new("A=b"), OsStr::new(&long)],
                streams: [null.as_fd(); 3],
            };
            send_request(ours.as_fd(), &request).expect("sent");
            let order = receive_order(theirs.as_fd(), &mut Vec::new()).expect("received");
            let Some(Order::Run { id, texts, streams }) = order else {
                panic!("unexpected {order:?}");
            };
            assert_eq!((id, streams.len()), (7, 3));
            assert_eq!(texts.arguments().collect::<Vec<_>>(), [&b"cat\0"[..], b"\0"]);
            let environment: Vec<_> = texts.environment().collect();
            assert_eq!(
                (environment[0], environment[1].len()),
                (&b"A=b\0"[..], length + 1)
            );
        }
        let bad = Request::Open {
            id: 1,
            path: OsStr::new("a\0b"),
        };
        let refused = send_request(ours.as_fd(), &bad).expect_err("null byte");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn nonsense_is_an_error_and_an_end_is_none() {
        for bytes in [&b""[..], b"?", b"R", b"X\0\0", b"E12345678\0\0", b"M"] {
            assert!(message(bytes, Vec::new()).is_none(), "{bytes:?}");
            assert!(order(bytes, Vec::new()).is_none(), "{bytes:?}");
        }
        let (ours, theirs) = pair();
        drop(theirs);
        assert!(receive_answer(ours.as_fd()).expect("end").is_none());
    }

    #[test]
    fn answers_arrive_as_they_were_said() {
        let (ours, theirs) = pair();
        for answer in [
            Answer::Exited { id: 1, status: 256 },
            Answer::NotFound { id: 2 },
            Answer::Refused {
                id: 3,
                code: libc::EACCES,
                path: b"/x".to_vec(),
            },
        ] {
            let expected = format!("{answer:?}");
            say(theirs.as_fd(), &Message::Answer(answer)).expect("said");
            let got = receive_answer(ours.as_fd())
                .expect("received")
                .expect("an answer");
            assert_eq!(format!("{got:?}"), expected);
        }
    }
}
