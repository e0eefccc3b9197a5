use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{LabState, NodeState};

/// Something that happened in a lab: one line of `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabEvent {
    /// Counts from 1, without gaps.
    pub number: u64,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What can happen in a lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Happening {
    /// The lab is in another state. Nothing follows `stopping`.
    Lab {
        /// Its state now.
        state: LabState,
    },
    /// A node is in another state.
    Node {
        /// The node.
        node: String,
        /// Its state now.
        state: NodeState,
        /// Why, where it did so by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A service of a node has started or ended.
    Service {
        /// The node.
        node: String,
        /// The service.
        service: String,
        /// `running`, `restarting` or `stopped`.
        state: String,
        /// How often it was started again after it ended.
        restarts: u32,
        /// How it ended, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
    },
    /// Somebody has changed a link.
    Link {
        /// The link.
        link: String,
        /// Whether its ends have a carrier.
        up: bool,
        /// Who impairs it: `wire` or `tc`.
        backend: String,
        /// Impairments from the first end to the second, by the keys of a topology file.
        forward: Map<String, Value>,
        /// Impairments from the second end to the first.
        backward: Map<String, Value>,
    },
    /// Packets were dropped on a link in the last second. Told only while somebody listens.
    Drops {
        /// The link.
        link: String,
        /// `forward` or `backward`.
        direction: String,
        /// Number of packets by cause.
        drops: BTreeMap<String, u64>,
    },
    /// A partition has begun.
    Partition {
        /// Who cannot reach whom.
        groups: Vec<Vec<String>>,
    },
    /// A partition has ended.
    Heal {
        /// Who can reach each other again, as far as no other partition is in the way.
        groups: Vec<Vec<String>>,
    },
    /// The limits of a node have changed.
    Limits {
        /// The node.
        node: String,
        /// Its limits now, by the keys of a topology file.
        limits: Map<String, Value>,
    },
    /// A client is at another access point.
    Moved {
        /// The client.
        client: String,
        /// Its link of before.
        from: String,
        /// Its link now.
        to: String,
    },
    /// An image that a changed file needs is being pulled or built. Told twice a second at most.
    Image {
        /// The image, or the folder it is built from.
        image: String,
        /// One line.
        text: String,
    },
    /// A changed file has been applied.
    Applied {
        /// What it changed, one line each.
        changes: Vec<String>,
    },
    /// Something could not be done as asked; results depend on it.
    Warning {
        /// One sentence.
        message: String,
    },
    /// The listener was too slow, or asked for what is not kept any more.
    Missed {
        /// How many events are lost for it.
        count: u64,
    },
}
