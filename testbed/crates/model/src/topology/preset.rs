//! Links by name: `preset: lte`.
//!
//! "Up" is what a user sends, "down" what comes back: on a link, `forward` (from its first end) is up. Where the two
//! differ, put the user's end first. Every number is the published one where the source has it; what is a choice of
//! ours is said. Queues are left alone: the backend's own limit holds, unless the link has a `queue:`.

use std::time::Duration;

use super::impairment::ImpairmentChange;

/// A named link.
pub struct Preset {
    /// The word in files.
    pub name: &'static str,
    /// What it stands for, in a few words.
    pub about: &'static str,
    /// Where its numbers come from, and which of them are choices.
    pub source: &'static str,
    /// From the first end of the link to the second.
    up: Values,
    /// From the second end to the first.
    down: Values,
}

/// Delay and jitter in microseconds (one way), loss in millionths, rate in kbit/s.
#[derive(Clone, Copy)]
struct Values {
    delay: u64,
    jitter: u64,
    loss: u32,
    rate: u64,
}

/// Direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the first end to the second.
    Forward,
    /// From the second end to the first.
    Backward,
}

/// All presets, slowest technology last of its kind.
pub const PRESETS: [Preset; 9] = [
    Preset {
        name: "lan",
        about: "switched gigabit Ethernet",
        source: "rate of IEEE 802.3ab (1000BASE-T); 0.1 ms each way and no loss are our choice",
        up: values(100, 0, 0, 1_000_000),
        down: values(100, 0, 0, 1_000_000),
    },
    Preset {
        name: "wifi",
        about: "a well-kept access point, shared with others",
        source: "Pei et al., 'WiFi can be the weakest link of round trip network latency in the wild', INFOCOM 2016: a \
                 wireless hop had a median of 10 ms after tuning (50 ms before), so 5 ms each way; jitter, 0.1 % loss and \
                 100 Mbit/s are our choice",
        up: values(5_000, 3_000, 1_000, 100_000),
        down: values(5_000, 3_000, 1_000, 100_000),
    },
    Preset {
        name: "fibre",
        about: "fibre to the home",
        source: "Verizon's Fios 100/100 in the FCC's Measuring Broadband America 2016: 116 Mbit/s down, 121 Mbit/s up; \
                 round trip 11.6 ms (tier 75/75), so 5.8 ms each way; jitter is our choice",
        up: values(5_800, 500, 0, 121_000),
        down: values(5_800, 500, 0, 116_000),
    },
    Preset {
        name: "dsl",
        about: "a copper line of medium length",
        source: "Verizon's DSL in the FCC's Measuring Broadband America 2016: 11.3 Mbit/s down (tier 7.1-15), 0.82 Mbit/s \
                 up and a round trip of 37 ms (tier 3.1-7), so 18.5 ms each way; jitter and 0.1 % loss are our choice",
        up: values(18_500, 2_000, 1_000, 820),
        down: values(18_500, 2_000, 1_000, 11_300),
    },
    Preset {
        name: "5g",
        about: "a phone on a public 5G network",
        source: "rates: Ookla, 'Growing and Slowing: The State of 5G Worldwide in 2021', medians of the third quarter, 166 \
                 Mbit/s down and 21 Mbit/s up; 12 ms each way (round trips of 20 to 30 ms), jitter and loss are our choice",
        up: values(12_000, 4_000, 100, 21_000),
        down: values(12_000, 4_000, 100, 166_000),
    },
    Preset {
        name: "lte",
        about: "a phone on a public 4G network",
        source: "round trip: Ookla's quarterly report on the carriers of the United States before 5G, 31 ms (best) to 39 ms (worst) on average, so 17.5 \
                 ms each way; 30 Mbit/s down, 10 Mbit/s up, jitter and 0.1 % loss are our choice",
        up: values(17_500, 5_000, 1_000, 10_000),
        down: values(17_500, 5_000, 1_000, 30_000),
    },
    Preset {
        name: "wan-eu-us",
        about: "a backbone across the Atlantic",
        source: "Verizon's latency guarantee between New York and London: at most 90 ms for the round trip as a monthly \
                 average, so 45 ms each way; jitter, 0.01 % loss and 1 Gbit/s are our choice",
        up: values(45_000, 1_000, 100, 1_000_000),
        down: values(45_000, 1_000, 100, 1_000_000),
    },
    Preset {
        name: "satellite-leo",
        about: "Starlink, seen from Europe",
        source: "Michel, Trevisan, Giordano and Bonaventure, 'A First Look at Starlink Performance', IMC 2022, as told on \
                 the APNIC blog (2022-11-28): round trip 50 ms in the median, quartiles at 40 and 60 ms, so 25 ms each way; \
                 the jitter of 7 ms gives that spread; 170 Mbit/s down, 17 Mbit/s up and 0.4 % loss are our choice",
        up: values(25_000, 7_000, 4_000, 17_000),
        down: values(25_000, 7_000, 4_000, 170_000),
    },
    Preset {
        name: "satellite-geo",
        about: "a geostationary satellite",
        source: "the same paper: at least about 600 ms for the round trip, so 300 ms each way, and the 100/10 Mbit/s \
                 subscription it compares with; jitter and 0.1 % loss are our choice",
        up: values(300_000, 10_000, 1_000, 10_000),
        down: values(300_000, 10_000, 1_000, 100_000),
    },
];

const fn values(delay: u64, jitter: u64, loss: u32, rate: u64) -> Values {
    Values {
        delay,
        jitter,
        loss,
        rate,
    }
}

impl Preset {
    /// The preset of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// What it does in one direction.
    pub(crate) fn of(&self, direction: Direction) -> ImpairmentChange {
        let values = match direction {
            Direction::Forward => self.up,
            Direction::Backward => self.down,
        };
        ImpairmentChange {
            delay: Some(Duration::from_micros(values.delay)),
            jitter: Some(Duration::from_micros(values.jitter)),
            loss: Some(f64::from(values.loss) / 1e6),
            rate: Some(values.rate * 1_000),
            ..ImpairmentChange::default()
        }
    }
}
