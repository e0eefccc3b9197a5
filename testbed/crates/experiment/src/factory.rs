use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use dfaas_model::{Event, EventAction, Topology};
use futures::future::BoxFuture;

/// A lab that is ready for load.
#[derive(Debug, Clone)]
pub struct RunningLab {
    /// Its name.
    pub name: String,
    /// The control API's description of it at this moment, kept as `lab.json`.
    pub detail: serde_json::Value,
    /// Node names by what response headers call them: agent peer id, IP address.
    pub node_names_by_key: BTreeMap<String, String>,
    /// Address of each node, by its name.
    pub addresses: BTreeMap<String, IpAddr>,
    /// Directory with one folder per node and one log file per service.
    pub log_directory: PathBuf,
}

/// Starts and steers labs for an experiment. Errors are one sentence for people, without final period.
pub trait LabFactory: Send + Sync {
    /// Starts a lab and returns when it is ready. A lab that fails to start leaves nothing behind.
    ///
    /// When the experiment is interrupted meanwhile, the future is dropped and [`stop`](LabFactory::stop) is called
    /// with the topology's name.
    fn start<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<RunningLab, String>>;

    /// Takes a lab down, also one that is there only in part or not at all.
    fn stop<'a>(&'a self, lab: &'a str) -> BoxFuture<'a, Result<(), String>>;

    /// Whether `event` can be carried out on such a lab; asked for every event before anything is started.
    ///
    /// # Errors
    /// What is missing.
    fn supports(&self, topology: &Topology, event: &Event) -> Result<(), String>;

    /// It is t = 0: what the lab plays back by itself (traces on links) begins now.
    fn begin<'a>(&'a self, lab: &'a str) -> BoxFuture<'a, Result<(), String>> {
        let _ = lab;
        Box::pin(async { Ok(()) })
    }

    /// Carries out an event.
    fn act<'a>(&'a self, lab: &'a str, action: &'a EventAction) -> BoxFuture<'a, Result<(), String>>;

    /// Undoes an event whose duration is over: a link goes back to what its file says, a node's services run again.
    fn undo<'a>(&'a self, lab: &'a str, action: &'a EventAction) -> BoxFuture<'a, Result<(), String>>;

    /// The control API's description of a running lab at this moment, for those who watch it; none if this kind of lab
    /// cannot be watched.
    fn look<'a>(&'a self, lab: &'a str) -> BoxFuture<'a, Result<Option<serde_json::Value>, String>> {
        let _ = lab;
        Box::pin(async { Ok(None) })
    }

    /// A command that runs this program with `arguments` inside a node of a running lab.
    fn node_command(&self, lab: &str, node: &str, arguments: &[String]) -> Command;
}
