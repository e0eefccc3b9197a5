use proptest::prelude::*;

use super::*;
use crate::checksum::{fold, sum};
use crate::frame::tests::frame;

const ETHERNET: usize = 14;
const SEQUENCE: u32 = 0xffff_fff0;
const ALL_FLAGS: u8 = 0xff;

struct Shape {
    vlan: bool,
    ipv6: bool,
    transport: Transport,
    payload: usize,
    segment: u16,
}

/// A segmentation-offload frame whose payload bytes tell their own place.
fn offloaded(shape: &Shape) -> Frame {
    let mut bytes = vec![2; 12];
    if shape.vlan {
        bytes.extend([0x81, 0x00, 0x00, 0x07]);
    }
    let number = if shape.transport == Transport::Tcp { 6 } else { 17 };
    if shape.ipv6 {
        bytes.extend([0x86, 0xdd]);
        bytes.extend([0x60, 0, 0, 0, 0, 0, 60, 64]);
        bytes.extend([0xfd; 32]);
        bytes.extend([number, 0, 1, 4, 0, 0, 0, 0]); // destination options: one of padding
    } else {
        bytes.extend([0x08, 0x00]);
        bytes.extend([0x46, 0, 0, 0, 0xff, 0xff, 0x40, 0, 64, number, 0, 0]);
        bytes.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend([1; 4]); // one word of options
    }
    let transport = bytes.len();
    match shape.transport {
        Transport::Udp => bytes.extend([0x10, 0, 0x20, 0, 0, 0, 0xaa, 0xaa]),
        Transport::Tcp => {
            bytes.extend([0x10, 0, 0x20, 0]);
            bytes.extend(SEQUENCE.to_be_bytes());
            bytes.extend([0, 0, 0, 1, 0x80, ALL_FLAGS, 1, 1, 0xaa, 0xaa, 0, 0]);
            bytes.extend([1; 12]); // options
        }
    }
    bytes.extend((0..shape.payload).map(|place| (place % 251) as u8));
    let segmentation = match (shape.transport, shape.ipv6) {
        (Transport::Udp, _) => UDP,
        (Transport::Tcp, false) => TCP_OVER_IPV4 | CONGESTION_FLAG,
        (Transport::Tcp, true) => TCP_OVER_IPV6,
    };
    let offload = Offload {
        flags: NEEDS_CHECKSUM,
        segmentation,
        header_length: transport as u16 + 8,
        segment_size: shape.segment,
        checksum_start: transport as u16,
        checksum_offset: 16,
    };
    frame(offload, &bytes)
}

fn shapes() -> impl Iterator<Item = Shape> {
    let choices = [(false, false), (false, true), (true, false), (true, true)];
    choices.into_iter().flat_map(|(vlan, ipv6)| {
        [Transport::Tcp, Transport::Udp].map(|transport| Shape {
            vlan,
            ipv6,
            transport,
            payload: 10_001,
            segment: 1400,
        })
    })
}

/// Completes a partial checksum as a network card would, and checks the whole against the pseudo header.
fn assert_checksums(piece: &Frame, ipv6: bool, headers: &Headers) {
    let offload = piece.offload();
    let mut bytes = piece.ethernet().to_vec();
    let network = headers.network();
    let start = usize::from(offload.checksum_start);
    let field = start + usize::from(offload.checksum_offset);
    assert_eq!(offload.flags, NEEDS_CHECKSUM);
    let complete = !fold(sum(&bytes[start..]));
    bytes[field..field + 2].copy_from_slice(&complete.to_be_bytes());
    let addresses = if ipv6 {
        &bytes[network + 8..network + 40]
    } else {
        &bytes[network + 12..network + 20]
    };
    let number = if offload.checksum_offset == 16 { 6 } else { 17 };
    let whole = sum(&bytes[start..]) + sum(addresses) + number + (bytes.len() - start) as u64;
    assert_eq!(fold(whole), 0xffff, "transport checksum");
    if !ipv6 {
        assert_eq!(fold(sum(&bytes[network..start])), 0xffff, "header checksum");
    }
}

#[test]
fn single_packets_are_what_the_kernel_would_have_sent() {
    for shape in shapes() {
        let whole = offloaded(&shape);
        let mut pool = Pool::new(1 << 20);
        let segments = Segments::of(&whole).unwrap();
        let headers = segments.headers;
        assert_eq!(segments.count(), 8);
        let mut payload = Vec::new();
        for index in 0..8 {
            let piece = segments.carve(&whole, &(index..index + 1), &mut pool).unwrap();
            let bytes = piece.ethernet();
            assert_eq!(bytes.len() as u64, segments.wire_bytes(&(index..index + 1)));
            assert_eq!(
                (piece.offload().segmentation, piece.offload().segment_size),
                (0, 0)
            );
            assert_checksums(&piece, shape.ipv6, &headers);
            let length_at = headers.network() + if shape.ipv6 { 4 } else { 2 };
            let counted_from = headers.network() + if shape.ipv6 { 40 } else { 0 };
            let length = u16::from_be_bytes([bytes[length_at], bytes[length_at + 1]]);
            assert_eq!(usize::from(length), bytes.len() - counted_from);
            if !shape.ipv6 {
                let identification = [bytes[headers.network() + 4], bytes[headers.network() + 5]];
                assert_eq!(
                    u16::from_be_bytes(identification),
                    0xffff_u16.wrapping_add(index as u16)
                );
            }
            match shape.transport {
                Transport::Udp => {
                    let at = headers.transport + 4;
                    let length = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
                    assert_eq!(usize::from(length), bytes.len() - headers.transport);
                }
                Transport::Tcp => assert_tcp(bytes, &headers, index),
            }
            payload.extend_from_slice(&bytes[headers.length..]);
        }
        assert_eq!(payload, &whole.ethernet()[headers.length..]);
    }
}

