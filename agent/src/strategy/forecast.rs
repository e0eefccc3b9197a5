//! What a node would use under a load: the built-in forecaster of the node margin strategy.
//!
//! The original asks a service that holds regression trees. Its published sample predictions are a handful of points;
//! between them this table is linear, beyond the last it goes on with the last slope, and it ends where the original's
//! models end. It knows:
//!
//! - CPU over the rate of the group LOW_USAGE, per node type;
//! - CPU for 40 requests per second of HIGH_USAGE, taken as a slope on top;
//! - the rates at which a node is overloaded (framework of 2024: LOW 400, 570, 330 and MEDIUM 200, 200, 180 for heavy,
//!   mid and light): a request of MEDIUM_USAGE counts as LOW / MEDIUM requests of LOW_USAGE;
//! - memory and power where CPU is known, taken as functions of CPU.

use super::FunctionName;
use std::collections::BTreeMap;

/// What a node is: the original's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeType {
    /// 0: six processors.
    Heavy,
    /// 1: four.
    #[default]
    Mid,
    /// 2: two.
    Light,
}

impl NodeType {
    /// By the original's number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Heavy),
            1 => Some(Self::Mid),
            2 => Some(Self::Light),
            _ => None,
        }
    }

    /// The original's number.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Heavy => 0,
            Self::Mid => 1,
            Self::Light => 2,
        }
    }
}

/// Requests per second by group of functions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Functions that use much.
    pub high: f64,
    /// Functions that use little.
    pub low: f64,
    /// Functions between them.
    pub medium: f64,
}

impl Load {
    /// The rate of one group, to change.
    pub fn group_mut(&mut self, group: Group) -> &mut f64 {
        match group {
            Group::High => &mut self.high,
            Group::Low => &mut self.low,
            Group::Medium => &mut self.medium,
        }
    }

    /// The same with what is not a finite number above 0 taken as 0.
    #[must_use]
    pub fn clean(self) -> Self {
        let clean = |rate: f64| if rate.is_finite() && rate > 0.0 { rate } else { 0.0 };
        Self {
            high: clean(self.high),
            low: clean(self.low),
            medium: clean(self.medium),
        }
    }
}

/// A group of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// HIGH_USAGE.
    High,
    /// LOW_USAGE.
    Low,
    /// MEDIUM_USAGE.
    Medium,
}

/// Which group a function belongs to; functions of none are not forecast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups(BTreeMap<FunctionName, Group>);

/// A group list that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GroupsError {
    /// Not an object of lists.
    #[error("not an object of lists of function names: {0}")]
    Json(#[from] serde_json::Error),
    /// A group the forecaster does not know.
    #[error("`{0}` is no group; there are HIGH_USAGE, LOW_USAGE and MEDIUM_USAGE")]
    UnknownGroup(String),
    /// A function cannot be in two groups.
    #[error("function `{0}` is in two groups")]
    Twice(String),
}

impl Groups {
    /// Reads the original's group list: `{"HIGH_USAGE":["nmap"],"LOW_USAGE":["figlet"],"MEDIUM_USAGE":["curl"]}`.
    ///
    /// # Errors
    /// When it is something else, or names a function twice.
    pub fn from_json(text: &str) -> Result<Self, GroupsError> {
        let lists: BTreeMap<String, Vec<FunctionName>> = serde_json::from_str(text)?;
        let mut groups = BTreeMap::new();
        for (name, functions) in lists {
            let group = match name.as_str() {
                "HIGH_USAGE" => Group::High,
                "LOW_USAGE" => Group::Low,
                "MEDIUM_USAGE" => Group::Medium,
                _ => return Err(GroupsError::UnknownGroup(name)),
            };
            for function in functions {
                if groups
                    .insert(function.clone(), group)
                    .is_some_and(|before| before != group)
                {
                    return Err(GroupsError::Twice(function));
                }
            }
        }
        Ok(Self(groups))
    }

    /// The group of a function.
    #[must_use]
    pub fn of(&self, function: &str) -> Option<Group> {
        self.0.get(function).copied()
    }
}

impl Default for Groups {
    /// The original's own list.
    fn default() -> Self {
        let groups = [
            (Group::High, ["eat-memory", "nmap"].as_slice()),
            (Group::Low, &["env", "figlet", "shasum"]),
            (Group::Medium, &["curl"]),
        ];
        let all = groups
            .into_iter()
            .flat_map(|(group, names)| names.iter().map(move |name| ((*name).to_owned(), group)));
        Self(all.collect())
    }
}

