//! From what was seen to reasons for doubt.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::summary::Validity;

/// One packet in a hundred may leave this late, in milliseconds; …
const LATE: f64 = 1.0;
/// … later than this, delays are not what was asked.
const TOO_LATE: f64 = 10.0;
/// Fewer packets than this say nothing about lateness.
const FEW_PACKETS: u64 = 100;
/// Processors may be saturated in this share of the looks.
const SATURATED_LOOKS: f64 = 0.25;
/// Another machine may take this share of the processors.
const STOLEN: f64 = 0.05;
/// A cgroup may hold the supervisor back for this share of the time; …
const THROTTLED: f64 = 0.01;
/// … with more than this, nothing on its links is on time.
const THROTTLED_TOO_MUCH: f64 = 0.2;
/// The supervisor answers within this, in milliseconds.
const SLOW_ANSWER: f64 = 500.0;

/// How late packets left the engine.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lateness {
    /// Upper bounds of the buckets in nanoseconds; one more bucket is above.
    bounds: Vec<u64>,
    counts: Vec<u64>,
    maximum: u64,
}

impl Lateness {
    /// Nothing yet, in buckets up to these bounds.
    pub(super) fn with_bounds(bounds: &[u64]) -> Lateness {
        Lateness {
            bounds: bounds.to_vec(),
            ..Lateness::default()
        }
    }

    /// Adds one direction's histogram. One of another shape is left out.
    pub(super) fn add(&mut self, histogram: Option<&Value>) {
        let counts = histogram
            .and_then(|histogram| histogram.get("counts"))
            .and_then(Value::as_array);
        let Some(counts) = counts.filter(|counts| counts.len() == self.bounds.len() + 1) else {
            return;
        };
        self.counts.resize(counts.len(), 0);
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum += count.as_u64().unwrap_or(0);
        }
        let maximum = histogram.and_then(|histogram| histogram.get("maximum_nanoseconds"));
        self.maximum = self.maximum.max(maximum.and_then(Value::as_u64).unwrap_or(0));
    }

    fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts since an earlier look.
    fn since(&self, before: &[u64]) -> Lateness {
        let counts = self.counts.iter().enumerate();
        Lateness {
            bounds: self.bounds.clone(),
            counts: counts
                .map(|(place, count)| count.saturating_sub(before.get(place).copied().unwrap_or(0)))
                .collect(),
            maximum: self.maximum,
        }
    }

    /// Upper bound of the bucket that 99 % do not exceed, in milliseconds.
    fn p99_ms(&self) -> f64 {
        let rank = (self.count() * 99).div_ceil(100);
        let mut seen = 0;
        for (count, bound) in self.counts.iter().zip(&self.bounds) {
            seen += count;
            if seen >= rank {
                return (*bound).min(self.maximum) as f64 / 1e6;
            }
        }
        self.maximum as f64 / 1e6
    }
}

/// What the sentinel saw during a repetition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SentinelSummary {
    /// How long it watched, in seconds.
    pub seconds: f64,
    /// How often the lab answered.
    pub looks: u32,
    /// The longest it took to answer, in milliseconds.
    pub longest_answer_ms: f64,
    /// Why it once did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<String>,
    /// Links that were changed by somebody else than the scenario, one sentence each.
    pub changed_links: Vec<String>,
    /// Packets that the link engine sent.
    pub packets: u64,
    /// What 99 % of them were not later than, in milliseconds (an upper bound); absent without the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lateness_p99_ms: Option<f64>,
    /// Packets dropped because a queue before a rate was full: what a rate is for.
    pub queue_drops: u64,
    /// Packets the engine dropped for want of memory.
    pub memory_drops: u64,
    /// Packets the kernel did not take back from the engine.
    pub refused_drops: u64,
    /// Mean share of the processors' time that was used.
    pub processors_busy: f64,
    /// Share of the looks at which no processor had been idle.
    pub processors_saturated: f64,
    /// Mean share of the processors' time that other machines took.
    pub processors_stolen: f64,
    /// How long a cgroup held the supervisor back, in milliseconds.
    pub throttled_ms: f64,
    /// Events of the scenario that were carried out meanwhile.
    pub events: u32,
    #[serde(skip)]
    samples: u32,
    #[serde(skip)]
    first: Option<(Vec<u64>, [u64; 3])>,
}

