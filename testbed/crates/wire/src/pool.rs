//! Buffers for frames: two sizes, reused, with one bound on what all packets on the way may hold.

use crate::frame::{Frame, HEADROOM, OFFLOAD_HEADER};

/// Buffers for frames of an ordinary MTU.
const SMALL: usize = 2048;
/// Buffers for the longest frame: 64 KiB of IP packet, Ethernet header, two VLAN tags.
pub(crate) const LARGE: usize = HEADROOM + OFFLOAD_HEADER + 65536 + 22;
/// Buffers kept for later use; what is above goes back to the allocator.
const SPARE_SMALL: usize = 8192;
const SPARE_LARGE: usize = 512;

/// The buffers of one engine thread.
#[derive(Debug)]
pub(crate) struct Pool {
    small: Vec<Box<[u8]>>,
    large: Vec<Box<[u8]>>,
    limit: usize,
    held: usize,
}

impl Pool {
    /// A pool that lets packets on the way hold `limit` bytes.
    pub(crate) fn new(limit: usize) -> Pool {
        Pool {
            small: Vec::new(),
            large: Vec::new(),
            limit,
            held: 0,
        }
    }

    /// A buffer that takes an offload header and frame of `length` bytes together. Its contents are old.
    pub(crate) fn take(&mut self, length: usize) -> Box<[u8]> {
        let (spare, size) = if HEADROOM + length <= SMALL {
            (&mut self.small, SMALL)
        } else {
            (&mut self.large, LARGE.max(HEADROOM + length))
        };
        match spare.pop() {
            Some(buffer) if buffer.len() >= size => buffer,
            _ => vec![0; size].into_boxed_slice(),
        }
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, buffer: Box<[u8]>) {
        if buffer.len() == SMALL && self.small.len() < SPARE_SMALL {
            self.small.push(buffer);
        } else if buffer.len() == LARGE && self.large.len() < SPARE_LARGE {
            self.large.push(buffer);
        }
    }

    /// Takes a frame's buffer back.
    pub(crate) fn discard(&mut self, frame: Frame) {
        self.give(frame.into_buffer());
    }

    /// A second frame like `frame`.
    pub(crate) fn copy(&mut self, frame: &Frame) -> Option<Frame> {
        let bytes = frame.bytes();
        let mut buffer = self.take(bytes.len());
        buffer[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        match Frame::from_buffer(buffer, bytes.len()) {
            Ok(copy) => Some(copy),
            Err(buffer) => {
                self.give(buffer);
                None
            }
        }
    }

    /// Moves a frame out of a receive buffer. A short one is copied to a small buffer, so that a packet of
    /// 60 bytes on a long link does not hold 64 KiB; of a long one the buffer is taken and another one put in
    /// its place. None if `length` is no possible frame.
    pub(crate) fn receive(&mut self, slot: &mut Box<[u8]>, length: usize) -> Option<Frame> {
        let end = HEADROOM.checked_add(length).filter(|&end| end <= slot.len())?;
        let replacement = self.take(length);
        let buffer = if replacement.len() >= slot.len() {
            std::mem::replace(slot, replacement)
        } else {
            let mut buffer = replacement;
            buffer[HEADROOM..end].copy_from_slice(&slot[HEADROOM..end]);
            buffer
        };
        match Frame::from_buffer(buffer, length) {
            Ok(frame) => Some(frame),
            Err(buffer) => {
                self.give(buffer);
                None
            }
        }
    }

    /// Asks for `bytes` more on behalf of a direction that holds `already`. A direction may hold as much as
    /// is still free (dynamic thresholds, Choudhury and Hahne 1998): alone it gets half of all, and what one
    /// cannot take is left for the others.
    pub(crate) fn hold(&mut self, bytes: usize, already: usize) -> bool {
        let free = self.limit.saturating_sub(self.held);
        let granted = bytes <= free && already.saturating_add(bytes) <= free;
        if granted {
            self.held += bytes;
        }
        granted
    }

    /// Gives up what [`Pool::hold`] granted.
    pub(crate) fn let_go(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Bytes that packets on the way hold.
    pub(crate) fn held(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_frames_leave_the_receive_buffer_long_ones_take_it() {
        let mut pool = Pool::new(1 << 20);
        let mut slot = vec![7; LARGE].into_boxed_slice();
        let before = slot.as_ptr();
        let short = pool.receive(&mut slot, 70).unwrap();
        assert_eq!((slot.as_ptr(), short.capacity()), (before, SMALL));
        assert_eq!(short.ethernet(), [7; 60]);
        let long = pool.receive(&mut slot, 9000).unwrap();
        assert_eq!(long.bytes().as_ptr(), before.wrapping_add(HEADROOM));
        assert_eq!(slot.len(), LARGE);
        assert!(pool.receive(&mut slot, 10).is_none());
        assert!(pool.receive(&mut slot, LARGE).is_none());
    }

    #[test]
    fn one_direction_cannot_take_all_memory() {
        let mut pool = Pool::new(1000);
        let mut greedy = 0;
        while pool.hold(100, greedy) {
            greedy += 100;
        }
        assert_eq!(greedy, 500);
        assert!(pool.hold(100, 0), "another direction still gets some");
        pool.let_go(600);
        assert_eq!(pool.held(), 0);
    }
}