/// What a node uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Percent of one processor core.
    pub cpu: f64,
    /// Bytes of memory.
    pub ram: f64,
    /// Microwatts.
    pub power: f64,
}

/// A question to a forecaster. Ordered by bits, so that it can be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The node's type, by the original's number.
    pub node_type: i64,
    rates: [u64; 3],
}

impl Question {
    /// What a node of this type would use under this load.
    #[must_use]
    pub fn new(node_type: i64, load: Load) -> Self {
        let Load { high, low, medium } = load.clean();
        Self {
            node_type,
            rates: [high, low, medium].map(f64::to_bits),
        }
    }

    /// The load asked about.
    #[must_use]
    pub fn load(&self) -> Load {
        let [high, low, medium] = self.rates.map(f64::from_bits);
        Load { high, low, medium }
    }
}

/// Forecasts from the published sample predictions.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltInForecaster;

/// The samples of one node type.
struct Samples {
    /// LOW_USAGE requests per second → CPU.
    cpu: &'static [(f64, f64)],
    /// CPU for 40 requests per second of HIGH_USAGE.
    cpu_at_40_high: f64,
    /// LOW_USAGE requests that weigh as much as one of MEDIUM_USAGE.
    low_per_medium: f64,
    /// CPU → memory.
    ram: &'static [(f64, f64)],
    /// CPU → power.
    power: &'static [(f64, f64)],
}

const LIGHT: Samples = Samples {
    cpu: &[
        (0.0, 63.32),
        (100.0, 84.92),
        (200.0, 104.75),
        (250.0, 115.58),
        (350.0, 126.6),
    ],
    cpu_at_40_high: 150.9,
    low_per_medium: 330.0 / 180.0,
    ram: &[
        (63.32, 3.592e9),
        (84.92, 3.616e9),
        (104.75, 3.658e9),
        (126.6, 3.752e9),
    ],
    power: &[
        (63.32, 183_952.0),
        (84.92, 267_102.0),
        (104.75, 392_595.0),
        (126.6, 448_448.0),
    ],
};
const MID: Samples = Samples {
    cpu: &[
        (0.0, 78.83),
        (100.0, 114.69),
        (300.0, 155.33),
        (400.0, 180.0),
        (600.0, 218.58),
    ],
    cpu_at_40_high: 215.0,
    low_per_medium: 570.0 / 200.0,
    ram: &[(114.69, 4.591e9), (155.33, 4.678e9)],
    power: &[(114.69, 522_137.0), (155.33, 909_946.0)],
};
/// One sample of memory and power only: memory as good as constant, power in proportion to CPU.
const HEAVY: Samples = Samples {
    cpu: &[(0.0, 92.54), (100.0, 134.61), (350.0, 196.12), (600.0, 235.99)],
    cpu_at_40_high: 273.7,
    low_per_medium: 400.0 / 200.0,
    ram: &[(134.61, 3.852e9)],
    power: &[(0.0, 0.0), (134.61, 544_968.0)],
};

/// Where the original's models end.
const LEAST: Usage = Usage {
    cpu: 57.733,
    ram: 2.656_75e9,
    power: 122_318.0,
};
const MOST: Usage = Usage {
    cpu: 475.848,
    ram: 5.966_02e9,
    power: 4_121_656.714,
};

impl BuiltInForecaster {
    /// What a node of this type would use under this load.
    #[must_use]
    pub fn forecast(self, node_type: NodeType, load: Load) -> Usage {
        let samples = match node_type {
            NodeType::Heavy => &HEAVY,
            NodeType::Mid => &MID,
            NodeType::Light => &LIGHT,
        };
        let Load { high, low, medium } = load.clean();
        let idle = interpolate(samples.cpu, 0.0);
        let per_high = (samples.cpu_at_40_high - idle) / 40.0;
        let cpu = interpolate(samples.cpu, low + medium * samples.low_per_medium) + high * per_high;
        let cpu = cpu.clamp(LEAST.cpu, MOST.cpu);
        Usage {
            cpu,
            ram: interpolate(samples.ram, cpu).clamp(LEAST.ram, MOST.ram),
            power: interpolate(samples.power, cpu).clamp(LEAST.power, MOST.power),
        }
    }
}

