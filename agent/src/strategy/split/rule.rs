//! How the strategies that split share a function out.

use crate::strategy::directory::Candidate;
use crate::strategy::percent::{WHOLE, shares};
use crate::strategy::portions::Portions;
use crate::strategy::{Compatibility, OwnWeights};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::time::Duration;

/// The static strategy keeps this much here when a neighbour takes part.
const STATIC_HERE: u32 = 60;

/// Which of them.
#[derive(Debug)]
pub enum Rule {
    /// `staticstrategy`: 60 here, 40 divided among the neighbours.
    Static,
    /// `alllocalstrategy`: everything here.
    AllLocal,
    /// `randomstrategy`: drawn anew every period.
    Random {
        /// The stream of draws.
        stream: Box<ChaCha8Rng>,
        /// Whether requests may be rejected as well.
        reject: bool,
    },
    /// `latencythresholdstrategy`: equally among this node and the peers whose round trip is at most this.
    LatencyThreshold(Duration),
}

impl Rule {
    /// Random weights from a seed.
    #[must_use]
    pub fn random(seed: u64, reject: bool) -> Self {
        Self::Random {
            stream: Box::new(ChaCha8Rng::seed_from_u64(seed)),
            reject,
        }
    }

    /// The weights of a function that is deployed here (or not), over these peers.
    pub(super) fn divide(
        &mut self,
        here: bool,
        candidates: &[Candidate],
        compatibility: Compatibility,
    ) -> Portions {
        match self {
            Self::AllLocal => Portions::here(),
            Self::Static => divide_statically(here, candidates, compatibility),
            Self::Random { stream, reject } => {
                let rejectable = *reject && (here || !candidates.is_empty());
                draw(stream, here, rejectable, candidates, compatibility)
            }
            Self::LatencyThreshold(threshold) => {
                let near: Vec<Candidate> = candidates
                    .iter()
                    .filter(|candidate| candidate.round_trip.is_some_and(|time| time <= *threshold))
                    .cloned()
                    .collect();
                divide_equally(here, &near, compatibility)
            }
        }
    }
}

fn own(local: u32, reject: u32) -> OwnWeights {
    OwnWeights { local, reject }
}

fn with_peers(own: OwnWeights, candidates: &[Candidate], weights: impl IntoIterator<Item = u32>) -> Portions {
    let names = candidates.iter().map(|candidate| candidate.peer.clone());
    Portions {
        own,
        peers: names.zip(weights).collect(),
    }
}

fn divide_statically(here: bool, candidates: &[Candidate], compatibility: Compatibility) -> Portions {
    let count = candidates.len();
    if count == 0 {
        return if here {
            Portions::here()
        } else {
            Portions::default()
        };
    }
    if compatibility == Compatibility::Upstream {
        let each = (f64::from(WHOLE - STATIC_HERE) / count as f64).round() as u32;
        return with_peers(own(STATIC_HERE, 0), candidates, vec![each; count]);
    }
    let local = if here { f64::from(STATIC_HERE) } else { 0.0 };
    let each = f64::from(WHOLE - STATIC_HERE) / count as f64;
    proportional(local, None, candidates, &vec![each; count])
}

/// Whole percentages of these amounts, for this node, the rejector if there is one, and the peers.
fn proportional(local: f64, reject: Option<f64>, candidates: &[Candidate], peers: &[f64]) -> Portions {
    let amounts: Vec<f64> = [local, reject.unwrap_or(0.0)]
        .into_iter()
        .chain(peers.iter().copied())
        .collect();
    let mut shares = shares(&amounts).into_iter();
    let (local, reject) = (shares.next().unwrap_or(0), shares.next().unwrap_or(0));
    with_peers(own(local, reject), candidates, shares)
}

fn draw(
    stream: &mut ChaCha8Rng,
    here: bool,
    reject: bool,
    candidates: &[Candidate],
    compatibility: Compatibility,
) -> Portions {
    // Uniform in (0, 1]: something is always drawn.
    let mut uniform = || (f64::from(stream.next_u32()) + 1.0) / (f64::from(u32::MAX) + 1.0);
    let local = if here { uniform() } else { 0.0 };
    let peers: Vec<f64> = candidates.iter().map(|_| uniform()).collect();
    let rejected = reject.then(&mut uniform);
    if compatibility == Compatibility::Ours {
        return proportional(local, rejected, candidates, &peers);
    }
    // The original truncates and gives the remainder to the last one drawn.
    let mut amounts: Vec<f64> = std::iter::once(local).chain(peers).collect();
    amounts.extend(rejected);
    let total: f64 = amounts.iter().sum();
    if total <= 0.0 {
        return Portions::default();
    }
    let mut weights: Vec<u32> = amounts
        .iter()
        .map(|amount| (amount / total * f64::from(WHOLE)).floor() as u32)
        .collect();
    let remainder = WHOLE.saturating_sub(weights.iter().sum());
    if let Some(last) = weights.last_mut() {
        *last += remainder;
    }
    let reject = rejected.and_then(|_| weights.pop()).unwrap_or(0);
    with_peers(own(weights[0], reject), candidates, weights.into_iter().skip(1))
}

/// Equal whole parts; what is left over goes one by one to this node first, then to the peers.
fn divide_equally(here: bool, candidates: &[Candidate], compatibility: Compatibility) -> Portions {
    let sharers = candidates.len() + usize::from(here);
    let Some(each) = u32::try_from(sharers)
        .ok()
        .and_then(|sharers| WHOLE.checked_div(sharers))
    else {
        return Portions::default();
    };
    let mut left = WHOLE - each * u32::try_from(sharers).unwrap_or(0);
    let mut next = || {
        let extra = u32::from(left > 0);
        left -= extra;
        each + extra
    };
    let local = if here { next() } else { 0 };
    let peers: Vec<u32> = candidates.iter().map(|_| next()).collect();
    if compatibility == Compatibility::Upstream && WHOLE.is_multiple_of(u32::try_from(sharers).unwrap_or(1)) {
        // Nothing is left for this node, and the original counts on from there, below zero.
        return with_peers(
            own(local, 0),
            candidates,
            peers.into_iter().map(|weight| weight + 1),
        );
    }
    with_peers(own(local, 0), candidates, peers)
}
