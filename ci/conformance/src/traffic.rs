//! Numbered datagrams, and what became of them.

use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recv, recvmsg};
use nix::sys::time::TimeSpec;

use crate::bench::{HEADERS, Refusal};

/// Bytes at the start of a datagram that say its number.
const NUMBER: usize = 4;
/// What fills the rest of it.
const FILLING: u8 = 0x5a;

/// A stream of datagrams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) count: u32,
    /// Bytes of each datagram, at least 4.
    pub(crate) length: usize,
    /// From one to the next; those that are behind are sent at once.
    pub(crate) gap: Duration,
}

/// One datagram that came.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) number: u32,
    /// When the kernel of the receiver had it, on the clock that [`Outcome::sent`] is on.
    pub(crate) at: Duration,
    /// Bits that differ from what was sent, in the part behind the number.
    pub(crate) flipped: u32,
    /// The congestion mark of its network header (RFC 3168): 3 is "congestion experienced".
    pub(crate) mark: u8,
}

/// What was sent, and what came of it in the order it came.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) sent: Vec<Duration>,
    pub(crate) came: Vec<Arrival>,
}

impl Outcome {
    /// How long each datagram that came was on its way, in milliseconds, in the order they were sent.
    pub(crate) fn delays(&self) -> Vec<f64> {
        let mut delays: Vec<(u32, f64)> = (self.came.iter())
            .filter_map(|arrival| {
                let sent = self.sent.get(arrival.number as usize)?;
                Some((
                    arrival.number,
                    (arrival.at.as_secs_f64() - sent.as_secs_f64()) * 1e3,
                ))
            })
            .collect();
        delays.sort_by_key(|&(number, _)| number);
        delays.into_iter().map(|(_, delay)| delay).collect()
    }

    /// [`Outcome::delays`], shortest first.
    pub(crate) fn sorted_delays(&self) -> Vec<f64> {
        let mut delays = self.delays();
        delays.sort_by(f64::total_cmp);
        delays
    }

    /// From the first datagram sent to the last, in seconds.
    pub(crate) fn sending_took(&self) -> f64 {
        match (self.sent.first(), self.sent.last()) {
            (Some(first), Some(last)) => (*last - *first).as_secs_f64(),
            _ => 0.0,
        }
    }

    /// For each datagram sent, whether it came.
    pub(crate) fn survived(&self) -> Vec<bool> {
        let mut survived = vec![false; self.sent.len()];
        for arrival in &self.came {
            if let Some(place) = survived.get_mut(arrival.number as usize) {
                *place = true;
            }
        }
        survived
    }

    /// Datagrams that never came.
    pub(crate) fn lost(&self) -> usize {
        self.survived().iter().filter(|&&survived| !survived).count()
    }

    /// Lengths of the runs of datagrams that never came.
    pub(crate) fn bursts(&self) -> Vec<usize> {
        let survived = self.survived();
        let runs = survived.chunk_by(|before, next| before == next);
        runs.filter(|run| run.first() == Some(&false))
            .map(<[bool]>::len)
            .collect()
    }

    /// Whether they came in the order they were sent.
    pub(crate) fn is_in_order(&self) -> bool {
        self.came.is_sorted_by_key(|arrival| arrival.number)
    }
}

/// Sends a stream and waits for what comes of it: as many datagrams, or until nothing comes any more.
pub(crate) fn send(sender: UdpSocket, receiver: &UdpSocket, stream: Stream) -> Result<Outcome, Refusal> {
    send_up_to(sender, receiver, stream, stream.count as usize)
}

/// As [`send`], for links that make `most` datagrams of those sent, or fewer.
pub(crate) fn send_up_to(
    sender: UdpSocket,
    receiver: &UdpSocket,
    stream: Stream,
    most: usize,
) -> Result<Outcome, Refusal> {
    let sending = start(sender, stream);
    let came = receive(receiver, stream.length, most)?;
    let sent = sending
        .join()
        .map_err(|_| Refusal::Failed("the sending thread panicked".to_owned()))??;
    Ok(Outcome { sent, came })
}

/// Sends a stream on a thread of its own; when each datagram was sent.
pub(crate) fn start(sender: UdpSocket, stream: Stream) -> JoinHandle<io::Result<Vec<Duration>>> {
    std::thread::spawn(move || {
        let mut datagram = vec![FILLING; stream.length.max(NUMBER)];
        let start = Instant::now();
        (0..stream.count)
            .map(|number| {
                let early = (stream.gap * number).saturating_sub(start.elapsed());
                if !early.is_zero() {
                    std::thread::sleep(early);
                }
                datagram[..NUMBER].copy_from_slice(&number.to_le_bytes());
                let now = wall_clock();
                sender.send(&datagram)?;
                Ok(now)
            })
            .collect()
    })
}

/// Time on the clock of the kernel's time stamps.
pub(crate) fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Receives `most` datagrams, or until nothing comes any more.
pub(crate) fn receive(receiver: &UdpSocket, length: usize, most: usize) -> Result<Vec<Arrival>, Refusal> {
    let mut came = Vec::new();
    while came.len() < most {
        match receive_one(receiver, length)? {
            Some(arrival) => came.push(arrival),
            None => break,
        }
    }
    Ok(came)
}

/// The next datagram; None after a while without any.
fn receive_one(socket: &UdpSocket, length: usize) -> Result<Option<Arrival>, Refusal> {
    let mut buffer = vec![0; length.max(NUMBER)];
    let mut space = nix::cmsg_space!(TimeSpec, i32);
    let mut vectors = [IoSliceMut::new(&mut buffer)];
    let flags = MsgFlags::empty();
    let message = match recvmsg::<()>(socket.as_raw_fd(), &mut vectors, Some(&mut space), flags) {
        Ok(message) => message,
        Err(nix::errno::Errno::EAGAIN) => return Ok(None),
        Err(error) => return Err(Refusal::Failed(format!("receive: {error}"))),
    };
    let (mut at, mut mark) = (None, 0);
    for note in message.cmsgs().map_err(io::Error::from)? {
        match note {
            ControlMessageOwned::ScmTimestampns(time) => at = Some(Duration::from(time)),
            ControlMessageOwned::Ipv4Tos(class) => mark = class & 3,
            _ => {}
        }
    }
    let no_stamp = || Refusal::Failed("the kernel gives no time stamps".to_owned());
    let at = at.ok_or_else(no_stamp)?;
    let (number, rest) = buffer.split_at(NUMBER);
    let flipped = rest.iter().map(|byte| (byte ^ FILLING).count_ones()).sum();
    let number = number
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | u32::from(byte));
    Ok(Some(Arrival {
        number,
        at,
        flipped,
        mark,
    }))
}

/// Of each frame with a payload of `length` bytes that a tap has heard, how many bits of the payload differ from what
/// was sent, not counting the number.
pub(crate) fn flips_of(tap: &OwnedFd, length: usize) -> Result<Vec<u32>, Refusal> {
    let mut flips = Vec::new();
    let mut frame = vec![0; 2048];
    loop {
        match recv(tap.as_raw_fd(), &mut frame, MsgFlags::empty()) {
            Ok(size) if size == HEADERS + length => {
                let payload = frame.get(HEADERS + NUMBER..size).unwrap_or_default();
                flips.push(payload.iter().map(|byte| (byte ^ FILLING).count_ones()).sum());
            }
            Ok(_) => {}
            Err(nix::errno::Errno::EAGAIN) => return Ok(flips),
            Err(error) => return Err(Refusal::Failed(format!("listen: {error}"))),
        }
    }
}
