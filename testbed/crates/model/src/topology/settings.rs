//! An impairment in the words of a topology file.

use std::fmt;

use super::distribution::JitterDistribution;
use super::impairment::{Impairment, QueueDiscipline};
use crate::units::{BitRate, ByteSize, TimeSpan};

/// A key and its value as in a topology file.
type Setting = (&'static str, String);

/// A share as a percentage. Nine decimal places: what a 32-bit probability in the kernel can hold.
fn percent(share: f64) -> String {
    format!("{}%", (share * 1e11).round() / 1e9)
}

/// A key that holds a share, if it says something.
fn share(key: &'static str, share: f64) -> Option<Setting> {
    (share > 0.0).then(|| (key, percent(share)))
}

/// A key that is true or false, if it is not at its default.
fn flag(key: &'static str, value: bool, default: bool) -> Option<Setting> {
    (value != default).then(|| (key, value.to_string()))
}

impl Impairment {
    /// The keys that say something, with their values as in a topology file.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        [
            flag("blackhole", self.blackhole, false).into_iter().collect(),
            self.delay_settings(),
            self.fate_settings(),
            self.rate_settings(),
        ]
        .concat()
    }

    fn delay_settings(&self) -> Vec<Setting> {
        let time =
            |key, time: std::time::Duration| (!time.is_zero()).then(|| (key, TimeSpan(time).to_string()));
        let delay = [time("delay", self.delay), time("jitter", self.jitter)];
        let shape = [
            (self.distribution != JitterDistribution::Uniform)
                .then(|| ("distribution", self.distribution.to_string())),
            share("delay_correlation", self.delay_correlation),
            flag("ordered", self.ordered, true),
        ];
        let shape = shape.into_iter().filter(|_| !self.jitter.is_zero());
        delay.into_iter().chain(shape).flatten().collect()
    }

    fn fate_settings(&self) -> Vec<Setting> {
        let channel = self.gilbert_elliott.map(|it| {
            let [p, r, bad, good] = [it.p, it.r, it.bad, it.good].map(percent);
            (
                "gilbert_elliott",
                format!("{{ p: {p}, r: {r}, bad: {bad}, good: {good} }}"),
            )
        });
        let all = [
            share("loss", self.loss),
            share("loss_correlation", self.loss_correlation),
            self.loss_burst.map(|burst| ("loss_burst", burst.to_string())),
            channel,
            share("duplicate", self.duplicate),
            share("corrupt", self.corrupt),
            share("reorder", self.reorder),
            share("reorder_correlation", self.reorder_correlation),
        ];
        all.into_iter().flatten().collect()
    }

    fn rate_settings(&self) -> Vec<Setting> {
        let is_codel = self.queue_discipline == QueueDiscipline::Codel;
        let all = [
            self.rate.map(|rate| ("rate", BitRate(rate).to_string())),
            self.burst.map(|burst| ("burst", ByteSize(burst).to_string())),
            (self.overhead != 0).then(|| ("overhead", self.overhead.to_string())),
            self.queue.map(|queue| ("queue", queue.to_string())),
            is_codel.then(|| ("queue_discipline", "codel".to_owned())),
            flag("ecn", self.ecn, false),
        ];
        all.into_iter().flatten().collect()
    }
}

/// As in a topology file: `delay 5ms, loss 0.5%`.
impl fmt::Display for Impairment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings();
        if settings.is_empty() {
            return formatter.write_str("as it is");
        }
        for (number, (key, value)) in settings.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            match value.as_str() {
                "true" => write!(formatter, "{separator}{key}")?,
                value => write!(formatter, "{separator}{key} {value}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::QueueLimit;
    use crate::topology::loss::GilbertElliott;

    #[test]
    fn what_says_nothing_is_left_out() {
        let impairment = Impairment {
            delay: Duration::from_millis(5),
            distribution: JitterDistribution::Normal,
            ordered: false,
            loss: 0.005,
            ..Impairment::default()
        };
        assert_eq!(impairment.to_string(), "delay 5ms, loss 0.5%");
        assert_eq!(Impairment::default().to_string(), "as it is");
    }

    #[test]
    fn every_key_is_said_as_it_is_written() {
        let channel = GilbertElliott {
            p: 0.01,
            r: 0.25,
            bad: 1.0,
            good: 0.0,
        };
        let impairment = Impairment {
            blackhole: true,
            gilbert_elliott: Some(channel),
            duplicate: 0.01,
            corrupt: 0.02,
            rate: Some(100_000_000),
            burst: Some(65536),
            overhead: 24,
            queue: Some(QueueLimit::Packets(50)),
            queue_discipline: QueueDiscipline::Codel,
            ecn: true,
            reorder: 0.25,
            reorder_correlation: 0.5,
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(1),
            distribution: JitterDistribution::Pareto,
            delay_correlation: 0.25,
            ordered: false,
            ..Impairment::default()
        };
        assert_eq!(
            impairment.to_string(),
            "blackhole, delay 5ms, jitter 1ms, distribution pareto, delay_correlation 25%, ordered false, \
             gilbert_elliott { p: 1%, r: 25%, bad: 100%, good: 0% }, duplicate 1%, corrupt 2%, reorder 25%, \
             reorder_correlation 50%, rate 100mbit, burst 64KiB, overhead 24, queue 50packets, \
             queue_discipline codel, ecn"
        );
    }
}
