//! Links that change by themselves: what a recording or a pattern does to one direction, in a loop.
//!
//! Three ways to write one, two types that come of them: a mahimahi file gives [`Playback::Deliveries`], a CSV file and
//! a `pattern:` give [`Playback::Steps`].

mod csv;
mod mahimahi;
pub(crate) mod pattern;
pub(crate) mod requests;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::document::tree::Span;
use crate::error::{Fault, Problem};
use crate::units::{BitRate, TimeSpan, duration_text, optional_duration_text};

/// Steps or delivery opportunities in one trace. A whole day of 12 Mbit/s in mahimahi's format is a hundred times
/// more; an hour of LTE fits.
pub const LONGEST_TRACE: usize = 1_000_000;

/// Bytes of network-layer packets (no Ethernet header) that one delivery opportunity carries: one packet of a common
/// link, or several small ones, as mahimahi counts (mm-link(1)).
pub const DELIVERY_BYTES: u32 = 1_500;

/// How one direction of a link changes over time. It begins when the link does and is repeated for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The file it was read from, or `pattern`.
    pub name: String,
    /// After this it begins again; never zero.
    #[serde(with = "duration_text")]
    pub period: Duration,
    /// What it does in each period.
    pub playback: Playback,
}

/// What a trace says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Playback {
    /// Values that hold until the next step. In the order of time, at most [`LONGEST_TRACE`], the first one at 0, all
    /// before the end of the period.
    Steps(Vec<TraceStep>),
    /// Milliseconds after the beginning of a period at which [`DELIVERY_BYTES`] may leave the queue. In the order of
    /// time, at most [`LONGEST_TRACE`], none after the end of the period; a time that is there twice counts twice. An
    /// opportunity that finds the queue empty is gone.
    ///
    /// They take the place of the direction's `rate`; delay, loss and queue limit stay as they are.
    Deliveries(Vec<u32>),
}

/// Values that hold from a moment on. What is absent is as the link's own keys say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceStep {
    /// From when on, counted from the beginning of the period.
    #[serde(with = "duration_text")]
    pub at: Duration,
    /// Time each packet is held.
    #[serde(
        with = "optional_duration_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub delay: Option<Duration>,
    /// Bit/s of layer 2; at 0 nothing leaves the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Share of packets lost, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
}

impl Trace {
    /// Reads a trace file: a CSV table if it begins with a heading (a line with letters), else mahimahi's
    /// packet-delivery format. `source` is the number its positions carry.
    pub(crate) fn read(name: &str, text: &str, source: u32) -> Result<Trace, Problem> {
        let first = text.lines().map(without_comment).find(|line| !line.is_empty());
        let (period, playback) = match first {
            None => {
                let fault = Fault::EmptyTrace {
                    name: name.to_owned(),
                };
                let span = Span {
                    source,
                    ..Span::default()
                };
                return Err(Problem::new(fault, span)
                    .label("nothing in it")
                    .help("a trace is a CSV table with a heading like `time,delay,rate,loss`, or one number of milliseconds per line (mahimahi)"));
            }
            Some(line) if line.contains(|letter: char| letter.is_ascii_alphabetic()) => {
                csv::read(text, source)?
            }
            Some(_) => mahimahi::read(text, source)?,
        };
        Ok(Trace {
            name: name.to_owned(),
            period,
            playback,
        })
    }

    /// What holds at a moment, counted from when the trace began. Of delivery opportunities only the mean rate is
    /// known, in bit/s of network-layer packets.
    #[must_use]
    pub fn at(&self, elapsed: Duration) -> TraceStep {
        let period = self.period.as_nanos().max(1);
        let within = Duration::from_nanos(u64::try_from(elapsed.as_nanos() % period).unwrap_or(0));
        match &self.playback {
            Playback::Steps(steps) => {
                let next = steps.partition_point(|step| step.at <= within);
                next.checked_sub(1)
                    .and_then(|current| steps.get(current))
                    .copied()
                    .unwrap_or_default()
            }
            Playback::Deliveries(times) => TraceStep {
                rate: Some(mean_rate(times.len(), self.period)),
                ..TraceStep::default()
            },
        }
    }

