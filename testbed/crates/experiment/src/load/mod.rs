//! Open-loop HTTP load.
//!
//! Send times are fixed in advance by the plan. Each request is its own task, so a slow server never delays the next
//! one, and latency counts from the *intended* send time, so a stalled server cannot hide behind requests that were
//! never sent (coordinated omission, after Gil Tene).

mod clock;
mod connection;
mod error;
mod exchange;
mod generator;
mod output;
mod plan;
mod process;
mod row;
mod schedule;
mod template;

pub use error::LoadError;
pub use generator::{Phase, generate};
pub use plan::{Arrivals, DEFAULT_IN_FLIGHT_LIMIT, LoadFlow, LoadPlan, Stage};
pub use process::load_main;
pub use row::{LoadMessage, LoadRow};
pub use schedule::Schedule;

/// Checks that every flow of a plan can be sent over HTTP, without sending anything.
///
/// # Errors
/// [`LoadError::Unsendable`] names the flow and the part that cannot be sent.
pub fn check(plan: &LoadPlan) -> Result<(), LoadError> {
    plan.flows
        .iter()
        .try_for_each(|flow| template::RequestTemplate::new(flow).map(drop))
}