fn assert_tcp(bytes: &[u8], headers: &Headers, index: u64) {
    let at = headers.transport;
    let sequence = u32::from_be_bytes([bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]]);
    assert_eq!(sequence, SEQUENCE.wrapping_add(index as u32 * 1400));
    let flags = match index {
        0 => ALL_FLAGS & !0x09,
        7 => ALL_FLAGS & !0x80,
        _ => ALL_FLAGS & !0x89,
    };
    assert_eq!(bytes[at + 13], flags, "segment {index}");
}

#[test]
fn a_run_stays_one_frame_to_be_segmented() {
    for shape in shapes() {
        let whole = offloaded(&shape);
        let mut pool = Pool::new(1 << 20);
        let segments = Segments::of(&whole).unwrap();
        let piece = segments.carve(&whole, &(2..6), &mut pool).unwrap();
        assert_eq!(piece.offload().segmentation, whole.offload().segmentation);
        assert_checksums(&piece, shape.ipv6, &segments.headers);
        let again = Segments::of(&piece).unwrap();
        assert_eq!(again.count(), 4);
        // Carving a carved run gives the same packet as carving the original, but for what only the first or
        // last segment of the original has.
        let twice = again.carve(&piece, &(1..2), &mut pool).unwrap();
        let once = segments.carve(&whole, &(3..4), &mut pool).unwrap();
        assert_eq!(twice.ethernet(), once.ethernet());
    }
}

#[test]
fn what_cannot_be_taken_apart_is_one_packet() {
    let good = Shape {
        vlan: false,
        ipv6: false,
        transport: Transport::Tcp,
        payload: 9000,
        segment: 1400,
    };
    let change = |change: fn(&mut Offload, &mut Vec<u8>)| {
        let original = offloaded(&good);
        let (mut offload, mut bytes) = (original.offload(), original.ethernet().to_vec());
        change(&mut offload, &mut bytes);
        Segments::of(&frame(offload, &bytes)).is_none()
    };
    assert!(!change(|_, _| {}));
    assert!(change(|offload, _| offload.segmentation = 0));
    assert!(
        change(|offload, _| offload.segmentation = 3),
        "UDP fragmentation offload"
    );
    assert!(change(|offload, _| offload.segment_size = 0));
    assert!(change(|offload, _| offload.segment_size = 1), "too many");
    assert!(change(|offload, _| offload.segment_size = 9000), "fits in one");
    assert!(change(|_, bytes| bytes.truncate(50)), "cut in its headers");
    assert!(change(|_, bytes| bytes[ETHERNET] = 0x44), "header too short");
    assert!(change(|_, bytes| bytes[ETHERNET + 6] |= 0x20), "fragment");
    assert!(
        change(|_, bytes| bytes[ETHERNET + 9] = 17),
        "protocol does not match"
    );
    assert!(
        change(|_, bytes| bytes[ETHERNET + 24 + 12] = 0x40),
        "TCP header too short"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_harmless(
        bytes in proptest::collection::vec(any::<u8>(), 14..400),
        header in any::<[u8; 5]>(),
        words in any::<[u16; 4]>(),
    ) {
        check_any(&bytes, header[0], header[1], words);
    }

    /// As above, but the first bytes lead deep into the parser.
    #[test]
    fn any_bytes_behind_plausible_headers_are_harmless(
        tail in proptest::collection::vec(any::<u8>(), 0..300),
        changes in proptest::collection::vec((0_usize..100, any::<u8>()), 0..4),
        choice in 0_usize..8,
        size in 1_u16..200,
    ) {
        let Some(shape) = shapes().nth(choice) else { return Ok(()) };
        let original = offloaded(&Shape { payload: 0, ..shape });
        let mut bytes = original.ethernet().to_vec();
        for (place, value) in changes {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        bytes.extend(tail);
        let offload = original.offload();
        check_any(&bytes, offload.flags, offload.segmentation, [0, size, 0, 0]);
    }
}

/// Whatever the frame, the pieces together have its payload and nothing panics.
fn check_any(bytes: &[u8], flags: u8, segmentation: u8, words: [u16; 4]) {
    let [header_length, segment_size, checksum_start, checksum_offset] = words;
    let offload = Offload {
        flags,
        segmentation,
        header_length,
        segment_size,
        checksum_start,
        checksum_offset,
    };
    let frame = frame(offload, bytes);
    let Some(segments) = Segments::of(&frame) else {
        return;
    };
    let mut pool = Pool::new(1 << 20);
    let count = segments.count();
    assert!(count >= 2);
    let mut payload = Vec::new();
    for index in 0..count {
        let piece = segments.carve(&frame, &(index..index + 1), &mut pool).unwrap();
        payload.extend_from_slice(&piece.ethernet()[segments.headers.length..]);
        pool.discard(piece);
    }
    assert_eq!(payload, &bytes[segments.headers.length..]);
    assert_eq!(
        segments.wire_bytes(&(0..count)),
        payload.len() as u64 + count * segments.headers.length as u64
    );
}
