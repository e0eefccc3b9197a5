//! Loss: each packet by itself, or by a channel that is good or bad for a while.

use crate::random::Stream;
use crate::{GilbertElliott, Loss as Model};

/// The loss stage.
#[derive(Debug)]
pub(super) struct Loss {
    model: Model,
    is_bad: bool,
    stream: Stream,
}

impl Loss {
    pub(super) fn new(stream: Stream) -> Loss {
        Loss {
            model: Model::default(),
            is_bad: false,
            stream,
        }
    }

    /// Changes the model. A channel begins in its good state, unless it was there before with other values.
    pub(super) fn set(&mut self, model: Model) {
        if let Model::Independent(_) = model {
            self.is_bad = false;
        }
        self.model = model;
    }

    pub(super) fn is_on(&self) -> bool {
        match self.model {
            Model::Independent(probability) => probability > 0.0,
            Model::GilbertElliott(_) => true,
        }
    }

    /// Whether packet `index` is lost. Packets must be asked for in their order.
    pub(super) fn takes(&mut self, index: u64) -> bool {
        match self.model {
            Model::Independent(probability) => probability > 0.0 && self.stream.fraction(index) < probability,
            Model::GilbertElliott(GilbertElliott { p, r, bad, good }) => {
                let (change, fate) = self.stream.pair(index);
                let (loss, turn) = if self.is_bad { (bad, r) } else { (good, p) };
                self.is_bad ^= change < turn;
                fate < loss
            }
        }
    }
}
