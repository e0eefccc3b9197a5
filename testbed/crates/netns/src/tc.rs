//! Traffic control messages, encoded here because rtnetlink has no netem, tbf or clsact and cannot set the kind of a queue.

pub(crate) mod filter;
pub(crate) mod leaf;
pub(crate) mod netem;
pub(crate) mod statistics;
pub(crate) mod tbf;
pub(crate) mod verdict;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};

use crate::attribute::Attributes;
use crate::netlink::Request;

// From linux/rtnetlink.h and linux/pkt_sched.h.
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
pub(crate) const TCA_KIND: u16 = 1;
pub(crate) const TCA_OPTIONS: u16 = 2;
const TCA_STAB: u16 = 8;
const TCA_STAB_BASE: u16 = 1;

/// Parent of an interface's own queue.
pub(crate) const ROOT: u32 = 0xffff_ffff;
/// Parent of clsact, the hook for filters on both directions.
const CLSACT_PARENT: u32 = 0xffff_fff1;
/// The handle clsact always has.
const CLSACT_HANDLE: u32 = 0xffff_0000;

/// Where a queue belongs and what it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// [`ROOT`], or the class of another queue.
    pub(crate) parent: u32,
    /// The queue's own number; its low 16 bits are zero.
    pub(crate) handle: u32,
}

/// `struct tcmsg`: family, padding, interface, handle, parent, info.
fn header(index: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for word in [index, handle, parent, info] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// Creates a queue, or changes it in place when one of that kind has that handle there already. A queue of another handle is
/// exchanged in one step.
pub(crate) fn put_queue(
    index: u32,
    place: Place,
    kind: &str,
    fill: impl FnOnce(&mut Attributes),
    operation: String,
) -> Request {
    let mut attributes = Attributes::default();
    attributes.put_text(TCA_KIND, kind);
    fill(&mut attributes);
    let mut body = header(index, place.handle, place.parent, 0);
    body.extend(attributes.into_bytes());
    Request::raw(RTM_NEWQDISC, body, NLM_F_CREATE | NLM_F_REPLACE, operation)
}

/// Takes a queue away, so that the interface sends at once again.
pub(crate) fn remove_queue(index: u32, place: Place, operation: String) -> Request {
    Request::raw(
        RTM_DELQDISC,
        header(index, place.handle, place.parent, 0),
        0,
        operation,
    )
}

/// Has a queue, and those inside it, count each packet as so many bytes more (or less) than it has. A change without this goes back
/// to none.
pub(crate) fn put_overhead(attributes: &mut Attributes, overhead: i32) {
    if overhead == 0 {
        return;
    }
    attributes.nest(TCA_STAB, |stab| {
        // struct tc_sizespec: logarithms and alignment of cells, overhead; link layer, smallest packet, MTU and table size: none.
        let mut bytes = vec![0; 24];
        bytes[4..8].copy_from_slice(&overhead.to_ne_bytes());
        stab.put(TCA_STAB_BASE, &bytes);
    });
}

/// The hook that filters are attached to.
pub(crate) fn put_clsact(index: u32, operation: String) -> Request {
    let place = Place {
        parent: CLSACT_PARENT,
        handle: CLSACT_HANDLE,
    };
    put_queue(index, place, "clsact", |_| {}, operation)
}

/// A class-based queue without any class yet.
pub(crate) fn put_htb(index: u32, place: Place, operation: String) -> Request {
    const TCA_HTB_INIT: u16 = 2;
    // struct tc_htb_glob: version, bytes per quantum, default class, two fields that only answers use.
    let words: [u32; 5] = [3, 10, 0, 0, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let fill = |attributes: &mut Attributes| {
        attributes.nest(TCA_OPTIONS, |options| options.put(TCA_HTB_INIT, &bytes));
    };
    put_queue(index, place, "htb", fill, operation)
}

#[cfg(test)]
pub(crate) mod captured {
    //! Comparison with messages that `tc` sent.

    use crate::attribute::{iterate, read_u16, read_u32};

    /// Length of the netlink header, and of `struct tcmsg` behind it.
    const HEADERS: [usize; 2] = [16, 20];

    pub(crate) struct Captured {
        pub(crate) kind: u16,
        pub(crate) flags: u16,
        pub(crate) body: Vec<u8>,
    }

    impl Captured {
        /// The message of a command in `captured.txt`.
        pub(crate) fn of(command: &str) -> Self {
            let mut lines = include_str!("tc/captured.txt").lines();
            assert!(lines.any(|line| line == command), "`{command}` was not captured");
            let hex: String = lines.map_while(|line| line.strip_prefix("    ")).collect();
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            let bytes: Vec<u8> = hex.as_bytes().chunks(2).map(byte).collect();
            assert_eq!(read_u32(&bytes, 0).unwrap() as usize, bytes.len());
            Self {
                kind: read_u16(&bytes, 4).unwrap(),
                // Without "request" and "acknowledge", which every message has.
                flags: read_u16(&bytes, 6).unwrap() & !0x5,
                body: bytes[HEADERS[0]..].to_vec(),
            }
        }

        pub(crate) fn header(&self) -> &[u8] {
            &self.body[..HEADERS[1]]
        }

        pub(crate) fn options(&self) -> &[u8] {
            options(&self.body)
        }
    }

    pub(crate) fn options(body: &[u8]) -> &[u8] {
        crate::attribute::find(&body[HEADERS[1]..], super::TCA_OPTIONS).unwrap()
    }

    /// How packets are counted longer, if they are.
    pub(crate) fn overhead(body: &[u8]) -> Option<&[u8]> {
        crate::attribute::find(&body[HEADERS[1]..], super::TCA_STAB)
    }

    pub(crate) fn list(attributes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        iterate(attributes)
            .map(|(kind, value)| (kind, value.to_vec()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::captured::Captured;
    use super::*;

    #[test]
    fn clsact_is_what_tc_sends() {
        let captured = Captured::of("tc qdisc add dev ma clsact");
        let request = put_clsact(3, String::new());
        let (kind, flags, body) = request.parts();
        assert_eq!((kind, body), (captured.kind, captured.body.as_slice()));
        // "add" refuses when it exists (NLM_F_EXCL); ours may find it there.
        assert_eq!(captured.flags, NLM_F_CREATE | netlink_packet_core::NLM_F_EXCL);
        assert_eq!(flags, NLM_F_CREATE | NLM_F_REPLACE);
    }
}
