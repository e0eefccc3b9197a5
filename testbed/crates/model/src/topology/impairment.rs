//! What a link does to packets in one direction.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::distribution::JitterDistribution;
use super::loss::{GilbertElliott, LossModel};
use crate::units::{QueueLimit, duration_text, optional_duration_text};

/// What a link does to packets in one direction. The default passes everything at once.
///
/// A *correlation* is the probability with which a packet shares the random number of the packet before it. So it does
/// not change how often something happens, or how delays are distributed, only how much alike neighbours are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Impairment {
    /// Whether everything is lost.
    pub blackhole: bool,
    /// Share of packets lost, 0 to 1; see [`Impairment::loss_model`].
    pub loss: f64,
    /// Correlation of the losses, 0 to 1.
    pub loss_correlation: f64,
    /// Mean length of a burst of losses, in packets.
    pub loss_burst: Option<f64>,
    /// A two-state channel, in place of `loss`.
    pub gilbert_elliott: Option<GilbertElliott>,
    /// Share of packets sent twice, 0 to 1; the second right behind the first.
    pub duplicate: f64,
    /// Share of packets in which one bit is flipped, 0 to 1.
    pub corrupt: f64,
    /// Bit/s of layer 2, as tc counts; unlimited when absent.
    pub rate: Option<u64>,
    /// Bytes that pass at once after a pause. Without, each packet takes its time at the given rate, the first as well.
    pub burst: Option<u64>,
    /// Bytes added to each packet where the rate and a queue in bytes count it.
    pub overhead: i32,
    /// How much may wait for `rate`; what comes beyond is dropped. 50 ms worth when absent, but ten full frames at least.
    pub queue: Option<QueueLimit>,
    /// Which packets a filling queue drops.
    pub queue_discipline: QueueDiscipline,
    /// Whether CoDel marks packets of transports that understand (RFC 3168) in place of dropping them.
    pub ecn: bool,
    /// Share of packets that are not delayed and so overtake others, 0 to 1.
    pub reorder: f64,
    /// Correlation of the overtaking, 0 to 1.
    pub reorder_correlation: f64,
    /// Time each packet is held.
    #[serde(with = "duration_text")]
    pub delay: Duration,
    /// How far a packet's delay strays from `delay`; what that means is up to `distribution`.
    #[serde(with = "duration_text")]
    pub jitter: Duration,
    /// How `jitter` is distributed.
    pub distribution: JitterDistribution,
    /// Correlation of the jitter, 0 to 1.
    pub delay_correlation: f64,
    /// Whether packets keep their order although jitter would swap them.
    pub ordered: bool,
}

impl Default for Impairment {
    fn default() -> Self {
        Impairment {
            blackhole: false,
            loss: 0.0,
            loss_correlation: 0.0,
            loss_burst: None,
            gilbert_elliott: None,
            duplicate: 0.0,
            corrupt: 0.0,
            rate: None,
            burst: None,
            overhead: 0,
            queue: None,
            queue_discipline: QueueDiscipline::default(),
            ecn: false,
            reorder: 0.0,
            reorder_correlation: 0.0,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            distribution: JitterDistribution::default(),
            delay_correlation: 0.0,
            ordered: true,
        }
    }
}

/// Which packets a filling queue drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueDiscipline {
    /// Those that come when it is full.
    #[default]
    Droptail,
    /// Also those that have waited for long, with the constants of RFC 8289: a target of 5 ms, an interval of 100 ms.
    Codel,
}

impl Impairment {
    /// Whether packets pass untouched.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self
            == Impairment {
                distribution: self.distribution.clone(),
                ordered: self.ordered,
                ..Impairment::default()
            }
    }

    /// Whether packets have fates or times of their own, so that a frame of many packets (segmentation offload) cannot
    /// pass as one.
    #[must_use]
    pub fn acts_per_packet(&self) -> bool {
        let chances = [self.duplicate, self.corrupt, self.reorder];
        self.loses()
            || self.rate.is_some()
            || !self.jitter.is_zero()
            || chances.iter().any(|chance| *chance > 0.0)
    }

    /// Whether some packets are lost by chance.
    #[must_use]
    pub fn loses(&self) -> bool {
        self.loss > 0.0 || self.gilbert_elliott.is_some()
    }

    /// What decides about losses.
    #[must_use]
    pub fn loss_model(&self) -> LossModel {
        match (self.gilbert_elliott, self.loss_burst) {
            (Some(channel), _) => LossModel::GilbertElliott(channel),
            (None, Some(burst)) if self.loss > 0.0 => {
                LossModel::GilbertElliott(GilbertElliott::of_bursts(self.loss, burst))
            }
            _ if self.loss > 0.0 && self.loss_correlation > 0.0 => {
                LossModel::GilbertElliott(GilbertElliott::of_correlation(self.loss, self.loss_correlation))
            }
            _ => LossModel::Independent(self.loss),
        }
    }
}

