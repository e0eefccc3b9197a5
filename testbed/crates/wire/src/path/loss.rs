//! Loss: each packet by itself. Bursts (Gilbert 1960, Elliott 1963) will be another kind of judge here.

use crate::random::Stream;

/// The loss stage.
#[derive(Debug)]
pub(super) struct Loss {
    probability: f64,
    stream: Stream,
}

impl Loss {
    pub(super) fn new(stream: Stream) -> Loss {
        Loss {
            probability: 0.0,
            stream,
        }
    }

    pub(super) fn set(&mut self, probability: f64) {
        self.probability = probability;
    }

    pub(super) fn is_on(&self) -> bool {
        self.probability > 0.0
    }

    /// Whether packet `index` is lost.
    pub(super) fn takes(&mut self, index: u64) -> bool {
        self.is_on() && self.stream.fraction(index) < self.probability
    }
}
