//! What functions and their watchdogs say: kept for a while, and told on request.

mod journal;
mod output;
mod request;

pub(crate) use journal::{Journal, Journals};
pub(crate) use output::function_output;
pub(crate) use request::{LogRequest, stream};