/// A change of some of a direction's impairments; the others stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "each field is that of `Impairment` with the same name"
)]
pub struct ImpairmentChange {
    pub blackhole: Option<bool>,
    pub loss: Option<f64>,
    pub loss_correlation: Option<f64>,
    pub loss_burst: Option<f64>,
    pub gilbert_elliott: Option<GilbertElliott>,
    pub duplicate: Option<f64>,
    pub corrupt: Option<f64>,
    pub rate: Option<u64>,
    pub burst: Option<u64>,
    pub overhead: Option<i32>,
    pub queue: Option<QueueLimit>,
    pub queue_discipline: Option<QueueDiscipline>,
    pub ecn: Option<bool>,
    pub reorder: Option<f64>,
    pub reorder_correlation: Option<f64>,
    #[serde(with = "optional_duration_text")]
    pub delay: Option<Duration>,
    #[serde(with = "optional_duration_text")]
    pub jitter: Option<Duration>,
    pub distribution: Option<JitterDistribution>,
    pub delay_correlation: Option<f64>,
    pub ordered: Option<bool>,
}

impl ImpairmentChange {
    /// `before` with this change. A new way of losing packets takes the place of the old one.
    #[must_use]
    pub fn applied_to(&self, before: &Impairment) -> Impairment {
        let replaced = self.replaced_loss();
        let keep = |is_replaced: bool, value: f64| if is_replaced { 0.0 } else { value };
        Impairment {
            blackhole: self.blackhole.unwrap_or(before.blackhole),
            loss: self.loss.unwrap_or(keep(replaced.share, before.loss)),
            loss_correlation: self
                .loss_correlation
                .unwrap_or(keep(replaced.correlation, before.loss_correlation)),
            loss_burst: self.loss_burst.or(before.loss_burst.filter(|_| !replaced.burst)),
            gilbert_elliott: self
                .gilbert_elliott
                .or(before.gilbert_elliott.filter(|_| !replaced.channel)),
            duplicate: self.duplicate.unwrap_or(before.duplicate),
            corrupt: self.corrupt.unwrap_or(before.corrupt),
            rate: self.rate.or(before.rate),
            burst: self.burst.or(before.burst),
            overhead: self.overhead.unwrap_or(before.overhead),
            queue: self.queue.or(before.queue),
            queue_discipline: self.queue_discipline.unwrap_or(before.queue_discipline),
            ecn: self.ecn.unwrap_or(before.ecn),
            reorder: self.reorder.unwrap_or(before.reorder),
            reorder_correlation: self.reorder_correlation.unwrap_or(before.reorder_correlation),
            delay: self.delay.unwrap_or(before.delay),
            jitter: self.jitter.unwrap_or(before.jitter),
            distribution: self
                .distribution
                .clone()
                .unwrap_or_else(|| before.distribution.clone()),
            delay_correlation: self.delay_correlation.unwrap_or(before.delay_correlation),
            ordered: self.ordered.unwrap_or(before.ordered),
        }
    }

    /// This change with those keys of `other` that this one leaves alone.
    pub(crate) fn or(&self, other: &ImpairmentChange) -> ImpairmentChange {
        let replaced = self.replaced_loss();
        ImpairmentChange {
            blackhole: self.blackhole.or(other.blackhole),
            loss: self.loss.or(other.loss.filter(|_| !replaced.share)),
            loss_correlation: self
                .loss_correlation
                .or(other.loss_correlation.filter(|_| !replaced.correlation)),
            loss_burst: self.loss_burst.or(other.loss_burst.filter(|_| !replaced.burst)),
            gilbert_elliott: self
                .gilbert_elliott
                .or(other.gilbert_elliott.filter(|_| !replaced.channel)),
            duplicate: self.duplicate.or(other.duplicate),
            corrupt: self.corrupt.or(other.corrupt),
            rate: self.rate.or(other.rate),
            burst: self.burst.or(other.burst),
            overhead: self.overhead.or(other.overhead),
            queue: self.queue.or(other.queue),
            queue_discipline: self.queue_discipline.or(other.queue_discipline),
            ecn: self.ecn.or(other.ecn),
            reorder: self.reorder.or(other.reorder),
            reorder_correlation: self.reorder_correlation.or(other.reorder_correlation),
            delay: self.delay.or(other.delay),
            jitter: self.jitter.or(other.jitter),
            distribution: self.distribution.clone().or_else(|| other.distribution.clone()),
            delay_correlation: self.delay_correlation.or(other.delay_correlation),
            ordered: self.ordered.or(other.ordered),
        }
    }

    fn replaced_loss(&self) -> ReplacedLoss {
        let channel = self.gilbert_elliott.is_some();
        let is_set = |share: Option<f64>| share.is_some_and(|share| share > 0.0);
        ReplacedLoss {
            share: channel,
            correlation: channel || self.loss_burst.is_some() || self.loss == Some(0.0),
            burst: channel || is_set(self.loss_correlation) || self.loss == Some(0.0),
            channel: self.loss.is_some() || self.loss_burst.is_some() || is_set(self.loss_correlation),
        }
    }
}

/// Which of the keys that say how packets are lost give way to a change.
struct ReplacedLoss {
    share: bool,
    correlation: bool,
    burst: bool,
    channel: bool,
}
