//! What a link does to the bytes of a packet: it damages them, and it marks congestion.

use crate::checksum::{fold, sum};
use crate::ethernet::{TYPE_IPV4, TYPE_IPV6, network_layer, put, word};
use crate::frame::{Frame, NEEDS_CHECKSUM, Offload};

/// The two bits of explicit congestion notification (RFC 3168): capable transports set one of them, both are the mark.
const CONGESTION_BITS: u8 = 0b11;

/// Flips one bit behind the Ethernet header, chosen by a random number. The check sequence of real Ethernet would not
/// let a damaged address pass either, and a switch would learn from it. A checksum that was left to the network card is
/// completed first: else it would be computed over the damage.
pub(crate) fn flip_bit(frame: &mut Frame, random: u64) {
    complete_checksum(frame);
    let ethernet = frame.ethernet_mut();
    let start = network_layer(ethernet).map_or(0, |(offset, _)| offset);
    let Some(damaged) = ethernet.get_mut(start..) else {
        return;
    };
    // The fixed-point product spreads the upper 32 bits evenly over the bytes.
    let place = ((random >> 32) * damaged.len() as u64) >> 32;
    if let Some(byte) = damaged.get_mut(place as usize) {
        *byte ^= 1 << (random & 7);
    }
}

/// Computes the transport checksum of a frame that is one packet and has only the pseudo header's sum in it.
fn complete_checksum(frame: &mut Frame) {
    let offload = frame.offload();
    if offload.flags & NEEDS_CHECKSUM == 0 || offload.segmentation != 0 {
        return;
    }
    let start = usize::from(offload.checksum_start);
    let field = start + usize::from(offload.checksum_offset);
    let ethernet = frame.ethernet_mut();
    let Some(summed) = ethernet.get(start..).filter(|_| field + 2 <= ethernet.len()) else {
        return;
    };
    // Zero means "no checksum" in UDP; its complement is the same number.
    let complete = match !fold(sum(summed)) {
        0 => 0xffff,
        checksum => checksum,
    };
    put(ethernet, field, complete);
    frame.set_offload(Offload::default());
}

/// Marks a packet as having met congestion. False if its transport would not understand (RFC 3168 §5).
pub(crate) fn mark_congestion(frame: &mut Frame) -> bool {
    let ethernet = frame.ethernet_mut();
    match network_layer(ethernet) {
        Some((offset, TYPE_IPV4)) => mark_ipv4(ethernet, offset),
        Some((offset, TYPE_IPV6)) => mark_ipv6(ethernet, offset),
        _ => false,
    }
}

fn mark_ipv4(ethernet: &mut [u8], offset: usize) -> bool {
    let Some(first) = word(ethernet, offset) else {
        return false;
    };
    if first.to_be_bytes()[1] & CONGESTION_BITS == 0 {
        return false;
    }
    let length = usize::from(first >> 8 & 0x0f) * 4;
    put(ethernet, offset, first | u16::from(CONGESTION_BITS));
    put(ethernet, offset + 10, 0);
    let checksum = ethernet
        .get(offset..offset + length)
        .map(|header| !fold(sum(header)));
    put(ethernet, offset + 10, checksum.unwrap_or(0));
    true
}

