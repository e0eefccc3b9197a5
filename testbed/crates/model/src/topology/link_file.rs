//! Links and impairments as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::file::ModeFile;
use super::topology::Backend;
use crate::document::spanned::Spanned;
use crate::units::{BitRate, ByteSize, Percent, QueueLimit, TimeSpan};

/// A section with the impairment keys.
pub(crate) trait HasImpairments {
    /// The impairment keys alone.
    fn impairments(&self) -> ImpairmentFile;
}

/// A struct with the impairment keys and some of its own. (serde's `flatten` would do the same but lose every
/// position.)
macro_rules! with_impairments {
    ($(#[$meta:meta])* $name:ident { $($(#[$own:meta])* $key:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$own])* pub(crate) $key: $type,)*
            /// A named set of impairments, for example `lte`; other keys win over it.
            pub(crate) preset: Option<Spanned<String>>,
            /// Time each packet is held, one way.
            pub(crate) delay: Option<Spanned<TimeSpan>>,
            /// How far a packet's delay strays from `delay`, as `distribution` says; not more than `delay`.
            pub(crate) jitter: Option<Spanned<TimeSpan>>,
            /// How jitter is distributed; `uniform` when absent.
            pub(crate) distribution: Option<Spanned<DistributionFile>>,
            /// File with a distribution table, as iproute2 has them (`.dist`): numbers that are as likely, 8192 for one `jitter`.
            pub(crate) distribution_table: Option<Spanned<String>>,
            /// Chance that a packet has the jitter of the one before; none when absent.
            pub(crate) delay_correlation: Option<Spanned<Percent>>,
            /// Whether jitter keeps packets in order; true when absent.
            pub(crate) ordered: Option<Spanned<bool>>,
            /// Share of packets lost.
            pub(crate) loss: Option<Spanned<Percent>>,
            /// Chance that a packet shares the fate of the one before; `loss` stays as it is. None when absent.
            pub(crate) loss_correlation: Option<Spanned<Percent>>,
            /// Mean length of a burst of losses, in packets; `loss` stays as it is.
            pub(crate) loss_burst: Option<Spanned<f64>>,
            /// The four parameters of a Gilbert-Elliott channel, in place of `loss`.
            pub(crate) gilbert_elliott: Option<Spanned<GilbertElliottFile>>,
            /// Share of packets sent twice, the second right behind the first.
            pub(crate) duplicate: Option<Spanned<Percent>>,
            /// Share of packets with a flipped bit.
            pub(crate) corrupt: Option<Spanned<Percent>>,
            /// Share of packets that are not delayed and so overtake others.
            pub(crate) reorder: Option<Spanned<Percent>>,
            /// Chance that a packet does as the one before: overtake or not; `reorder` stays as it is.
            pub(crate) reorder_correlation: Option<Spanned<Percent>>,
            /// Bit rate, counted on layer 2 without preamble and check sequence, as `tc` does.
            pub(crate) rate: Option<Spanned<BitRate>>,
            /// How much may pass at once after a pause; each packet takes its time when absent.
            pub(crate) burst: Option<Spanned<ByteSize>>,
            /// Bytes added to each packet where the rate counts it; 24 for physical Ethernet.
            pub(crate) overhead: Option<Spanned<i32>>,
            /// How much may wait for the rate: a number of packets, a size or a time; 50 ms, but ten full frames at least, when
            /// absent.
            pub(crate) queue: Option<Spanned<QueueLimit>>,
            /// What the queue does when it is filling; `droptail` when absent.
            pub(crate) queue_discipline: Option<Spanned<QueueDisciplineFile>>,
            /// Whether CoDel marks packets that can be marked in place of dropping them (RFC 3168).
            pub(crate) ecn: Option<Spanned<bool>>,
            /// Whether everything is lost in this direction.
            pub(crate) blackhole: Option<Spanned<bool>>,
            /// File of a recorded link to replay in a loop: a CSV table (`time,delay,rate,loss`) or a mahimahi trace.
            pub(crate) trace: Option<Spanned<String>>,
            /// A regular change in a loop, instead of a `trace`.
            pub(crate) pattern: Option<Spanned<PatternFile>>,
        }

        impl HasImpairments for $name {
            fn impairments(&self) -> ImpairmentFile {
                ImpairmentFile {
                    preset: self.preset.clone(),
                    delay: self.delay.clone(),
                    jitter: self.jitter.clone(),
                    distribution: self.distribution.clone(),
                    distribution_table: self.distribution_table.clone(),
                    delay_correlation: self.delay_correlation.clone(),
                    ordered: self.ordered.clone(),
                    loss: self.loss.clone(),
                    loss_correlation: self.loss_correlation.clone(),
                    loss_burst: self.loss_burst.clone(),
                    gilbert_elliott: self.gilbert_elliott.clone(),
                    duplicate: self.duplicate.clone(),
                    corrupt: self.corrupt.clone(),
                    reorder: self.reorder.clone(),
                    reorder_correlation: self.reorder_correlation.clone(),
                    rate: self.rate.clone(),
                    burst: self.burst.clone(),
                    overhead: self.overhead.clone(),
                    queue: self.queue.clone(),
                    queue_discipline: self.queue_discipline.clone(),
                    ecn: self.ecn.clone(),
                    blackhole: self.blackhole.clone(),
                    trace: self.trace.clone(),
                    pattern: self.pattern.clone(),
                }
            }
        }
    };
}