impl SentinelSummary {
    pub(super) fn take_engine(&mut self, lateness: &Lateness, memory: u64, refused: u64, queue: u64) {
        let drops = [memory, refused, queue];
        // What came before the first look is not this repetition's.
        let (counts, before) = self.first.get_or_insert_with(|| (lateness.counts.clone(), drops));
        let since = lateness.since(counts);
        let [memory, refused, queue] = [0, 1, 2].map(|cause| drops[cause].saturating_sub(before[cause]));
        (self.memory_drops, self.refused_drops, self.queue_drops) = (memory, refused, queue);
        self.packets = since.count();
        self.lateness_p99_ms = (since.count() >= FEW_PACKETS).then(|| since.p99_ms());
    }

    pub(super) fn take_processors(&mut self, busy: f64, stolen: f64, saturated: bool) {
        let before = f64::from(self.samples);
        self.samples += 1;
        let mean = |old: f64, new: f64| (old * before + new) / (before + 1.0);
        self.processors_busy = mean(self.processors_busy, busy);
        self.processors_stolen = mean(self.processors_stolen, stolen);
        self.processors_saturated = mean(self.processors_saturated, f64::from(u8::from(saturated)));
    }

    /// Reasons to doubt what was measured meanwhile, each with how much.
    #[must_use]
    pub fn reasons(&self) -> Vec<(Validity, String)> {
        let mut reasons = Vec::new();
        for change in &self.changed_links {
            reasons.push((
                Validity::Invalid,
                format!("somebody else than the scenario changed a link: {change}"),
            ));
        }
        self.about_supervisor(&mut reasons);
        if let Some(late) = self.lateness_p99_ms.filter(|late| *late > LATE) {
            let severity = if late > TOO_LATE {
                Validity::Invalid
            } else {
                Validity::Degraded
            };
            let text = format!(
                "the link engine was late: one packet in a hundred by up to {late:.1} ms or more, {LATE:.0} ms is allowed"
            );
            reasons.push((severity, text));
        }
        if self.memory_drops > 0 {
            let text = format!(
                "the link engine dropped {} packets for want of memory",
                self.memory_drops
            );
            reasons.push((Validity::Invalid, text));
        }
        // A link that goes down refuses packets, as it should.
        if self.refused_drops > 0 && self.events == 0 && self.changed_links.is_empty() {
            let text = format!(
                "the kernel refused {} packets of the link engine",
                self.refused_drops
            );
            reasons.push((Validity::Degraded, text));
        }
        if self.processors_saturated > SATURATED_LOOKS {
            let text = format!(
                "the processors were saturated: busy for {:.0} % of the time, without a pause in {:.0} % of the looks",
                self.processors_busy * 100.0,
                self.processors_saturated * 100.0,
            );
            reasons.push((Validity::Degraded, text));
        }
        if self.processors_stolen > STOLEN {
            let text = format!(
                "other machines took {:.0} % of the processors' time",
                self.processors_stolen * 100.0
            );
            reasons.push((Validity::Degraded, text));
        }
        reasons
    }

