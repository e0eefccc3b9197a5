//! How to balance.

use super::reader::Reader;
use super::{HostPort, ORIGINAL_PERIOD};
use crate::strategy::{Compatibility, Groups, MarginSettings, NodeId, NodeType, Usage};
use dfaas_agent_api::environment::names;
use std::collections::BTreeSet;
use std::time::Duration;

/// Load balancing.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyConfig {
    /// Which strategy.
    pub kind: StrategyKind,
    /// Its period.
    pub period: Duration,
    /// How user rates are measured.
    pub rate: RateSource,
    /// Whether faults of the original are reproduced.
    pub compatibility: Compatibility,
    /// Whether peers that exceed their limit are answered 429.
    pub enforce_limits: bool,
    /// Agents to exchange load with.
    pub neighbours: Neighbours,
}

/// Which strategy, with what only it needs.
#[derive(Clone, Debug, PartialEq)]
pub enum StrategyKind {
    /// `recalcstrategy`
    Recalc,
    /// `latencyawarestrategy`
    LatencyAware,
    /// `nodemarginstrategy`
    Margin {
        /// What this node is.
        settings: MarginSettings,
        /// The service that forecasts; without it, the table that is built in.
        forecaster: Option<HostPort>,
    },
    /// `staticstrategy`
    Static,
    /// `alllocalstrategy`
    AllLocal,
    /// `randomstrategy`
    Random {
        /// Seed of the draws; without it, another one at every start.
        seed: Option<u64>,
        /// Whether requests may be rejected.
        reject: bool,
    },
    /// `latencythresholdstrategy`: the longest round trip to a peer that takes part.
    LatencyThreshold(Duration),
    /// `rlagentstrategy`
    Learning {
        /// The model's service.
        model: HostPort,
        /// Whether it may try actions out.
        explore: bool,
    },
}

/// Agents to exchange load with. Messages go to all in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Neighbours {
    /// All.
    All,
    /// Those in a network of one of this node's interfaces.
    Linked,
    /// These.
    Listed(BTreeSet<NodeId>),
    /// Those whose round trip is at most this.
    Within(Duration),
}

/// How user rates are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateSource {
    /// Requests counted over a window before step 1.
    Window(Duration),
    /// HAProxy's estimate for the last second.
    LastSecond,
}

impl StrategyConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let kind = StrategyKind::read(reader);
        let period = match reader.duration(names::RECALC_PERIOD) {
            Duration::ZERO => ORIGINAL_PERIOD,
            period => period,
        };
        if period < Duration::from_millis(100) {
            reader.complain(names::RECALC_PERIOD, "a period of at least 100ms");
        }
        let compatibility = reader.choice(names::COMPAT);
        let window = match compatibility.as_str() {
            // The original's formula is the count since its reset, half a period ago.
            "upstream-2021" => period / 2,
            _ => reader.rate_window(period),
        };
        Self {
            kind,
            period,
            rate: if compatibility == "upstream" {
                RateSource::LastSecond
            } else {
                RateSource::Window(window)
            },
            compatibility: if compatibility.is_empty() {
                Compatibility::Ours
            } else {
                Compatibility::Upstream
            },
            enforce_limits: reader.flag(names::LIMITIN_ENFORCE),
            neighbours: reader.neighbours(),
        }
    }
}

impl StrategyKind {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.choice(names::STRATEGY).as_str() {
            "latencyawarestrategy" => Self::LatencyAware,
            "nodemarginstrategy" => Self::read_margin(reader),
            "staticstrategy" => Self::Static,
            "alllocalstrategy" => Self::AllLocal,
            "randomstrategy" | "random" => {
                let seed: i64 = reader.parse(
                    names::RANDOM_SEED,
                    "a whole number; -1 for another one at every start",
                );
                Self::Random {
                    seed: u64::try_from(seed).ok(),
                    reject: reader.flag(names::RANDOM_REJECT),
                }
            }
            "latencythresholdstrategy" | "latency-threshold" => {
                let milliseconds =
                    reader.amount(names::LATENCY_THRESHOLD_MS, "a number of milliseconds, 0 or more");
                Self::LatencyThreshold(
                    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or(Duration::MAX),
                )
            }
            "rlagentstrategy" => Self::Learning {
                model: reader.host_port(names::RLMODEL_HOST, names::RLMODEL_PORT),
                explore: reader.flag(names::RLMODEL_EXPLORE),
            },
            _ => Self::Recalc,
        }
    }

    fn read_margin(reader: &mut Reader<'_>) -> Self {
        let number: i64 = reader.parse(names::NODE_TYPE, "0 (heavy), 1 (mid) or 2 (light)");
        let node_type = NodeType::from_number(number).unwrap_or_else(|| {
            reader.complain(names::NODE_TYPE, "0 (heavy), 1 (mid) or 2 (light)");
            NodeType::default()
        });
        let service = !reader.text(names::FORECASTER_HOST).is_empty();
        let forecaster = service.then(|| reader.host_port(names::FORECASTER_HOST, names::FORECASTER_PORT));
        let settings = MarginSettings {
            node_type,
            thresholds: Usage {
                cpu: reader.amount(names::NMS_CPU_THRESHOLD, "a percentage of one core, above 0"),
                ram: reader.amount(names::NMS_RAM_THRESHOLD, "a number of bytes, above 0"),
                power: reader.amount(names::NMS_POWER_THRESHOLD, "a number of microwatts, above 0"),
            },
            groups: read_groups(reader),
            service,
        };
        Self::Margin { settings, forecaster }
    }
}

/// The group list file, or the original's list.
fn read_groups(reader: &mut Reader<'_>) -> Groups {
    let Some(path) = reader.optional_path(names::GROUP_LIST_FILE_NAME) else {
        return Groups::default();
    };
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let groups = text.and_then(|text| Groups::from_json(&text).map_err(|error| error.to_string()));
    groups.unwrap_or_else(|error| {
        reader.complain(
            names::GROUP_LIST_FILE_NAME,
            &format!("a list of groups ({error})"),
        );
        Groups::default()
    })
}
