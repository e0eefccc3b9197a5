//! Finding and rewriting the headers of TCP and UDP over IPv4 and IPv6. The bytes come from a node and may be
//! anything.

use crate::checksum::{fold, sum};
use crate::ethernet::{TYPE_IPV4, TYPE_IPV6, network_layer, put, word};

const IPV6: usize = 40;
const MOST_IPV6_EXTENSIONS: usize = 4;
/// Hop-by-hop options, routing, destination options.
const IPV6_EXTENSIONS: [u8; 3] = [0, 43, 60];
const TCP: u8 = 6;
const UDP: u8 = 17;
const TCP_FLAGS: usize = 13;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// The protocols that can be segmented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    fn number(self) -> u8 {
        match self {
            Transport::Tcp => TCP,
            Transport::Udp => UDP,
        }
    }
}

/// Which part of the original frame a piece is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Number of its first packet.
    pub(super) first: u64,
    /// Payload bytes before it.
    pub(super) bytes_before: u32,
    /// It ends where the original ends.
    pub(super) is_last: bool,
}

/// Where the headers of a frame lie, from the start of its Ethernet header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Headers {
    network: usize,
    pub(super) transport: usize,
    /// Length of all headers; the payload begins here.
    pub(super) length: usize,
    kind: Transport,
    is_ipv6: bool,
}

impl Headers {
    /// Finds the headers; None if they are not as expected or cut short.
    pub(super) fn parse(ethernet: &[u8], kind: Transport) -> Option<Headers> {
        let (network, protocol) = network_layer(ethernet)?;
        let transport = match protocol {
            TYPE_IPV4 => after_ipv4(ethernet, network, kind)?,
            TYPE_IPV6 => after_ipv6(ethernet, network, kind)?,
            _ => return None,
        };
        let length = transport
            + match kind {
                Transport::Udp => 8,
                Transport::Tcp => header_words(*ethernet.get(transport + 12)? >> 4, 5)?,
            };
        let is_ipv6 = protocol == TYPE_IPV6;
        (length <= ethernet.len()).then_some(Headers {
            network,
            transport,
            length,
            kind,
            is_ipv6,
        })
    }

    /// Where the IP header lies.
    #[cfg(test)]
    pub(super) fn network(&self) -> usize {
        self.network
    }

    /// Where the checksum lies in the transport header.
    pub(super) fn checksum_offset(&self) -> usize {
        match self.kind {
            Transport::Tcp => 16,
            Transport::Udp => 6,
        }
    }

    /// Makes the headers of a piece, copied from the original, those of its own packets.
    pub(super) fn rewrite(&self, ethernet: &mut [u8], place: Place) {
        let transport_length = ethernet.len() - self.transport;
        if self.is_ipv6 {
            put(
                ethernet,
                self.network + 4,
                (ethernet.len() - self.network - IPV6) as u16,
            );
        } else {
            put(ethernet, self.network + 2, (ethernet.len() - self.network) as u16);
            let identification = word(ethernet, self.network + 4).unwrap_or(0);
            put(
                ethernet,
                self.network + 4,
                identification.wrapping_add(place.first as u16),
            );
            put(ethernet, self.network + 10, 0);
            let header = ethernet.get(self.network..self.transport).unwrap_or_default();
            let sum = !fold(sum(header));
            put(ethernet, self.network + 10, sum);
        }
        match self.kind {
            Transport::Udp => put(ethernet, self.transport + 4, transport_length as u16),
            Transport::Tcp => self.rewrite_tcp(ethernet, place),
        }
        let pseudo = fold(self.pseudo_header_sum(ethernet, transport_length));
        put(ethernet, self.transport + self.checksum_offset(), pseudo);
    }

    fn rewrite_tcp(&self, ethernet: &mut [u8], place: Place) {
        if let Some(sequence) = ethernet.get_mut(self.transport + 4..self.transport + 8) {
            let mut value = [0; 4];
            value.copy_from_slice(sequence);
            let value = u32::from_be_bytes(value).wrapping_add(place.bytes_before);
            sequence.copy_from_slice(&value.to_be_bytes());
        }
        if let Some(flags) = ethernet.get_mut(self.transport + TCP_FLAGS) {
            if !place.is_last {
                *flags &= !(FIN | PSH);
            }
            if place.first > 0 {
                *flags &= !CWR;
            }
        }
    }

    /// The sum over addresses, protocol and length that a partial checksum starts from (RFC 9293 §3.1, RFC
    /// 8200 §8.1). With a routing header the kernel's own partial sum has the final destination; such frames
    /// are rare enough on a lab's link to be left to the addresses in the header.
    fn pseudo_header_sum(&self, ethernet: &[u8], transport_length: usize) -> u64 {
        let addresses = match self.is_ipv6 {
            true => self.network + 8..self.network + IPV6,
            false => self.network + 12..self.network + 20,
        };
        let addresses = ethernet.get(addresses).unwrap_or_default();
        sum(addresses) + u64::from(self.kind.number()) + transport_length as u64
    }
}

/// Start of the transport header behind an IPv4 header; None for fragments.
fn after_ipv4(ethernet: &[u8], network: usize, kind: Transport) -> Option<usize> {
    let header = ethernet.get(network..network + 20)?;
    let is_fragment = word(header, 6)? & 0x3fff != 0;
    if header[0] >> 4 != 4 || is_fragment || header[9] != kind.number() {
        return None;
    }
    Some(network + header_words(header[0] & 0x0f, 5)?)
}

/// Start of the transport header behind an IPv6 header and its extensions.
fn after_ipv6(ethernet: &[u8], network: usize, kind: Transport) -> Option<usize> {
    let header = ethernet.get(network..network + IPV6)?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let mut next = header[6];
    let mut at = network + IPV6;
    for _ in 0..MOST_IPV6_EXTENSIONS {
        if !IPV6_EXTENSIONS.contains(&next) {
            break;
        }
        let extension = ethernet.get(at..at + 2)?;
        next = extension[0];
        at += (usize::from(extension[1]) + 1) * 8;
    }
    (next == kind.number()).then_some(at)
}

/// A header length given in words of 32 bits, as bytes; None if below the least the protocol allows.
fn header_words(words: u8, least: u8) -> Option<usize> {
    (words >= least).then_some(usize::from(words) * 4)
}
