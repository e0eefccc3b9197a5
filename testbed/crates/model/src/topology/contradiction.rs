//! Impairment keys that cannot be meant together.

use super::impairment::{Impairment, ImpairmentChange, QueueDiscipline};
use crate::trace::{Trace, TraceStep};
use crate::units::TimeSpan;

/// Bytes of an Ethernet header, which every packet of a link has besides what its MTU counts.
const ETHERNET: u64 = 14;
/// The MTU of a link that has none of its own.
const MTU: u32 = 1500;
/// What may be added to the size of a packet; more is a mistake in the unit.
const OVERHEAD: std::ops::RangeInclusive<i32> = -64..=1000;

/// Keys that cannot be meant together, or not with these values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The key to look at.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub remedy: &'static str,
}

impl Impairment {
    /// What in this direction of a link with that MTU (1500 when absent), which may replay a trace, cannot be meant.
    #[must_use]
    pub fn contradictions(&self, mtu: Option<u32>, trace: Option<&Trace>) -> Vec<Contradiction> {
        let Some(trace) = trace else {
            return self.contradictions_at_rest(mtu);
        };
        let moments = trace
            .moments()
            .map(|moment| self.replaying(&moment).contradictions_at_rest(mtu));
        moments
            .into_iter()
            .find(|found| !found.is_empty())
            .unwrap_or_default()
    }

    /// This with what a trace says at a moment.
    #[must_use]
    pub fn replaying(&self, moment: &TraceStep) -> Impairment {
        let change = ImpairmentChange {
            delay: moment.delay,
            rate: moment.rate,
            loss: moment.loss,
            ..ImpairmentChange::default()
        };
        change.applied_to(self)
    }

    fn contradictions_at_rest(&self, mtu: Option<u32>) -> Vec<Contradiction> {
        let mut found = Vec::new();
        self.check_delay(&mut found);
        self.check_loss(&mut found);
        self.check_rate(mtu.unwrap_or(MTU), &mut found);
        found
    }

    fn check_delay(&self, found: &mut Vec<Contradiction>) {
        let mut refuse = |key, message: String, remedy| found.push(Contradiction { key, message, remedy });
        if self.jitter > self.delay {
            let (jitter, delay) = (TimeSpan(self.jitter), TimeSpan(self.delay));
            let message = format!("jitter {jitter} is more than the delay of {delay}");
            refuse("jitter", message, "no packet can arrive before it was sent");
        }
        if self.delay_correlation > 0.0 && self.jitter.is_zero() {
            let message = "`delay_correlation` without `jitter`: all delays are the same";
            refuse(
                "delay_correlation",
                message.to_owned(),
                "add `jitter`, or leave it out",
            );
        }
        if self.reorder > 0.0 && self.delay.is_zero() {
            let message = "`reorder` without `delay`: there is nothing to overtake";
            refuse(
                "reorder",
                message.to_owned(),
                "add `delay`; the overtaking packets are those without it",
            );
        }
        if self.reorder_correlation > 0.0 && self.reorder == 0.0 {
            let message = "`reorder_correlation` without `reorder`";
            refuse(
                "reorder_correlation",
                message.to_owned(),
                "add `reorder`, or leave it out",
            );
        }
    }

    fn check_loss(&self, found: &mut Vec<Contradiction>) {
        let mut refuse = |key, message: &str, remedy| {
            found.push(Contradiction {
                key,
                message: message.to_owned(),
                remedy,
            })
        };
        let loses = self.loss > 0.0;
        if self.loss_correlation > 0.0 && !loses {
            refuse(
                "loss_correlation",
                "`loss_correlation` without `loss`",
                "add `loss`, or leave it out",
            );
        }
        if self.gilbert_elliott.is_some() && (loses || self.loss_burst.is_some()) {
            let message = "`gilbert_elliott` besides `loss` or `loss_burst`: both say how packets are lost";
            let remedy = "keep `loss` and `loss_burst`, or the four parameters";
            refuse("gilbert_elliott", message, remedy);
        }
        let Some(burst) = self.loss_burst else { return };
        if !loses && self.gilbert_elliott.is_none() {
            refuse(
                "loss_burst",
                "`loss_burst` without `loss`",
                "add `loss`, the share of packets lost",
            );
        } else if self.loss_correlation > 0.0 {
            let message = "`loss_burst` besides `loss_correlation`: both say how losses follow each other";
            refuse("loss_burst", message, "keep one of them");
        } else if !(1.0..=1e6).contains(&burst) {
            let message = format!("`loss_burst` is {burst}, but must be from 1 to 1000000 packets");
            refuse(
                "loss_burst",
                &message,
                "it is the mean number of packets lost in a row",
            );
        } else if self.loss >= 1.0 || self.loss / (1.0 - self.loss) > burst {
            let message = format!(
                "a loss of {}% cannot come in bursts of {burst}",
                self.loss * 100.0
            );
            let remedy =
                "with at least one packet between two bursts, they must be longer than loss / (1 - loss)";
            refuse("loss_burst", &message, remedy);
        }
    }

