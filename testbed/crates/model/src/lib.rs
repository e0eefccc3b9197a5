//! From YAML files to what a testbed does: a [`Topology`], the [`Plan`] that builds it, and an [`Experiment`] on it.
//!
//! ```text
//! topology.yaml ─ parse ─> tree ─ includes, overrides, counts, defaults ─> file types ─ validate ─> Topology ─ plan ─> Plan
//! scenario.yaml ─ parse ─> tree ─ parameters, matrix ─> file types ─ validate (against the topology) ─> Experiment
//! ```
//! Nothing here touches the machine: files come through a [`Loader`], and what is valid on one machine is valid on
//! all. Every problem is reported with its file, line and column, also after includes and overrides
//! ([`ModelError`]).
#![forbid(unsafe_code)]

mod changes;
mod document;
mod error;
mod fault;
mod live;
mod plan;
mod scenario;
mod schema;
mod topology;
mod trace;
pub mod units;
mod yaml;

pub use changes::{Change, Refusal, changes, stages};
pub use document::{Loader, Override};
pub use error::{Fault, ModelError, closest};
pub use live::{limits_change, link_change};
pub use plan::{Action, LinkEnd, Plan, PlannedInterface, PlannedNode, Service, Step, Transition, WIRE, plan};
pub use scenario::{
    Arrivals, Bound, Cell, Event, EventAction, Expectation, Experiment, Flow, Metric, NodeAction, RateStage,
    Repetition, Statistic, load_scenario,
};
pub use schema::{scenario_schema, topology_schema};
pub use topology::{
    AgentSettings, Backend, BasicAuth, ContainerImage, ContainerSettings, Contradiction,
    DEFAULT_RECALC_PERIOD, DEFAULT_SEED, DelayTable, Driver, Endpoint, FaasSettings, Flap, Function,
    GilbertElliott, HealthCheck, Impairment, ImpairmentChange, InterfaceSettings, JitterDistribution, Limits,
    Link, LossModel, Monitoring, Node, NodeKind, PRESETS, PortMapping, Preset, QueueDiscipline, Topology,
    Uplink, Volume, load_topology,
};
pub use trace::{DELIVERY_BYTES, LONGEST_TRACE, Playback, Trace, TraceStep};
pub use units::{BitRate, ByteSize, Percent, QueueLimit, RequestRate, TimeSpan};
