//! How packets are lost.

use serde::{Deserialize, Serialize};

/// A channel with a good and a bad state (Gilbert 1960, Elliott 1963). Before each packet but the first it may change
/// its state; it starts in the good one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GilbertElliott {
    /// Chance per packet to turn from good to bad, 0 to 1.
    pub p: f64,
    /// Chance per packet to turn from bad to good, 0 to 1.
    pub r: f64,
    /// Share of packets lost in the bad state (1 - h in the literature), 0 to 1.
    pub bad: f64,
    /// Share of packets lost in the good state (1 - k in the literature), 0 to 1.
    pub good: f64,
}

impl GilbertElliott {
    /// A channel that loses the share `loss` of all packets, in bursts of `burst` packets on average: r = 1 / burst and
    /// p = loss / (burst (1 - loss)), all lost in the bad state and none in the good one.
    #[must_use]
    pub fn of_bursts(loss: f64, burst: f64) -> GilbertElliott {
        GilbertElliott {
            p: loss / (burst * (1.0 - loss)),
            r: 1.0 / burst,
            bad: 1.0,
            good: 0.0,
        }
    }

    /// A channel that loses the share `loss` of all packets, where the fates of two packets that follow each other have
    /// the correlation `correlation`: with that probability a packet shares the fate of the one before.
    #[must_use]
    pub fn of_correlation(loss: f64, correlation: f64) -> GilbertElliott {
        GilbertElliott {
            p: loss * (1.0 - correlation),
            r: (1.0 - loss) * (1.0 - correlation),
            bad: 1.0,
            good: 0.0,
        }
    }

    /// The share of packets it loses in the long run.
    #[must_use]
    pub fn mean_loss(&self) -> f64 {
        let in_bad = if self.p + self.r > 0.0 {
            self.p / (self.p + self.r)
        } else {
            0.0
        };
        in_bad * self.bad + (1.0 - in_bad) * self.good
    }
}

/// What decides about a packet's loss, whichever keys of the file it came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossModel {
    /// Each packet on its own, with this probability; 0 loses none.
    Independent(f64),
    /// In bursts.
    GilbertElliott(GilbertElliott),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_and_correlation_keep_the_mean() {
        for channel in [
            GilbertElliott::of_bursts(0.02, 5.0),
            GilbertElliott::of_correlation(0.02, 0.25),
        ] {
            assert!((channel.mean_loss() - 0.02).abs() < 1e-12, "{channel:?}");
        }
        let bursts = GilbertElliott::of_bursts(0.5, 4.0);
        assert_eq!((bursts.p, bursts.r), (0.25, 0.25));
        let never_bad = GilbertElliott {
            p: 0.0,
            r: 0.0,
            bad: 1.0,
            good: 0.1,
        };
        assert!((never_bad.mean_loss() - 0.1).abs() < 1e-12);
    }
}