/// Linear between points in ascending order, and beyond them with the slope at that end.
fn interpolate(points: &[(f64, f64)], x: f64) -> f64 {
    let above = points
        .iter()
        .position(|point| point.0 >= x)
        .unwrap_or(points.len())
        .clamp(1, points.len().max(2) - 1);
    match (points.get(above - 1), points.get(above)) {
        (Some(&(x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        (Some(&(_, y)), None) => y,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn forecast(node_type: NodeType, high: f64, low: f64, medium: f64) -> Usage {
        BuiltInForecaster.forecast(node_type, Load { high, low, medium })
    }

    /// Every published sample is met.
    #[test]
    fn published_samples() {
        for (node_type, high, low, cpu) in [
            (NodeType::Light, 0.0, 0.0, 63.32),
            (NodeType::Light, 0.0, 100.0, 84.92),
            (NodeType::Light, 0.0, 250.0, 115.58),
            (NodeType::Light, 0.0, 350.0, 126.6),
            (NodeType::Light, 40.0, 0.0, 150.9),
            (NodeType::Mid, 0.0, 0.0, 78.83),
            (NodeType::Mid, 0.0, 300.0, 155.33),
            (NodeType::Mid, 0.0, 600.0, 218.58),
            (NodeType::Mid, 40.0, 0.0, 215.0),
            (NodeType::Heavy, 0.0, 100.0, 134.61),
            (NodeType::Heavy, 0.0, 350.0, 196.12),
            (NodeType::Heavy, 40.0, 0.0, 273.7),
        ] {
            let usage = forecast(node_type, high, low, 0.0);
            assert!(
                (usage.cpu - cpu).abs() < 1e-6,
                "{node_type:?} {high} {low}: {usage:?}"
            );
        }
        let light = forecast(NodeType::Light, 0.0, 350.0, 0.0);
        assert!((light.ram - 3.752e9).abs() < 1.0 && (light.power - 448_448.0).abs() < 1.0);
        let mid = forecast(NodeType::Mid, 0.0, 100.0, 0.0);
        assert!((mid.ram - 4.591e9).abs() < 1.0 && (mid.power - 522_137.0).abs() < 1.0);
    }

    /// The rates at which nodes are overloaded, by groups, mean the same.
    #[test]
    fn a_request_of_another_group_weighs_more() {
        let low = forecast(NodeType::Mid, 0.0, 570.0, 0.0);
        let medium = forecast(NodeType::Mid, 0.0, 0.0, 200.0);
        assert!((low.cpu - medium.cpu).abs() < 1e-6, "{low:?} {medium:?}");
    }

    #[test]
    fn groups() {
        let groups = Groups::from_json(r#"{"HIGH_USAGE":["nmap"],"LOW_USAGE":["figlet"]}"#).unwrap();
        assert_eq!(groups.of("nmap"), Some(Group::High));
        assert_eq!(groups.of("ocr"), None);
        for (text, complaint) in [
            ("[]", "not an object of lists"),
            (r#"{"SOME_USAGE":[]}"#, "`SOME_USAGE` is no group"),
            (
                r#"{"HIGH_USAGE":["f"],"LOW_USAGE":["f"]}"#,
                "`f` is in two groups",
            ),
        ] {
            let error = Groups::from_json(text).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
        assert_eq!(Groups::default().of("shasum"), Some(Group::Low));
    }

    proptest! {
        #[test]
        fn within_bounds_and_never_falling(
            number in 0i64..3, high: f64, low in 0.0..2000.0, medium: f64, more in 0.0..500.0,
        ) {
            let node_type = NodeType::from_number(number).unwrap();
            let usage = forecast(node_type, high, low, medium);
            prop_assert!(usage.cpu.is_finite() && usage.ram.is_finite() && usage.power.is_finite());
            prop_assert!(usage.cpu <= MOST.cpu && usage.ram <= MOST.ram && usage.power <= MOST.power);
            let busier = forecast(node_type, high, low + more, medium);
            prop_assert!(busier.cpu >= usage.cpu && busier.ram >= usage.ram && busier.power >= usage.power);
        }

        #[test]
        fn any_text_is_read_as_groups(text: String) {
            let _ = Groups::from_json(&text);
        }

        #[test]
        fn a_question_keeps_its_load(high in 0.0..1e9, low in 0.0..1e9, medium in 0.0..1e9) {
            let load = Load { high, low, medium };
            prop_assert_eq!(Question::new(1, load).load(), load);
        }
    }
}