    fn about_supervisor(&self, reasons: &mut Vec<(Validity, String)>) {
        if let Some(reason) = &self.unanswered {
            reasons.push((Validity::Invalid, format!("the lab did not answer: {reason}")));
        }
        let share = self.throttled_ms / 1e3 / self.seconds.max(0.1);
        if share > THROTTLED {
            let severity = if share > THROTTLED_TOO_MUCH {
                Validity::Invalid
            } else {
                Validity::Degraded
            };
            reasons.push((
                severity,
                format!(
                    "a cgroup held the supervisor back for {:.0} ms",
                    self.throttled_ms
                ),
            ));
        }
        if self.longest_answer_ms > SLOW_ANSWER {
            let text = format!(
                "the supervisor once took {:.0} ms to answer",
                self.longest_answer_ms
            );
            reasons.push((Validity::Degraded, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 1, 2, 5, 10 … microseconds, up to a second.
    fn bounds() -> Vec<u64> {
        let decades = (3..9).map(|zeros| 10_u64.pow(zeros));
        let below = decades.flat_map(|decade| [1, 2, 5].map(|digit| digit * decade));
        below.chain([1_000_000_000]).collect()
    }

    fn histogram(counts: &[(usize, u64)], maximum: u64) -> Value {
        let mut all = vec![0; bounds().len() + 1];
        for (place, count) in counts {
            all[*place] = *count;
        }
        json!({ "counts": all, "maximum_nanoseconds": maximum })
    }

    fn engine(summary: &mut SentinelSummary, counts: &[(usize, u64)]) {
        let mut lateness = Lateness::with_bounds(&bounds());
        lateness.add(Some(&histogram(counts, 30_000_000)));
        summary.take_engine(&lateness, 0, 0, 7);
    }

    fn worst(summary: &SentinelSummary) -> Validity {
        summary
            .reasons()
            .iter()
            .map(|(severity, _)| *severity)
            .max()
            .unwrap_or(Validity::Valid)
    }

    #[test]
    fn a_quiet_lab_is_valid() {
        let mut summary = SentinelSummary {
            seconds: 10.0,
            ..SentinelSummary::default()
        };
        engine(&mut summary, &[(13, 5_000)]);
        engine(&mut summary, &[(13, 5_000), (5, 990), (13, 5_005)]);
        (0..10).for_each(|_| summary.take_processors(0.6, 0.0, false));
        assert_eq!(summary.reasons(), []);
        assert_eq!(summary.queue_drops, 0, "those were there before");
        assert_eq!(summary.packets, 995);
    }

    #[test]
    fn lateness_counts_from_the_first_look() {
        let mut summary = SentinelSummary::default();
        engine(&mut summary, &[(5, 10)]);
        engine(&mut summary, &[(5, 990), (11, 20)]);
        assert_eq!(summary.lateness_p99_ms, Some(5.0));
        assert_eq!(worst(&summary), Validity::Degraded);
        engine(&mut summary, &[(5, 990), (14, 200)]);
        assert_eq!(worst(&summary), Validity::Invalid);
    }

    #[test]
    fn each_trouble_has_its_reason() {
        let quiet = SentinelSummary {
            seconds: 10.0,
            ..SentinelSummary::default()
        };
        let with = |change: &dyn Fn(&mut SentinelSummary)| {
            let mut summary = quiet.clone();
            change(&mut summary);
            (worst(&summary), summary.reasons().len())
        };
        assert_eq!(
            with(&|it| it.changed_links.push("link a--b is down".to_owned())),
            (Validity::Invalid, 1)
        );
        assert_eq!(
            with(&|it| it.unanswered = Some("gone".to_owned())),
            (Validity::Invalid, 1)
        );
        assert_eq!(with(&|it| it.throttled_ms = 500.0), (Validity::Degraded, 1));
        assert_eq!(with(&|it| it.throttled_ms = 5_000.0), (Validity::Invalid, 1));
        assert_eq!(with(&|it| it.longest_answer_ms = 900.0), (Validity::Degraded, 1));
        assert_eq!(with(&|it| it.memory_drops = 1), (Validity::Invalid, 1));
        assert_eq!(with(&|it| it.refused_drops = 1), (Validity::Degraded, 1));
        assert_eq!(
            with(&|it| {
                it.refused_drops = 1;
                it.events = 1;
            }),
            (Validity::Valid, 0)
        );
        assert_eq!(with(&|it| it.processors_saturated = 0.5), (Validity::Degraded, 1));
        assert_eq!(with(&|it| it.processors_stolen = 0.2), (Validity::Degraded, 1));
    }
}
