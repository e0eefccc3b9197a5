//! The filter that takes every packet arriving at one midpoint to the other.

use netlink_packet_core::NLM_F_CREATE;

use super::{TCA_KIND, TCA_OPTIONS, header};
use crate::attribute::Attributes;
use crate::netlink::Request;

// From linux/rtnetlink.h, linux/pkt_cls.h and linux/tc_act/tc_mirred.h.
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const INGRESS: u32 = 0xffff_fff2;
const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TCA_U32_TERMINAL: u8 = 1;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const NESTED: u16 = 0x8000;
const TCA_MIRRED_PARMS: u16 = 2;
const TC_ACT_SHOT: u32 = 2;
const TCA_EGRESS_MIRROR: u32 = 2;

/// Priority 1 in the upper half; `ETH_P_ALL` in network byte order in the lower.
const EVERY_PROTOCOL: u32 = (1 << 16) | (0x0003_u16.to_be() as u32);
/// Table 800, bucket 0, item 800: a fixed handle, so that the filter is exchanged and not added once more.
const HANDLE: u32 = 0x8000_0800;

/// Everything that arrives at `from` is cloned to the sending side of `to`, and the original dropped.
///
/// A clone and not a redirection, because the clone is charged to no socket: a full queue then drops packets, instead of holding a
/// local sender back. u32 matching nothing in particular, because it is in every kernel, unlike the "matchall" classifier.
pub(crate) fn put_mirror(from: u32, to: u32, operation: String) -> Request {
    let mut attributes = Attributes::default();
    attributes.put_text(TCA_KIND, "u32");
    attributes.nest(TCA_OPTIONS, |options| {
        options.nest(TCA_U32_ACT, |actions| {
            actions.nest(1, |action| mirror(action, to))
        });
        options.put(TCA_U32_SEL, &match_everything());
    });
    let mut body = header(from, HANDLE, INGRESS, EVERY_PROTOCOL);
    body.extend(attributes.into_bytes());
    Request::raw(RTM_NEWTFILTER, body, NLM_F_CREATE, operation)
}

/// Takes the filter away. What arrives is for no address of a wire namespace, so the kernel drops it.
pub(crate) fn remove_mirror(from: u32, operation: String) -> Request {
    let mut attributes = Attributes::default();
    attributes.put_text(TCA_KIND, "u32");
    let mut body = header(from, HANDLE, INGRESS, EVERY_PROTOCOL);
    body.extend(attributes.into_bytes());
    Request::raw(RTM_DELTFILTER, body, 0, operation)
}

/// As [`put_mirror`], but passing packets on: tells whether the kernel has u32 at all.
pub(crate) fn put_plain(index: u32, operation: String) -> Request {
    let mut attributes = Attributes::default();
    attributes.put_text(TCA_KIND, "u32");
    attributes.nest(TCA_OPTIONS, |options| {
        options.put(TCA_U32_SEL, &match_everything())
    });
    let mut body = header(index, HANDLE, INGRESS, EVERY_PROTOCOL);
    body.extend(attributes.into_bytes());
    Request::raw(RTM_NEWTFILTER, body, NLM_F_CREATE, operation)
}

fn mirror(action: &mut Attributes, to: u32) {
    action.put_text(TCA_ACT_KIND, "mirred");
    action.nest(TCA_ACT_OPTIONS | NESTED, |options| {
        // struct tc_mirred: index, capabilities, what happens to the original, two counters, what is done, to which interface.
        let words = [0, 0, TC_ACT_SHOT, 0, 0, TCA_EGRESS_MIRROR, to];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        options.put(TCA_MIRRED_PARMS, &bytes);
    });
}

/// `struct tc_u32_sel` with one key whose mask is zero.
fn match_everything() -> [u8; 32] {
    let mut selector = [0; 32];
    selector[0] = TCA_U32_TERMINAL;
    selector[2] = 1; // number of keys
    selector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tc::captured::Captured;

    #[test]
    fn the_mirror_is_what_tc_sends() {
        let captured = Captured::of(
            "tc filter add dev ma ingress protocol all prio 1 handle 800::800 \
             u32 match u32 0 0 action mirred egress mirror dev mb drop",
        );
        let request = put_mirror(3, 2, String::new());
        let (kind, _, body) = request.parts();
        assert_eq!((kind, body), (captured.kind, captured.body.as_slice()));
    }

    #[test]
    fn the_removal_is_what_tc_sends() {
        let captured = Captured::of("tc filter del dev ma ingress protocol all prio 1 handle 800::800 u32");
        let request = remove_mirror(3, String::new());
        let (kind, flags, body) = request.parts();
        assert_eq!(
            (kind, flags, body),
            (captured.kind, captured.flags, captured.body.as_slice())
        );
    }
}
