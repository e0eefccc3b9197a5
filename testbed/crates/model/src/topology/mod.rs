//! The topology: as written (`file`), checked (`validate`), and ready to be planned (`topology`).

mod agent_file;
mod collapse;
mod container;
mod contradiction;
mod distribution;
mod expand;
mod file;
mod impairment;
pub(crate) mod link_file;
mod loss;
mod merge;
pub(crate) mod preset;
pub(crate) mod segments;
mod settings;
mod settled;
#[expect(
    clippy::module_inception,
    reason = "the module holds the type of the same name"
)]
mod topology;
pub(crate) mod validate;

pub use container::{ContainerImage, ContainerSettings, Driver, HealthCheck};
pub use contradiction::Contradiction;
pub use distribution::{DelayTable, JitterDistribution};
pub(crate) use file::{NodeFile, TopologyFile};
pub use impairment::{Impairment, ImpairmentChange, QueueDiscipline};
pub use loss::{GilbertElliott, LossModel};
pub use preset::{PRESETS, Preset};
pub use topology::{
    AgentSettings, Backend, BasicAuth, DEFAULT_RECALC_PERIOD, DEFAULT_SEED, Endpoint, FaasSettings, Flap,
    Function, InterfaceSettings, Limits, Link, Monitoring, Node, NodeKind, PortMapping, Topology, Uplink,
    Volume,
};

use crate::document::overrides::{self, Assignment};
use crate::document::reader::Reader;
use crate::document::sources::Sources;
use crate::document::{Loader, Override, include, path};
use crate::error::{ModelError, Problems};

/// Reads, checks and completes the topology file at `path`, with what it includes and with `overrides` laid over
/// it. Touches nothing but `loader`.
///
/// # Errors
/// All problems found in one pass, each with its place.
pub fn load_topology(
    path: &str,
    loader: &dyn Loader,
    overrides: &[Override],
) -> Result<Topology, ModelError> {
    let mut sources = Sources::default();
    let mut problems = Problems::default();
    let tree = include::read(path, loader, &mut sources, &mut problems);
    let assignments = read_overrides(overrides, &mut sources, &mut problems);
    let topology = match tree {
        Some(tree) if problems.is_empty() => {
            let path = path::normal(path);
            let mut reader = Reader::new(loader, &mut sources, &path);
            validate::resolve(tree, &assignments, &path, &mut reader, &mut problems)
        }
        _ => None,
    };
    problems.or(topology, &sources)
}

pub(crate) fn read_overrides(
    overrides: &[Override],
    sources: &mut Sources,
    problems: &mut Problems,
) -> Vec<Assignment> {
    overrides
        .iter()
        .filter_map(|argument| problems.keep(overrides::read(argument, sources)))
        .collect()
}