    fn check_rate(&self, mtu: u32, found: &mut Vec<Contradiction>) {
        let mut refuse = |key, message: String, remedy| found.push(Contradiction { key, message, remedy });
        if self.ecn && self.queue_discipline != QueueDiscipline::Codel {
            let message =
                "`ecn` without `queue_discipline: codel`: a drop-tail queue marks nothing".to_owned();
            refuse("ecn", message, "add `queue_discipline: codel`");
        }
        if !OVERHEAD.contains(&self.overhead) {
            let (least, most) = OVERHEAD.into_inner();
            let message = format!(
                "`overhead` is {}, but must be from {least} to {most} bytes",
                self.overhead
            );
            refuse(
                "overhead",
                message,
                "24 is what physical Ethernet adds to each frame",
            );
        }
        let frame = u64::from(mtu) + ETHERNET;
        if let Some(burst) = self.burst.filter(|burst| *burst < frame) {
            let message = format!("`burst` is {burst} bytes, less than the {frame} of a full frame");
            refuse("burst", message, "a packet passes when the burst has room for it");
        }
        if self.rate.is_some() {
            return;
        }
        let is_codel = self.queue_discipline == QueueDiscipline::Codel;
        let needing = [
            ("burst", self.burst.is_some()),
            ("overhead", self.overhead != 0),
            ("queue", self.queue.is_some()),
            ("queue_discipline", is_codel),
        ];
        for (key, _) in needing.into_iter().filter(|(_, is_given)| *is_given) {
            refuse(
                key,
                format!("`{key}` without `rate`: nothing waits"),
                "add `rate`, or leave it out",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::QueueLimit;
    use crate::topology::loss::GilbertElliott;

    fn keys(impairment: &Impairment) -> Vec<&'static str> {
        impairment
            .contradictions(None, None)
            .iter()
            .map(|it| it.key)
            .collect()
    }

    #[test]
    fn what_needs_another_key_is_refused_without() {
        let none = Impairment::default;
        for (impairment, key) in [
            (
                Impairment {
                    jitter: Duration::from_millis(1),
                    ..none()
                },
                "jitter",
            ),
            (
                Impairment {
                    delay_correlation: 0.1,
                    ..none()
                },
                "delay_correlation",
            ),
            (
                Impairment {
                    reorder: 0.1,
                    ..none()
                },
                "reorder",
            ),
            (
                Impairment {
                    reorder_correlation: 0.1,
                    ..none()
                },
                "reorder_correlation",
            ),
            (
                Impairment {
                    loss_correlation: 0.1,
                    ..none()
                },
                "loss_correlation",
            ),
            (
                Impairment {
                    loss_burst: Some(3.0),
                    ..none()
                },
                "loss_burst",
            ),
            (
                Impairment {
                    burst: Some(2000),
                    ..none()
                },
                "burst",
            ),
            (
                Impairment {
                    overhead: 24,
                    ..none()
                },
                "overhead",
            ),
            (
                Impairment {
                    queue: Some(QueueLimit::Packets(9)),
                    ..none()
                },
                "queue",
            ),
            (
                Impairment {
                    queue_discipline: QueueDiscipline::Codel,
                    ..none()
                },
                "queue_discipline",
            ),
            (Impairment { ecn: true, ..none() }, "ecn"),
        ] {
            assert_eq!(keys(&impairment), [key], "{impairment:?}");
        }
        assert_eq!(keys(&none()), Vec::<&str>::new());
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        let lossy = || Impairment {
            loss: 0.5,
            ..Impairment::default()
        };
        let limited = || Impairment {
            rate: Some(1000),
            ..Impairment::default()
        };
        let channel = GilbertElliott {
            p: 0.1,
            r: 0.1,
            bad: 1.0,
            good: 0.0,
        };
        for (impairment, part) in [
            (
                Impairment {
                    loss_burst: Some(0.5),
                    ..lossy()
                },
                "from 1 to 1000000",
            ),
            (
                Impairment {
                    loss_burst: Some(f64::NAN),
                    ..lossy()
                },
                "from 1 to 1000000",
            ),
            (
                Impairment {
                    loss: 0.9,
                    loss_burst: Some(2.0),
                    ..lossy()
                },
                "a loss of 90% cannot",
            ),
            (
                Impairment {
                    loss: 1.0,
                    loss_burst: Some(2.0),
                    ..lossy()
                },
                "a loss of 100% cannot",
            ),
            (
                Impairment {
                    loss_burst: Some(2.0),
                    loss_correlation: 0.1,
                    ..lossy()
                },
                "besides `loss_correlation`",
            ),
            (
                Impairment {
                    gilbert_elliott: Some(channel),
                    ..lossy()
                },
                "besides `loss`",
            ),
            (
                Impairment {
                    burst: Some(1500),
                    ..limited()
                },
                "less than the 1514",
            ),
            (
                Impairment {
                    overhead: 5000,
                    ..limited()
                },
                "from -64 to 1000",
            ),
        ] {
            let found = impairment.contradictions(None, None);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].message.contains(part), "{found:?}");
        }
        let jumbo = Impairment {
            burst: Some(2000),
            ..limited()
        };
        assert_eq!(
            (
                jumbo.contradictions(None, None).len(),
                jumbo.contradictions(Some(9000), None).len()
            ),
            (0, 1)
        );
    }
}
