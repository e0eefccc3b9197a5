//! What a link does to packets in one direction.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::{BitRate, QueueLimit, TimeSpan, duration_text, optional_duration_text};

/// What a link does to packets in one direction. The default passes everything at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impairment {
    /// Time each packet is held.
    #[serde(with = "duration_text")]
    pub delay: Duration,
    /// How far a packet's delay strays from `delay`: at most this far (uniform), or one standard deviation
    /// (normal). Packets keep their order.
    #[serde(with = "duration_text")]
    pub jitter: Duration,
    /// How `jitter` is distributed.
    pub distribution: JitterDistribution,
    /// Share of packets lost, each on its own, 0 to 1.
    pub loss: f64,
    /// Bit/s of layer 2, as tc counts; unlimited when absent.
    pub rate: Option<u64>,
    /// How much may wait for `rate`; what comes beyond is dropped.
    pub queue: Option<QueueLimit>,
}

impl Impairment {
    /// Whether packets pass untouched.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self
            == Impairment {
                distribution: self.distribution,
                ..Impairment::default()
            }
    }
}

/// As in a topology file: `delay 5ms, loss 0.5%`.
impl fmt::Display for Impairment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.delay.is_zero() {
            parts.push(format!("delay {}", TimeSpan(self.delay)));
        }
        if !self.jitter.is_zero() {
            let shape = match self.distribution {
                JitterDistribution::Uniform => "",
                JitterDistribution::Normal => " normal",
            };
            parts.push(format!("jitter {}{shape}", TimeSpan(self.jitter)));
        }
        if self.loss > 0.0 {
            // Nine decimal places: what a 32-bit probability in the kernel can hold.
            parts.push(format!("loss {}%", (self.loss * 1e11).round() / 1e9));
        }
        if let Some(rate) = self.rate {
            parts.push(format!("rate {}", BitRate(rate)));
        }
        if let Some(queue) = self.queue {
            parts.push(format!("queue {queue}"));
        }
        if parts.is_empty() {
            parts.push("as it is".to_owned());
        }
        formatter.write_str(&parts.join(", "))
    }
}

/// How jitter is distributed around the delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JitterDistribution {
    /// Every delay from `delay - jitter` to `delay + jitter` is as likely.
    #[default]
    Uniform,
    /// A bell curve with the standard deviation `jitter`, cut off at a delay of 0.
    Normal,
}

/// A change of some of a direction's impairments; the others stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImpairmentChange {
    /// See [`Impairment::delay`].
    #[serde(with = "optional_duration_text")]
    pub delay: Option<Duration>,
    /// See [`Impairment::jitter`].
    #[serde(with = "optional_duration_text")]
    pub jitter: Option<Duration>,
    /// See [`Impairment::distribution`].
    pub distribution: Option<JitterDistribution>,
    /// See [`Impairment::loss`].
    pub loss: Option<f64>,
    /// See [`Impairment::rate`].
    pub rate: Option<u64>,
    /// See [`Impairment::queue`].
    pub queue: Option<QueueLimit>,
}

impl ImpairmentChange {
    /// `before` with this change.
    #[must_use]
    pub fn applied_to(&self, before: &Impairment) -> Impairment {
        Impairment {
            delay: self.delay.unwrap_or(before.delay),
            jitter: self.jitter.unwrap_or(before.jitter),
            distribution: self.distribution.unwrap_or(before.distribution),
            loss: self.loss.unwrap_or(before.loss),
            rate: self.rate.or(before.rate),
            queue: self.queue.or(before.queue),
        }
    }

    /// This change with those keys of `other` that this one leaves alone.
    pub(crate) fn or(&self, other: &ImpairmentChange) -> ImpairmentChange {
        ImpairmentChange {
            delay: self.delay.or(other.delay),
            jitter: self.jitter.or(other.jitter),
            distribution: self.distribution.or(other.distribution),
            loss: self.loss.or(other.loss),
            rate: self.rate.or(other.rate),
            queue: self.queue.or(other.queue),
        }
    }
}
