//! The scenario: as written (`file`), checked (`validate`), and ready to run (`experiment`).

mod cells;
mod experiment;
pub(crate) mod file;
mod load;
mod params;
pub(crate) mod seed;
mod validate;

pub use experiment::{
    Arrivals, Bound, Cell, Event, EventAction, Expectation, Experiment, Flow, Metric, NodeAction, RateStage,
    Repetition, Statistic,
};
pub use load::load_scenario;