    /// All that holds at some moment; of delivery opportunities as in [`Trace::at`].
    pub fn moments(&self) -> impl Iterator<Item = TraceStep> + '_ {
        let (steps, deliveries) = match &self.playback {
            Playback::Steps(steps) => (steps.as_slice(), None),
            Playback::Deliveries(_) => (&[][..], Some(self.at(Duration::ZERO))),
        };
        steps.iter().copied().chain(deliveries)
    }

    /// Whether it sets the rate, at least at times.
    #[must_use]
    pub fn sets_rate(&self) -> bool {
        match &self.playback {
            Playback::Steps(steps) => steps.iter().any(|step| step.rate.is_some()),
            Playback::Deliveries(_) => true,
        }
    }
}

fn mean_rate(deliveries: usize, period: Duration) -> u64 {
    let bits = u128::from(DELIVERY_BYTES) * 8 * deliveries as u128;
    u64::try_from(bits * 1_000_000_000 / period.as_nanos().max(1)).unwrap_or(u64::MAX)
}

/// `trace lte.csv: 120 steps in 60s, delay 20ms to 80ms, rate 1mbit to 12mbit`
impl fmt::Display for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = TimeSpan(self.period);
        match &self.playback {
            Playback::Deliveries(times) => {
                let rate = BitRate(mean_rate(times.len(), self.period));
                let count = times.len();
                write!(
                    formatter,
                    "{}: {count} deliveries in {period}, {rate} on average",
                    self.name
                )
            }
            Playback::Steps(steps) => {
                write!(formatter, "{}: {} steps in {period}", self.name, steps.len())?;
                range(
                    formatter,
                    "delay",
                    steps.iter().filter_map(|step| step.delay),
                    |it| TimeSpan(it).to_string(),
                )?;
                range(
                    formatter,
                    "rate",
                    steps.iter().filter_map(|step| step.rate),
                    |it| BitRate(it).to_string(),
                )?;
                // Loss is ordered as a whole number of millionths: floats have no order of their own.
                let losses = steps.iter().filter_map(|step| step.loss);
                range(
                    formatter,
                    "loss",
                    losses.map(|loss| (loss * 1e6).round() as u64),
                    |it| format!("{}%", it as f64 / 1e4),
                )
            }
        }
    }
}

fn range<T: Copy + Ord>(
    formatter: &mut fmt::Formatter<'_>,
    what: &str,
    values: impl Iterator<Item = T> + Clone,
    text: impl Fn(T) -> String,
) -> fmt::Result {
    match (values.clone().min(), values.max()) {
        (Some(least), Some(most)) if least == most => write!(formatter, ", {what} {}", text(least)),
        (Some(least), Some(most)) => write!(formatter, ", {what} {} to {}", text(least), text(most)),
        _ => Ok(()),
    }
}

/// A line without what follows `#`, and without blanks at its ends.
fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or(line).trim()
}

fn too_long(span: Span) -> Problem {
    Problem::new(Fault::LongTrace { limit: LONGEST_TRACE }, span)
        .label("one too many")
        .help("cut it, or record it with fewer points")
}

/// Traces by name, shared in memory and written out once each.
pub(crate) mod table {
    use std::sync::Arc;

    use indexmap::IndexMap;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Trace;

    pub(crate) fn serialize<S: Serializer>(
        traces: &IndexMap<String, Arc<Trace>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(traces.iter().map(|(name, trace)| (name, &**trace)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<IndexMap<String, Arc<Trace>>, D::Error> {
        let traces: IndexMap<String, Trace> = IndexMap::deserialize(deserializer)?;
        Ok(traces
            .into_iter()
            .map(|(name, trace)| (name, Arc::new(trace)))
            .collect())
    }
}
