//! The token bucket filter: a rate and a queue in bytes.

use std::time::Duration;

use super::{Place, TCA_OPTIONS, put_overhead, put_queue};
use crate::netlink::Request;

// From linux/pkt_sched.h.
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
/// Bytes are Ethernet frames as they are, not ATM cells.
const LINKLAYER_ETHERNET: u8 = 1;
/// What `tc` always sends here; the kernel needs it only for rate tables, which it has not used since 3.8.
const CELL_LOG: u8 = 3;
/// A tick of packet scheduling is 64 ns.
const TICK: u128 = 64;

/// The parameters the kernel gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenBucket {
    /// Bytes per second.
    pub(crate) rate: u64,
    /// Bytes that may go out at once. A larger packet would be dropped.
    pub(crate) burst: u32,
    /// Bytes that may wait.
    pub(crate) limit: u32,
    /// Bytes that every frame is counted longer (or shorter), here and in the queue inside.
    pub(crate) overhead: i32,
}

/// Creates the queue or changes its parameters; packets in it stay.
///
/// The rate table that `tc` sends along is left out: since the link layer is given, the kernel does not read it.
pub(crate) fn put(index: u32, place: Place, bucket: &TokenBucket, operation: String) -> Request {
    put_queue(
        index,
        place,
        "tbf",
        |attributes| {
            attributes.nest(TCA_OPTIONS, |options| {
                options.put(TCA_TBF_PARMS, &parameters(bucket));
                options.put(TCA_TBF_BURST, &bucket.burst.to_ne_bytes());
                if bucket.rate > u64::from(u32::MAX) {
                    options.put(TCA_TBF_RATE64, &bucket.rate.to_ne_bytes());
                }
            });
            put_overhead(attributes, bucket.overhead);
        },
        operation,
    )
}

/// `struct tc_tbf_qopt`: rate, peak rate (none), limit, burst as time, smallest unit of the peak rate.
fn parameters(bucket: &TokenBucket) -> Vec<u8> {
    let mut bytes = vec![CELL_LOG, LINKLAYER_ETHERNET];
    // Its own overhead would be counted for the rate, but not for what waits.
    bytes.extend_from_slice(&0_u16.to_ne_bytes());
    bytes.extend_from_slice(&(-1_i16).to_ne_bytes());
    bytes.extend_from_slice(&0_u16.to_ne_bytes());
    // All ones means: see the 64-bit attribute.
    bytes.extend_from_slice(&u32::try_from(bucket.rate).unwrap_or(u32::MAX).to_ne_bytes());
    bytes.extend_from_slice(&[0; 12]);
    for word in [bucket.limit, burst_ticks(bucket), 0] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes
}

fn burst_ticks(bucket: &TokenBucket) -> u32 {
    let nanoseconds =
        u128::from(bucket.burst) * Duration::from_secs(1).as_nanos() / u128::from(bucket.rate.max(1));
    u32::try_from(nanoseconds / TICK).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tc::ROOT;
    use crate::tc::captured::{Captured, list, options, overhead};

    /// The rate table, which we do not send.
    const TCA_TBF_RTAB: u16 = 2;
    /// Where `struct tc_tbf_qopt` has it.
    const BURST_AS_TIME: std::ops::Range<usize> = 28..32;
    const PLACE: Place = Place {
        parent: ROOT,
        handle: 2 << 16,
    };

    /// Compares everything but the rate table, and the burst as time where `tc` computes it from the largest 32-bit rate; the kernel
    /// goes by the burst in bytes, which is sent as well.
    fn assert_same(bucket: &TokenBucket, command: &str) {
        let captured = Captured::of(command);
        let request = put(2, PLACE, bucket, String::new());
        let (kind, flags, body) = request.parts();
        assert_eq!((kind, flags), (captured.kind, captured.flags));
        assert_eq!(&body[..20], captured.header());
        let mut expected = list(captured.options());
        expected.retain(|(kind, _)| *kind != TCA_TBF_RTAB);
        let mut ours = list(options(body));
        if bucket.rate > u64::from(u32::MAX) {
            for parameters in [&mut ours[0].1, &mut expected[0].1] {
                parameters[BURST_AS_TIME].fill(0);
            }
        }
        assert_eq!(ours, expected);
        assert_eq!(overhead(body), overhead(&captured.body));
    }

    #[test]
    fn a_rate_is_what_tc_sends() {
        let bucket = TokenBucket {
            rate: 12_500_000,
            burst: 12_500,
            limit: 625_000,
            overhead: 0,
        };
        assert_same(
            &bucket,
            "tc qdisc replace dev mb root handle 2: tbf rate 100mbit burst 12500 limit 625000",
        );
    }

    #[test]
    fn a_rate_above_32_bits_is_what_tc_sends() {
        let bucket = TokenBucket {
            rate: 5_000_000_000,
            burst: 5_000_000,
            limit: 250_000_000,
            overhead: 0,
        };
        assert_same(
            &bucket,
            "tc qdisc replace dev mb root handle 2: tbf rate 40gbit burst 5000000 limit 250000000",
        );
    }

    #[test]
    fn overhead_is_what_tc_sends() {
        let bucket = TokenBucket {
            rate: 125_000,
            burst: 3036,
            limit: 24_288,
            overhead: 24,
        };
        assert_same(
            &bucket,
            "tc qdisc replace dev mb root handle 2: stab overhead 24 tbf rate 1mbit burst 3036 limit 24288",
        );
    }

    #[test]
    fn a_burst_of_hours_does_not_overflow() {
        let bucket = TokenBucket {
            rate: 1,
            burst: u32::MAX,
            limit: 1,
            overhead: 0,
        };
        assert_eq!(burst_ticks(&bucket), u32::MAX);
        assert_eq!(burst_ticks(&TokenBucket { rate: 0, ..bucket }), u32::MAX);
    }
}
