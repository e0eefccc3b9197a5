//! Where the network layer begins in an Ethernet frame.

pub(crate) const TYPE_IPV4: u16 = 0x0800;
pub(crate) const TYPE_IPV6: u16 = 0x86dd;
const HEADER: usize = 14;
const TYPES_VLAN: [u16; 2] = [0x8100, 0x88a8];
const MOST_VLAN_TAGS: usize = 2;

/// Offset and EtherType of what is behind the Ethernet header and up to two VLAN tags; None if the frame ends before.
pub(crate) fn network_layer(ethernet: &[u8]) -> Option<(usize, u16)> {
    let mut offset = HEADER;
    let mut protocol = word(ethernet, offset - 2)?;
    for _ in 0..MOST_VLAN_TAGS {
        if TYPES_VLAN.contains(&protocol) {
            offset += 4;
            protocol = word(ethernet, offset - 2)?;
        }
    }
    Some((offset, protocol))
}

/// The 16 bits at an offset.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    match bytes.get(at..at + 2) {
        Some(&[first, second]) => Some(u16::from_be_bytes([first, second])),
        _ => None,
    }
}

/// Replaces the 16 bits at an offset, if there are that many.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}
