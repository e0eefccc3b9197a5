//! Everything that is read from the kernel's answers, for fuzzing.

use crate::counters::InterfaceReading;
use crate::netlink::messages;
use crate::tc::{netem, statistics};

/// Reads bytes as the answers to every request of this crate: as a datagram of messages, and each payload as each kind of answer.
/// Never panics, whatever the bytes; what is malformed is skipped.
#[doc(hidden)]
pub fn decode(bytes: &[u8]) {
    for message in messages(bytes) {
        drop((message.error_number(), message.sentence()));
        decode_payload(message.payload);
    }
    decode_payload(bytes);
}

fn decode_payload(payload: &[u8]) {
    drop(statistics::read(payload));
    let _ = netem::reported_seed(payload);
    let _ = InterfaceReading::of(payload);
}
