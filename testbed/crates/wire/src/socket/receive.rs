//! Reading frames in batches.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::null_mut;
use std::time::Duration;

use libc::{cmsghdr, iovec, mmsghdr, msghdr, sockaddr_ll};

use super::{Lane, link_address};
use crate::frame::{Frame, HEADROOM};
use crate::pool::{LARGE, Pool};

/// Most frames read by one call.
const MOST: usize = 32;
/// As many long frames; copying 32 of 64 KiB would keep the engine from sending for a third of a millisecond.
const MOST_LONG: usize = 4;
const LONG: u64 = 8192;

/// What the last read from a socket found. Each socket has its own: where one carries a bulk transfer and another its
/// acknowledgements, these must be read as fast as they come.
#[derive(Debug, Default)]
pub(crate) struct Habit {
    has_long_frames: bool,
    /// Whether that read was as much as one read may bring: more is waiting, or was.
    pub(crate) was_full: bool,
}

impl Habit {
    fn most(&self) -> usize {
        if self.has_long_frames { MOST_LONG } else { MOST }
    }
}

/// Room for a time stamp and the kernel's auxiliary data, aligned as control messages must be.
type Control = [u64; 16];

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) interface: u32,
    /// Whether it was seen on its way out of the interface.
    pub(crate) outgoing: bool,
    /// When the kernel took it from the interface, since the Unix epoch. Zero if it did not say.
    pub(crate) stamp: Duration,
    pub(crate) frame: Frame,
}

/// What came with a frame.
#[derive(Debug, Default)]
struct Notes {
    stamp: Duration,
    vlan: Option<(u16, u16)>,
}

/// Buffers to read frames into. The kernel's structures point into each other and are built anew for each
/// call, so moving the batch is harmless.
pub(crate) struct ReceiveBatch {
    slots: Vec<Box<[u8]>>,
    addresses: Vec<sockaddr_ll>,
    controls: Vec<Control>,
    vectors: Vec<iovec>,
    messages: Vec<mmsghdr>,
}

impl ReceiveBatch {
    pub(crate) fn new() -> ReceiveBatch {
        ReceiveBatch {
            slots: (0..MOST).map(|_| vec![0; LARGE].into_boxed_slice()).collect(),
            addresses: vec![link_address(0, 0); MOST],
            controls: vec![Control::default(); MOST],
            vectors: Vec::with_capacity(MOST),
            messages: Vec::with_capacity(MOST),
        }
    }

    /// Reads what is there, up to a bound; the number of frames read, 0 if none is there.
    pub(crate) fn receive(&mut self, lane: &Lane, habit: &mut Habit) -> io::Result<usize> {
        self.prepare(habit.most());
        let count = self.messages.len() as u32;
        // SAFETY: each of the `count` headers points to an address, a control buffer and one I/O vector of
        // this batch with their true lengths, and each vector to a slot of this batch; none of them is moved
        // or touched until the call returns.
        let received = unsafe {
            libc::recvmmsg(
                lane.as_fd().as_raw_fd(),
                self.messages.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                null_mut(),
            )
        };
        if received < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        }
        let received = received as usize;
        let bytes: u64 = self
            .messages
            .iter()
            .take(received)
            .map(|message| u64::from(message.msg_len))
            .sum();
        habit.was_full = received == self.messages.len();
        habit.has_long_frames = bytes > received as u64 * LONG;
        Ok(received)
    }

    fn prepare(&mut self, most: usize) {
        self.vectors.clear();
        self.messages.clear();
        self.vectors.extend(self.slots.iter_mut().take(most).map(|slot| {
            let space = &mut slot[HEADROOM..];
            iovec {
                iov_base: space.as_mut_ptr().cast(),
                iov_len: space.len(),
            }
        }));
        for ((vector, address), control) in self
            .vectors
            .iter_mut()
            .zip(&mut self.addresses)
            .zip(&mut self.controls)
        {
            let mut header = empty_header();
            header.msg_name = std::ptr::from_mut(address).cast();
            header.msg_namelen = size_of::<sockaddr_ll>() as u32;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>() as _;
            self.messages.push(mmsghdr {
                msg_hdr: header,
                msg_len: 0,
            });
        }
    }

    /// Takes frame number `place` of the last call out of its slot; None if it is none that can be sent on.
    pub(crate) fn take(&mut self, place: usize, pool: &mut Pool) -> Option<Arrived> {
        let message = self.messages.get(place)?;
        if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let notes = notes_of(&message.msg_hdr);
        let address = self.addresses.get(place)?;
        let interface = u32::try_from(address.sll_ifindex).ok()?;
        let outgoing = address.sll_pkttype == libc::PACKET_OUTGOING;
        let mut frame = pool.receive(self.slots.get_mut(place)?, message.msg_len as usize)?;
        frame.keep_sending_flags_only();
        if let Some((protocol, tag)) = notes.vlan {
            frame.insert_vlan(protocol, tag);
        }
        Some(Arrived {
            interface,
            outgoing,
            stamp: notes.stamp,
            frame,
        })
    }
}

/// A message header with nothing in it.
pub(super) fn empty_header() -> msghdr {
    // SAFETY: all fields are integers and pointers, for which zero is valid.
    unsafe { std::mem::zeroed() }
}

/// Reads the control messages of a header that the kernel filled in.
fn notes_of(header: &msghdr) -> Notes {
    let mut notes = Notes::default();
    // SAFETY: the header's control pointer and length describe a control buffer of the batch, as the kernel
    // left them; the macros stay inside that.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: the macros return null or a pointer to a whole, aligned cmsghdr inside the buffer.
        let (level, kind) = unsafe { ((*message).cmsg_level, (*message).cmsg_type) };
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                if let Some(time) = data_of::<libc::timespec>(message) {
                    notes.stamp = stamp_of(&time);
                }
            }
            (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                if let Some(auxiliary) = data_of::<libc::tpacket_auxdata>(message) {
                    notes.vlan = vlan_of(&auxiliary);
                }
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR; `message` is one of this header's.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    notes
}

/// Types of control messages: structures of integers, of which any bytes are a value.
trait ControlData: Copy {}
impl ControlData for libc::timespec {}
impl ControlData for libc::tpacket_auxdata {}

fn data_of<T: ControlData>(message: *const cmsghdr) -> Option<T> {
    // SAFETY: `message` points to a whole cmsghdr; CMSG_LEN only computes.
    let (length, least) = unsafe { ((*message).cmsg_len as _, libc::CMSG_LEN(size_of::<T>() as u32)) };
    let is_whole = usize::try_from(least).is_ok_and(|least| least <= length);
    // SAFETY: the message has at least size_of::<T>() bytes of data, T takes any bytes, alignment is not
    // asked for.
    is_whole.then(|| unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(message).cast()) })
}

fn stamp_of(time: &libc::timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0).min(999_999_999);
    Duration::new(seconds, nanoseconds)
}

/// The VLAN tag that the kernel took out of the frame: its protocol and value.
fn vlan_of(auxiliary: &libc::tpacket_auxdata) -> Option<(u16, u16)> {
    const CUSTOMER_VLAN: u16 = 0x8100;
    let has = |flag: u32| auxiliary.tp_status & flag != 0;
    let protocol = if has(libc::TP_STATUS_VLAN_TPID_VALID) {
        auxiliary.tp_vlan_tpid
    } else {
        CUSTOMER_VLAN
    };
    has(libc::TP_STATUS_VLAN_VALID).then_some((protocol, auxiliary.tp_vlan_tci))
}
