//! Spreading an excess over the nearest peers that have room: what `latencyawarestrategy` does instead of recalc's
//! proportional spread.

use super::percent::shares;
use std::time::Duration;

/// How much of an offer is used while farther peers have room: a peer counts over single seconds, so that arrivals
/// that are not evenly spaced would exceed an offer that is used up to its end.
const FILL: f64 = 0.9;
/// Peers whose round trips differ by less than this, or by less than a fifth, are equally near: pings are not that exact.
const SAME_DISTANCE: Duration = Duration::from_millis(1);
const SAME_RATIO: f64 = 1.2;

/// A peer that may be forwarded to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Requests per second it takes.
    pub(super) limit: f64,
    /// How far it is; a peer that was never measured is farther than all others.
    pub(super) round_trip: Option<Duration>,
}

/// Weights, in the order of the candidates, that send `excess` requests per second to the nearest ones: each is filled
/// to nine tenths of its limit before the next is used, then all to their limits in the same order; what exceeds all
/// limits is spread in proportion to them. Equally near peers share in proportion to their limits.
pub(super) fn spread(candidates: &[Candidate], excess: f64) -> Vec<u32> {
    let limits: Vec<f64> = candidates
        .iter()
        .map(|candidate| {
            if candidate.limit.is_finite() {
                candidate.limit.max(0.0)
            } else {
                0.0
            }
        })
        .collect();
    let total: f64 = limits.iter().sum();
    if !excess.is_finite() || excess >= total {
        return shares(&limits);
    }
    let mut left = excess.max(f64::MIN_POSITIVE);
    let mut used = vec![0.0; limits.len()];
    let rings = rings(candidates);
    for fill in [FILL, 1.0] {
        for ring in &rings {
            let room = |place: &usize| (limits[*place] * fill - used[*place]).max(0.0);
            let rooms: Vec<f64> = ring.iter().map(room).collect();
            let room: f64 = rooms.iter().sum();
            if room <= 0.0 {
                continue;
            }
            let taken = left.min(room);
            for (place, own) in ring.iter().zip(rooms) {
                used[*place] += own / room * taken;
            }
            left -= taken;
            if left <= 0.0 {
                return shares(&used);
            }
        }
    }
    shares(&used)
}

/// Places of the candidates by distance, those equally far together.
fn rings(candidates: &[Candidate]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    let distance = |place: &usize| candidates[*place].round_trip.unwrap_or(Duration::MAX);
    order.sort_by_key(distance);
    let mut rings: Vec<(Duration, Vec<usize>)> = Vec::new();
    for place in order {
        let here = distance(&place);
        match rings.last_mut() {
            Some((nearest, ring)) if same(*nearest, here) => ring.push(place),
            _ => rings.push((here, vec![place])),
        }
    }
    rings.into_iter().map(|(_, ring)| ring).collect()
}

fn same(near: Duration, far: Duration) -> bool {
    far.saturating_sub(near) <= SAME_DISTANCE || far.as_secs_f64() <= near.as_secs_f64() * SAME_RATIO
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates(peers: &[(f64, u64)]) -> Vec<Candidate> {
        peers
            .iter()
            .map(|&(limit, milliseconds)| Candidate {
                limit,
                round_trip: Some(Duration::from_millis(milliseconds)),
            })
            .collect()
    }

    #[test]
    fn the_nearest_first_and_no_farther_than_needed() {
        let peers = candidates(&[(40.0, 200), (40.0, 10), (40.0, 80)]);
        assert_eq!(spread(&peers, 30.0), [0, 100, 0]);
        assert_eq!(spread(&peers, 45.0), [0, 80, 20]);
        // 36 + 36 + 18 of 90.
        assert_eq!(spread(&peers, 90.0), [20, 40, 40]);
    }

    #[test]
    fn the_last_tenth_is_used_when_there_is_nothing_else() {
        let peers = candidates(&[(10.0, 10), (10.0, 50)]);
        assert_eq!(spread(&peers, 19.5), [51, 49], "10 and 9.5");
        assert_eq!(spread(&peers, 500.0), [50, 50]);
    }

    #[test]
    fn equally_near_peers_share_by_their_limits() {
        let peers = candidates(&[(30.0, 10), (10.0, 11), (40.0, 90)]);
        assert_eq!(spread(&peers, 20.0), [75, 25, 0]);
        let unmeasured = Candidate {
            limit: 40.0,
            round_trip: None,
        };
        assert_eq!(spread(&[unmeasured, peers[2]], 20.0), [0, 100]);
    }

    proptest! {
        #[test]
        fn a_hundred_or_nothing(
            peers in prop::collection::vec((any::<f64>(), prop::option::of(any::<u64>())), 0..100), excess: f64,
        ) {
            let candidates: Vec<Candidate> = peers
                .iter()
                .map(|&(limit, nanoseconds)| Candidate { limit, round_trip: nanoseconds.map(Duration::from_nanos) })
                .collect();
            let weights = spread(&candidates, excess);
            let some = candidates.iter().any(|candidate| candidate.limit.is_finite() && candidate.limit > 0.0);
            prop_assert_eq!(weights.len(), candidates.len());
            prop_assert_eq!(weights.iter().sum::<u32>(), if some { 100 } else { 0 });
        }

        /// Nobody is given more than it offered while the offers suffice.
        #[test]
        fn within_the_limits(limits in prop::collection::vec((1.0..100.0f64, 1u64..500), 1..20), part in 0.01..0.99f64) {
            let peers = candidates(&limits);
            let total: f64 = limits.iter().map(|peer| peer.0).sum();
            let excess = total * part;
            for (weight, (limit, _)) in spread(&peers, excess).into_iter().zip(&limits) {
                // A weight is a whole percent.
                prop_assert!(f64::from(weight) / 100.0 * excess <= limit + excess / 100.0);
            }
        }
    }
}
