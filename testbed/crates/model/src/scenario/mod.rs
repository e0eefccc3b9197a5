//! The scenario: as written (`file`), checked (`validate`), and ready to run (`experiment`).

mod experiment;

pub use experiment::{
    Arrivals, Bound, Cell, Event, EventAction, Expectation, Experiment, Flow, Metric, NodeAction, Repetition,
    Statistic,
};
