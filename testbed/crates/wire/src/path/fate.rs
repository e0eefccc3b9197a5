//! What chance has in store for a packet: loss, duplication, damage, overtaking, jitter.

use crate::random::{Correlated, Purpose, Stream, Twin};
use crate::{Direction, Impairment};

use super::jitter::Jitter;
use super::loss::Loss;

/// What happens to one packet that is not lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fate {
    /// The random number that says which bit is flipped, if one is.
    pub(super) damage: Option<u64>,
    /// It is not delayed.
    pub(super) overtakes: bool,
    /// Nanoseconds that jitter adds to its delay.
    pub(super) jitter: i64,
}

/// What happens to a packet that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Lost,
    Passes(Fate),
    /// It goes on as two.
    Twice(Fate, Fate),
}

impl Verdict {
    /// Nothing happens to the packet.
    pub(super) const PLAIN: Verdict = Verdict::Passes(Fate {
        damage: None,
        overtakes: false,
        jitter: 0,
    });
}

/// The random streams that a packet's fate is drawn from; those of copies are their own.
#[derive(Debug)]
struct Own {
    corrupt: Stream,
    place: Stream,
    reorder: Correlated,
    jitter: Jitter,
}

/// All decisions by chance of one direction.
#[derive(Debug)]
pub(super) struct Fates {
    loss: Loss,
    duplicate: Stream,
    duplicate_probability: f64,
    corrupt_probability: f64,
    reorder_probability: f64,
    first: Own,
    second: Own,
}

impl Fates {
    pub(super) fn new(seed: u64, link: &str, direction: Direction) -> Fates {
        let stream = |purpose| Stream::new(seed, link, direction, purpose);
        let own = |twin| Own {
            corrupt: stream(Purpose::Corrupt(twin)),
            place: stream(Purpose::CorruptPlace(twin)),
            reorder: Correlated::new(stream(Purpose::Reorder(twin))),
            jitter: Jitter::new(stream(Purpose::Jitter(twin))),
        };
        Fates {
            loss: Loss::new(stream(Purpose::Loss)),
            duplicate: stream(Purpose::Duplicate),
            duplicate_probability: 0.0,
            corrupt_probability: 0.0,
            reorder_probability: 0.0,
            first: own(Twin::First),
            second: own(Twin::Second),
        }
    }

    pub(super) fn set(&mut self, impairment: &Impairment) {
        self.loss.set(impairment.loss);
        self.duplicate_probability = impairment.duplicate;
        self.corrupt_probability = impairment.corrupt;
        self.reorder_probability = impairment.reorder;
        for own in [&mut self.first, &mut self.second] {
            own.reorder.set(impairment.reorder_correlation);
            own.jitter.set(impairment);
        }
    }

    /// Whether packets have fates at all; else [`Fates::judge`] says [`Verdict::PLAIN`] of each.
    pub(super) fn are_drawn(&self) -> bool {
        let probabilities = [
            self.duplicate_probability,
            self.corrupt_probability,
            self.reorder_probability,
        ];
        self.loss.is_on() || self.first.jitter.is_on() || probabilities.iter().any(|&it| it > 0.0)
    }

    /// What happens to packet `index`. Packets must be asked for in their order.
    pub(super) fn judge(&mut self, index: u64) -> Verdict {
        if self.loss.takes(index) {
            return Verdict::Lost;
        }
        let (corrupt, reorder) = (self.corrupt_probability, self.reorder_probability);
        let first = self.first.fate(index, corrupt, reorder);
        if happens(&mut self.duplicate, index, self.duplicate_probability) {
            return Verdict::Twice(first, self.second.fate(index, corrupt, reorder));
        }
        Verdict::Passes(first)
    }
}

impl Own {
    fn fate(&mut self, index: u64, corrupt: f64, reorder: f64) -> Fate {
        let damaged = happens(&mut self.corrupt, index, corrupt);
        Fate {
            damage: damaged.then(|| self.place.draw(index)),
            overtakes: reorder > 0.0 && self.reorder.fraction(index) < reorder,
            jitter: self.jitter.of(index),
        }
    }
}

fn happens(stream: &mut Stream, index: u64, probability: f64) -> bool {
    probability > 0.0 && stream.fraction(index) < probability
}
