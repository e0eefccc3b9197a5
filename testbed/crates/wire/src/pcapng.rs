//! The capture file format that Wireshark reads: blocks of the
//! [pcapng draft](https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html), in the byte order of this machine,
//! with nanosecond time stamps.

use std::time::Duration;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const ETHERNET: u16 = 1;
/// 10 to the power of minus nine seconds.
const NANOSECONDS: u8 = 9;

// Option codes; 2 and 3 are name and description of an interface, 4 of a section is the program that wrote it.
const PROGRAM: u16 = 4;
const NAME: u16 = 2;
const DESCRIPTION: u16 = 3;
const RESOLUTION: u16 = 9;
const DROPPED: u16 = 5;

/// The block that begins a file. `program` wrote it.
#[must_use]
pub fn section(program: &str) -> Vec<u8> {
    let mut body = BYTE_ORDER.to_ne_bytes().to_vec();
    body.extend(1_u16.to_ne_bytes());
    body.extend(0_u16.to_ne_bytes());
    body.extend((-1_i64).to_ne_bytes()); // its length is not known yet
    option(&mut body, PROGRAM, program.as_bytes());
    end_options(&mut body);
    block(SECTION, body)
}

/// The block of an interface; the first is number 0. Frames are cut to `longest` bytes, 0 for whole ones.
#[must_use]
pub fn interface(name: &str, description: &str, longest: u32) -> Vec<u8> {
    let mut body = ETHERNET.to_ne_bytes().to_vec();
    body.extend([0; 2]);
    body.extend(longest.to_ne_bytes());
    option(&mut body, NAME, name.as_bytes());
    option(&mut body, DESCRIPTION, description.as_bytes());
    option(&mut body, RESOLUTION, &[NANOSECONDS]);
    end_options(&mut body);
    block(INTERFACE, body)
}

/// The block of a frame that an interface saw at `stamp` (since the Unix epoch), of which at most `longest` bytes are
/// kept, 0 for all.
#[must_use]
pub fn packet(interface: u32, stamp: Duration, frame: &[u8], longest: u32) -> Vec<u8> {
    let kept = match longest {
        0 => frame,
        longest => &frame[..frame.len().min(longest as usize)],
    };
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut body = interface.to_ne_bytes().to_vec();
    body.extend(time(stamp));
    body.extend(length(kept).to_ne_bytes());
    body.extend(length(frame).to_ne_bytes());
    padded(&mut body, kept);
    block(PACKET, body)
}

/// The block that says how many frames an interface has not seen until `stamp`; the last one of an interface counts.
#[must_use]
pub fn statistics(interface: u32, stamp: Duration, dropped: u64) -> Vec<u8> {
    let mut body = interface.to_ne_bytes().to_vec();
    body.extend(time(stamp));
    option(&mut body, DROPPED, &dropped.to_ne_bytes());
    end_options(&mut body);
    block(STATISTICS, body)
}

fn block(kind: u32, body: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX).to_ne_bytes();
    let mut bytes = Vec::with_capacity(body.len() + 12);
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(length);
    bytes.extend(body);
    bytes.extend(length);
    bytes
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = value.len().min(usize::from(u16::MAX));
    body.extend(code.to_ne_bytes());
    body.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
    padded(body, &value[..length]);
}

fn end_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

fn padded(body: &mut Vec<u8>, value: &[u8]) {
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// The upper half first, whatever the byte order.
fn time(stamp: Duration) -> [u8; 8] {
    let nanoseconds = u64::try_from(stamp.as_nanos()).unwrap_or(u64::MAX);
    let halves = [(nanoseconds >> 32) as u32, nanoseconds as u32].map(u32::to_ne_bytes);
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&halves[0]);
    bytes[4..].copy_from_slice(&halves[1]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> Vec<u32> {
        let word = |four: &[u8]| u32::from_ne_bytes(four.try_into().unwrap());
        bytes.chunks(4).map(word).collect()
    }

    #[test]
    fn blocks_are_whole_words_and_name_their_length_twice() {
        for bytes in [
            section("x"),
            interface("a->b", "a link", 96),
            packet(1, Duration::from_secs(1), &[7; 61], 0),
            statistics(0, Duration::ZERO, 3),
        ] {
            let words = words(&bytes);
            assert_eq!(words[1] as usize, bytes.len());
            assert_eq!(words.last(), Some(&words[1]));
        }
    }

    #[test]
    fn a_packet_keeps_its_nanoseconds_and_its_true_length() {
        let stamp = Duration::new(1_700_000_000, 123_456_789);
        let words = words(&packet(1, stamp, &[7; 61], 5));
        let time = u64::from(words[3]) << 32 | u64::from(words[4]);
        assert_eq!(u128::from(time), stamp.as_nanos());
        assert_eq!((words[2], words[5], words[6]), (1, 5, 61));
        assert_eq!(words.len(), 7 + 2 + 1, "five bytes in two words, then the length");
    }
}
