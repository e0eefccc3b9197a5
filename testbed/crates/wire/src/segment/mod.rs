//! Segmentation in software.
//!
//! With segmentation offload a node hands over one frame of up to 64 KiB that stands for many packets. Pure
//! delay keeps it whole. Where packets have a fate of their own, [`Segments`] finds where each packet of the
//! frame begins, and [`Segments::carve`] makes a frame of any run of them: of one packet, an ordinary frame;
//! of several, a smaller frame that is still to be segmented. Headers are those the kernel's own segmentation
//! writes (`tcp_gso_segment`, `__udp_gso_segment`): lengths, the IPv4 identification and header checksum, TCP
//! sequence number and flags. The transport checksum stays partial, with the pseudo header's sum for the new
//! length in its field.
//!
//! What cannot be taken apart (UDP fragmentation offload, unknown headers, nonsense) counts as one packet.

mod headers;

use std::ops::Range;

use crate::frame::{Frame, NEEDS_CHECKSUM, OFFLOAD_HEADER, Offload};
use crate::pool::Pool;

use headers::{Headers, Transport};

const TCP_OVER_IPV4: u8 = 1;
const TCP_OVER_IPV6: u8 = 4;
const UDP: u8 = 5;
/// Flag beside the kind: the congestion-window-reduced bit belongs to the first segment only.
const CONGESTION_FLAG: u8 = 0x80;

/// More segments than this in one frame are nonsense (the kernel makes none below 48 bytes of payload) and
/// would be a way to keep the engine busy.
const MOST_SEGMENTS: usize = 2048;

/// Where the packets of a segmentation-offload frame lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segments {
    headers: Headers,
    size: usize,
    payload: usize,
}

impl Segments {
    /// Looks at a frame; None if it is one packet, or cannot be taken apart.
    pub(crate) fn of(frame: &Frame) -> Option<Segments> {
        let offload = frame.offload();
        let transport = match offload.segmentation & !CONGESTION_FLAG {
            TCP_OVER_IPV4 | TCP_OVER_IPV6 => Transport::Tcp,
            UDP => Transport::Udp,
            _ => return None,
        };
        let headers = Headers::parse(frame.ethernet(), transport)?;
        let size = usize::from(offload.segment_size);
        let payload = frame.ethernet().len().checked_sub(headers.length)?;
        let fits = size > 0 && payload > size && payload.div_ceil(size) <= MOST_SEGMENTS;
        fits.then_some(Segments {
            headers,
            size,
            payload,
        })
    }

    /// How many packets the frame stands for; at least 2.
    pub(crate) fn count(&self) -> u64 {
        self.payload.div_ceil(self.size) as u64
    }

    /// The bytes that a run of packets has on the wire, each with its headers.
    pub(crate) fn wire_bytes(&self, run: &Range<u64>) -> u64 {
        let packets = run.end.saturating_sub(run.start);
        packets * self.headers.length as u64 + self.payload_of(run).len() as u64
    }

    fn payload_of(&self, run: &Range<u64>) -> Range<usize> {
        let at = |index: u64| (index as usize).saturating_mul(self.size).min(self.payload);
        at(run.start)..at(run.end).max(at(run.start))
    }

    /// Makes a frame of a run of packets. `frame` must be the one these segments were found in.
    pub(crate) fn carve(&self, frame: &Frame, run: &Range<u64>, pool: &mut Pool) -> Option<Frame> {
        let payload = self.payload_of(run);
        let header = self.headers.length;
        let source = frame.ethernet();
        let length = OFFLOAD_HEADER + header + payload.len();
        let mut piece = match Frame::from_buffer(pool.take(length), length) {
            Ok(piece) => piece,
            Err(buffer) => {
                pool.give(buffer);
                return None;
            }
        };
        let target = piece.ethernet_mut();
        target[..header].copy_from_slice(source.get(..header)?);
        target[header..].copy_from_slice(source.get(header + payload.start..header + payload.end)?);
        let place = headers::Place {
            first: run.start,
            bytes_before: payload.start as u32,
            is_last: payload.end == self.payload,
        };
        self.headers.rewrite(target, place);
        piece.set_offload(self.offload_of_piece(frame.offload(), payload.len()));
        Some(piece)
    }

    fn offload_of_piece(&self, whole: Offload, payload: usize) -> Offload {
        let is_one_packet = payload <= self.size;
        Offload {
            flags: NEEDS_CHECKSUM,
            segmentation: if is_one_packet { 0 } else { whole.segmentation },
            header_length: self.headers.length as u16,
            segment_size: if is_one_packet { 0 } else { whole.segment_size },
            checksum_start: self.headers.transport as u16,
            checksum_offset: self.headers.checksum_offset() as u16,
        }
    }
}

#[cfg(test)]
mod tests;
