//! One Ethernet frame in memory, with the offload header that the kernel puts before it.
//!
//! A buffer is laid out as `| headroom 4 | offload header 10 | Ethernet frame … |`. The headroom takes the
//! VLAN tag that the kernel strips from frames it hands to packet sockets. The offload header is
//! `struct virtio_net_hdr` in the byte order of the machine (`PACKET_VNET_HDR` in packet(7)).

/// Room before the offload header.
pub(crate) const HEADROOM: usize = 4;
/// Size of the offload header.
pub(crate) const OFFLOAD_HEADER: usize = 10;

const ADDRESSES: usize = 12;
const VLAN_TAG: usize = 4;

/// The checksum field is only the sum over the pseudo header; whoever needs it whole must complete it.
pub(crate) const NEEDS_CHECKSUM: u8 = 1;

/// The offload header, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Offload {
    pub(crate) flags: u8,
    /// Kind of segmentation offload, 0 for none.
    pub(crate) segmentation: u8,
    pub(crate) header_length: u16,
    /// Payload bytes per segment.
    pub(crate) segment_size: u16,
    pub(crate) checksum_start: u16,
    pub(crate) checksum_offset: u16,
}

impl Offload {
    fn decode(bytes: &[u8]) -> Offload {
        let word = |at: usize| match bytes.get(at..at + 2) {
            Some(&[first, second]) => u16::from_ne_bytes([first, second]),
            _ => 0,
        };
        Offload {
            flags: bytes.first().copied().unwrap_or(0),
            segmentation: bytes.get(1).copied().unwrap_or(0),
            header_length: word(2),
            segment_size: word(4),
            checksum_start: word(6),
            checksum_offset: word(8),
        }
    }

    fn encode(self) -> [u8; OFFLOAD_HEADER] {
        let mut bytes = [0; OFFLOAD_HEADER];
        bytes[0] = self.flags;
        bytes[1] = self.segmentation;
        let words = [
            self.header_length,
            self.segment_size,
            self.checksum_start,
            self.checksum_offset,
        ];
        for (pair, word) in bytes[2..].chunks_exact_mut(2).zip(words) {
            pair.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

/// A frame that owns its buffer.
#[derive(Debug)]
pub(crate) struct Frame {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Frame {
    /// Takes a buffer whose bytes from [`HEADROOM`] on are an offload header and `length` minus that header
    /// bytes of frame. None if that is less than an Ethernet header or more than the buffer has.
    pub(crate) fn from_buffer(buffer: Box<[u8]>, length: usize) -> Result<Frame, Box<[u8]>> {
        if length < OFFLOAD_HEADER + ADDRESSES + 2 || length > buffer.len().saturating_sub(HEADROOM) {
            return Err(buffer);
        }
        Ok(Frame {
            buffer,
            start: HEADROOM,
            end: HEADROOM + length,
        })
    }

    /// The offload header.
    pub(crate) fn offload(&self) -> Offload {
        Offload::decode(&self.buffer[self.start..])
    }

    /// Replaces the offload header.
    pub(crate) fn set_offload(&mut self, offload: Offload) {
        self.buffer[self.start..self.start + OFFLOAD_HEADER].copy_from_slice(&offload.encode());
    }

    /// Clears the flags that only mean something on reception.
    pub(crate) fn keep_sending_flags_only(&mut self) {
        self.buffer[self.start] &= NEEDS_CHECKSUM;
    }

    /// The frame from its destination address on.
    pub(crate) fn ethernet(&self) -> &[u8] {
        &self.buffer[self.start + OFFLOAD_HEADER..self.end]
    }

    /// As [`Frame::ethernet`], to change.
    pub(crate) fn ethernet_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start + OFFLOAD_HEADER..self.end]
    }

    /// Offload header and frame, as a packet socket takes them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Bytes of memory the frame holds.
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Gives the buffer back.
    pub(crate) fn into_buffer(self) -> Box<[u8]> {
        self.buffer
    }

    /// Puts a VLAN tag back where the kernel took it from. Only the first call has room to do so.
    pub(crate) fn insert_vlan(&mut self, protocol: u16, tag: u16) {
        if self.start < VLAN_TAG {
            return;
        }
        let mut offload = self.offload();
        if offload.flags & NEEDS_CHECKSUM != 0 {
            offload.checksum_start = offload.checksum_start.saturating_add(VLAN_TAG as u16);
        }
        if offload.header_length != 0 {
            offload.header_length = offload.header_length.saturating_add(VLAN_TAG as u16);
        }
        let addresses = self.start + OFFLOAD_HEADER..self.start + OFFLOAD_HEADER + ADDRESSES;
        self.start -= VLAN_TAG;
        self.buffer.copy_within(addresses, self.start + OFFLOAD_HEADER);
        self.set_offload(offload);
        let at = OFFLOAD_HEADER + self.start + ADDRESSES;
        self.buffer[at..at + 2].copy_from_slice(&protocol.to_be_bytes());
        self.buffer[at + 2..at + 4].copy_from_slice(&tag.to_be_bytes());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A frame with these contents, as if received.
    pub(crate) fn frame(offload: Offload, ethernet: &[u8]) -> Frame {
        let mut buffer = vec![0; HEADROOM + OFFLOAD_HEADER + ethernet.len()].into_boxed_slice();
        buffer[HEADROOM + OFFLOAD_HEADER..].copy_from_slice(ethernet);
        let mut frame = Frame::from_buffer(buffer, OFFLOAD_HEADER + ethernet.len()).unwrap();
        frame.set_offload(offload);
        frame
    }

    #[test]
    fn offload_header_survives_a_round_trip() {
        let offload = Offload {
            flags: NEEDS_CHECKSUM,
            segmentation: 1,
            header_length: 66,
            segment_size: 1448,
            checksum_start: 34,
            checksum_offset: 16,
        };
        assert_eq!(frame(offload, &[9; 60]).offload(), offload);
    }

    #[test]
    fn vlan_tag_goes_between_addresses_and_type() {
        let offload = Offload {
            flags: NEEDS_CHECKSUM,
            checksum_start: 34,
            ..Offload::default()
        };
        let mut ethernet: Vec<u8> = (0..60).collect();
        let mut frame = frame(offload, &ethernet);
        frame.insert_vlan(0x8100, 42);
        ethernet.splice(12..12, [0x81, 0x00, 0, 42]);
        assert_eq!(frame.ethernet(), ethernet);
        assert_eq!(frame.offload().checksum_start, 38);
        assert_eq!(frame.bytes().len(), OFFLOAD_HEADER + 64);
    }

    #[test]
    fn a_frame_must_fit_its_buffer_and_have_a_header() {
        let buffer = || vec![0; 100].into_boxed_slice();
        assert!(Frame::from_buffer(buffer(), 96).is_ok());
        assert!(Frame::from_buffer(buffer(), 97).is_err());
        assert!(Frame::from_buffer(buffer(), 23).is_err());
        assert!(Frame::from_buffer(Box::default(), 30).is_err());
    }
}