/// The traffic class of IPv6 lies across its first bytes: four bits of version, eight of class.
fn mark_ipv6(ethernet: &mut [u8], offset: usize) -> bool {
    const SHIFT: u16 = 4;
    let bits = u16::from(CONGESTION_BITS) << SHIFT;
    match word(ethernet, offset) {
        Some(first) if first & bits != 0 => {
            put(ethernet, offset, first | bits);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::frame;

    /// UDP from 10.0.0.1 to 10.0.0.2 with a correct header checksum and only the pseudo header's sum for the payload.
    fn udp(class: u8, payload: &[u8]) -> Frame {
        let length = 28 + payload.len() as u16;
        let mut bytes = vec![2; 12];
        bytes.extend([8, 0, 0x45, class]);
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let checksum = !fold(sum(&bytes[14..34]));
        bytes[24..26].copy_from_slice(&checksum.to_be_bytes());
        bytes.extend([0, 1, 0, 2]);
        bytes.extend((length - 20).to_be_bytes());
        let pseudo = fold(sum(&bytes[26..34]) + 17 + u64::from(length - 20));
        bytes.extend(pseudo.to_be_bytes());
        bytes.extend(payload);
        let offload = Offload {
            flags: NEEDS_CHECKSUM,
            checksum_start: 34,
            checksum_offset: 6,
            ..Offload::default()
        };
        frame(offload, &bytes)
    }

    /// Whether the checksums of a [`udp`] frame are right.
    fn is_intact(frame: &Frame) -> bool {
        let bytes = frame.ethernet();
        let pseudo = sum(&bytes[26..34]) + 17 + u64::from(word(bytes, 38).unwrap());
        fold(sum(&bytes[14..34])) == 0xffff && fold(sum(&bytes[34..]) + pseudo) == 0xffff
    }

    #[test]
    fn a_flipped_bit_is_one_and_can_be_noticed() {
        let mut whole = udp(0, b"some payload");
        complete_checksum(&mut whole);
        assert!(is_intact(&whole));
        assert_eq!(whole.offload(), Offload::default());
        for random in [0, u64::MAX, 1 << 63, 0x1234_5678_9abc_def0] {
            let mut damaged = udp(0, b"some payload");
            flip_bit(&mut damaged, random);
            let bits: u32 = (whole.ethernet().iter().zip(damaged.ethernet()))
                .map(|(a, b)| (a ^ b).count_ones())
                .sum();
            assert_eq!(bits, 1);
            assert_eq!(whole.ethernet()[..14], damaged.ethernet()[..14], "addresses stay");
            assert!(!is_intact(&damaged), "{random}");
        }
    }

    #[test]
    fn every_byte_behind_the_header_can_be_hit() {
        let length = udp(0, &[]).ethernet().len();
        let mut hit = vec![false; length];
        for step in 0..4096_u64 {
            let (mut damaged, mut whole) = (udp(0, &[]), udp(0, &[]));
            complete_checksum(&mut whole);
            flip_bit(&mut damaged, (step << 52) | (step % 8));
            let place = (whole.ethernet().iter().zip(damaged.ethernet())).position(|(a, b)| a != b);
            hit[place.unwrap()] = true;
        }
        assert!(hit[..14].iter().all(|hit| !hit) && hit[14..].iter().all(|&hit| hit));
    }

    #[test]
    fn a_mark_needs_a_capable_transport_and_keeps_the_header_checksum() {
        for (class, marked) in [
            (0b00, None),
            (0b01, Some(0b11)),
            (0b10, Some(0b11)),
            (0b11, Some(0b11)),
        ] {
            let class = 0b1011_1000 | class;
            let mut frame = udp(class, b"x");
            assert_eq!(mark_congestion(&mut frame), marked.is_some());
            assert_eq!(frame.ethernet()[15], marked.map_or(class, |bits| class | bits));
            complete_checksum(&mut frame);
            assert!(is_intact(&frame));
        }
    }

    #[test]
    fn ipv6_is_marked_and_other_frames_are_not() {
        let ipv6 = |class: u16| {
            let mut bytes = vec![2; 12];
            bytes.extend([0x86, 0xdd]);
            bytes.extend((0x6000 | class << 4 | 0x5).to_be_bytes());
            bytes.resize(60, 0);
            frame(Offload::default(), &bytes)
        };
        let mut capable = ipv6(0b10);
        assert!(mark_congestion(&mut capable));
        assert_eq!(word(capable.ethernet(), 14), Some(0x6035));
        assert!(!mark_congestion(&mut ipv6(0)));
        let arp = [&[2_u8; 12][..], &[8, 6], &[3; 28]].concat();
        assert!(!mark_congestion(&mut frame(Offload::default(), &arp)));
        assert!(!mark_congestion(&mut frame(Offload::default(), &arp[..14])));
        flip_bit(&mut frame(Offload::default(), &arp[..14]), 7);
    }
}