with_impairments! {
    /// A wire between two interfaces. Impairments given here act in each direction: `delay: 5ms` adds 10 ms to the
    /// round trip.
    LinkFile {
        /// The two ends: `node` or `node:interface`.
        endpoints: Option<Spanned<Vec<Spanned<String>>>>,
        /// Name; `A--B` when absent. Parallel links need one.
        name: Option<Spanned<String>>,
        /// How many like it; `{i}` in its values is replaced by 1, 2, … (`{i+1}` too).
        #[expect(dead_code, reason = "counts are expanded before types are decoded; the schema needs the key")]
        count: Option<Spanned<u32>>,
        /// What is different from the first end to the second.
        forward: Option<ImpairmentFile>,
        /// What is different from the second end to the first.
        backward: Option<ImpairmentFile>,
        /// Who impairs the link; `auto` when absent.
        backend: Option<Spanned<Backend>>,
        /// Largest packet in bytes, 1280 to 65535; 1500 when absent.
        mtu: Option<Spanned<u32>>,
        /// `collapsed`: a switch or router all of whose links say so vanishes, and each pair of hosts gets the composed
        /// path.
        mode: Option<Spanned<ModeFile>>,
        /// Whether the link starts without a carrier.
        down: Option<Spanned<bool>>,
        /// Times the link is up and down in turns.
        flap: Option<Spanned<FlapFile>>,
    }
}

with_impairments! {
    /// What all links have unless they say otherwise.
    LinkDefaultsFile {
        /// Who impairs the links.
        backend: Option<Spanned<Backend>>,
        /// Largest packet in bytes, 1280 to 65535.
        mtu: Option<Spanned<u32>>,
    }
}

with_impairments! {
    /// What a link does to packets in one direction.
    ImpairmentFile {}
}

with_impairments! {
    /// A change of a link: these keys change, the others stay.
    LinkChangeFile {
        /// What changes from the first end to the second only.
        forward: Option<ImpairmentFile>,
        /// What changes from the second end to the first only.
        backward: Option<ImpairmentFile>,
    }
}

/// Jitter distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DistributionFile {
    /// Anything within the jitter is as likely.
    Uniform,
    /// A bell curve.
    Normal,
    /// A heavy tail to longer delays.
    Pareto,
    /// A quarter `normal`, three quarters `pareto`.
    Paretonormal,
    /// From `distribution_table`.
    Table,
}

/// What a queue does when it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QueueDisciplineFile {
    /// Drops what comes when it is full.
    Droptail,
    /// Also drops what has waited for long (RFC 8289).
    Codel,
}

/// A two-state loss channel.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GilbertElliottFile {
    /// Chance per packet to turn bad.
    pub(crate) p: Percent,
    /// Chance per packet to turn good.
    pub(crate) r: Percent,
    /// Loss in the bad state; 100% when absent.
    pub(crate) bad: Option<Percent>,
    /// Loss in the good state; none when absent.
    pub(crate) good: Option<Percent>,
}

/// A link that comes and goes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlapFile {
    /// Time with a carrier; the link begins with it.
    pub(crate) up: Spanned<TimeSpan>,
    /// Time without.
    pub(crate) down: Spanned<TimeSpan>,
}

/// A regular change: `steps`, or a `shape` between two sets of values.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatternFile {
    /// After this it begins again.
    pub(crate) every: Spanned<TimeSpan>,
    /// How it goes from `from` to `to`.
    pub(crate) shape: Option<Spanned<PatternShapeFile>>,
    /// Values at the beginning.
    pub(crate) from: Option<Spanned<PatternValuesFile>>,
    /// Values at the far end.
    pub(crate) to: Option<Spanned<PatternValuesFile>>,
    /// Values one after the other.
    pub(crate) steps: Option<Spanned<Vec<PatternStepFile>>>,
}

/// Shapes of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PatternShapeFile {
    /// `from` for half of the time, then `to`.
    Square,
    /// Smoothly there and back.
    Sine,
    /// Evenly there and back.
    Triangle,
    /// Evenly there, and back at once.
    Sawtooth,
}

/// Values at one end of a shape.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatternValuesFile {
    /// Time each packet is held.
    pub(crate) delay: Option<TimeSpan>,
    /// Bit rate.
    pub(crate) rate: Option<BitRate>,
    /// Share of packets lost.
    pub(crate) loss: Option<Percent>,
}

/// Values from a moment on; what is left out stays as it was.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatternStepFile {
    /// When, counted from the beginning of the pattern; the first step is at 0s.
    pub(crate) at: Spanned<TimeSpan>,
    /// Time each packet is held.
    pub(crate) delay: Option<TimeSpan>,
    /// Bit rate.
    pub(crate) rate: Option<BitRate>,
    /// Share of packets lost.
    pub(crate) loss: Option<Percent>,
}
