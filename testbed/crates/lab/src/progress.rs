//! What a starting lab tells the command that started it: JSON lines on the supervisor's standard output.

use serde::{Deserialize, Serialize};

use dfaas_model::{Plan, Topology};

/// What a supervisor is asked to do: one JSON line on its standard input. The pipe stays open until the lab is ready;
/// its end before that means "stop and undo".
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabRequest {
    /// The validated topology.
    pub topology: Topology,
    /// The steps to apply.
    pub plan: Plan,
    /// Leave everything as it is when a step fails.
    pub keep: bool,
}

/// One milestone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "progress")]
pub enum Progress {
    /// A step of pulling or building an image.
    Image {
        /// The image, or the folder it is built from.
        image: String,
        /// One line.
        text: String,
    },
    /// All namespaces, links, addresses and impairments are in place.
    Network {
        /// Namespaces made, one per node.
        namespaces: usize,
        /// Links made.
        links: usize,
        /// How many links each backend has taken, for example `[("wire", 4)]`.
        backends: Vec<(String, usize)>,
        /// Since the supervisor began.
        milliseconds: u64,
    },
    /// The services of a node answer.
    Node {
        /// The node.
        node: String,
        /// Its services in start order.
        services: Vec<String>,
        /// Since the supervisor began.
        milliseconds: u64,
    },
    /// What was asked for but could not be done; results depend on it.
    Warning {
        /// One sentence.
        message: String,
    },
    /// The lab is up. Nothing follows.
    Ready {
        /// How many agents know each other.
        agents: usize,
        /// Since the supervisor began.
        milliseconds: u64,
    },
    /// A step failed. Nothing follows.
    Failed {
        /// The whole story.
        message: String,
        /// Exit code that goes with it.
        exit_code: u8,
        /// Whether everything was left in place for inspection (`--keep`).
        kept: bool,
        /// What could not be undone.
        left: Vec<String>,
    },
}
