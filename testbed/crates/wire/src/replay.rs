//! Directions of a link that change by themselves, in a loop.

use std::sync::Arc;
use std::time::Duration;

use crate::{Impairment, Loss};

/// How one direction of a link changes over time. It begins when it is given to the link, and again after each period.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// After this it begins again; never zero.
    pub period: Duration,
    /// What it does in each period.
    pub playback: Playback,
}

/// What a [`Replay`] does in each period.
#[derive(Debug, Clone, PartialEq)]
pub enum Playback {
    /// Values that hold until the next step; in the order of their times, the first one at 0, all before the end of
    /// the period.
    Steps(Arc<[ReplayStep]>),
    /// Milliseconds after the beginning of the period at which [`Playback::DELIVERY`] bytes may leave the queue, in
    /// order, none after the end of the period. They take the place of the rate. An opportunity that finds the queue
    /// empty is gone; a packet that does not fit into the rest of one needs the next one as well (so does mahimahi's
    /// mm-link).
    Deliveries(Arc<[u32]>),
}

impl Playback {
    /// Bytes of a delivery opportunity, counted without Ethernet headers.
    pub const DELIVERY: u64 = 1500;
}

/// Values that hold from a moment on. What is absent is as the link's impairment says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReplayStep {
    /// Counted from the beginning of the period.
    pub at: Duration,
    /// Takes the place of [`Impairment::delay`].
    pub delay: Option<Duration>,
    /// Takes the place of [`Impairment::rate`]; at 0 nothing leaves the queue.
    pub rate: Option<u64>,
    /// Takes the place of [`Impairment::loss`].
    pub loss: Option<Loss>,
}

impl ReplayStep {
    /// The impairment with the values of this step.
    pub(crate) fn over(&self, base: &Impairment) -> Impairment {
        Impairment {
            delay: self.delay.unwrap_or(base.delay),
            rate: self.rate.or(base.rate),
            loss: self.loss.unwrap_or(base.loss),
            ..base.clone()
        }
    }
}

impl Replay {
    /// Says what is wrong with it on top of an impairment, if anything.
    pub(crate) fn check(&self, base: &Impairment) -> Result<(), String> {
        if self.period.is_zero() {
            return Err("a replay of no length never ends".to_owned());
        }
        match &self.playback {
            Playback::Steps(steps) => {
                let starts = steps.first().is_some_and(|first| first.at.is_zero());
                let ends = steps.last().is_some_and(|last| last.at < self.period);
                if !starts || !ends || !steps.is_sorted_by_key(|step| step.at) {
                    return Err("the steps of a replay are not in order, from 0 to before its end".to_owned());
                }
                // A rate of 0 is possible here, unlike in an impairment.
                let at_rate = |step: &ReplayStep| Impairment {
                    rate: step.rate.or(base.rate).filter(|&rate| rate > 0),
                    ..step.over(base)
                };
                steps.iter().try_for_each(|step| at_rate(step).check())
            }
            Playback::Deliveries(times) => {
                let end = times.last().map(|&last| Duration::from_millis(u64::from(last)));
                if end.is_none_or(|end| end > self.period) || !times.is_sorted() {
                    return Err("the deliveries of a replay are not in order, before its end".to_owned());
                }
                Ok(())
            }
        }
    }
}
