//! Labs: a plan applied to this machine, kept by a supervisor process, and undone without a trace.
//!
//! [`start`] claims a lab's name and starts its supervisor ([`supervise`], reached through a hidden verb of the command
//! line program). The supervisor owns every descriptor of the lab; when it dies, the kernel takes the lab apart, and
//! what the kernel does not know about is in the ledger for the next command.

mod bare;
mod error;
mod fault;
mod keys;
mod labs;
mod launch;
mod ledger;
mod progress;
mod rootless;
mod state;
mod supervisor;
mod tools;

pub use bare::BareNetwork;
pub use dfaas_docker::{Engine, EngineFacts, HOLD_VERB, hold_network};
pub use error::LabError;
pub use labs::{LabRow, choose, connect, list, take_down};
pub use launch::{SUPERVISOR_VERB, start};
pub use progress::{LabRequest, Progress};
pub use rootless::{ROOTLESS_LIMITS, enter_user_namespace};
pub use state::{STATE_ROOT_VARIABLE, StateDirectory};
pub use supervisor::{Entrance, INIT_VERB, for_people as impairment_for_people, supervise};
pub use tools::{Tools, find_program};
