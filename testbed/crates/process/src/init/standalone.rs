//! Init without a supervisor: process 1 of a container that somebody else has made.

use std::fs::File;
use std::path::Path;

use super::capabilities;
use super::channel::Channel;
use super::log::Logs;
use super::supervisor::Supervisor;
use crate::error::{Cannot, ProcessError};
use crate::spec::{Privileges, ServiceSpec};

/// Starts services in the order given, in the surroundings there are, and keeps them running until this process gets
/// SIGTERM or SIGINT; then they get SIGTERM, last one first, and what is left after five seconds is killed. Orphans are
/// reaped. Each service's output goes to `<service>.log` in `log_directory` and, line by line behind the service's
/// name, to standard output. Returns the exit code.
///
/// Call it before the process has threads. Programs get no capability that reaches beyond a node, whatever the
/// container has, except `CAP_SYS_ADMIN` for those that isolate their own children; see [`Privileges::Namespaces`].
///
/// # Errors
/// [`ProcessError::System`] when the log directory cannot be used or a service cannot be started.
pub fn run_services(services: Vec<ServiceSpec>, log_directory: &Path) -> Result<i32, ProcessError> {
    let directory =
        File::open(log_directory).cannot(|| format!("open the log directory {}", log_directory.display()))?;
    let mut channel = Channel::console();
    let logs = Logs::new(directory.into(), true);
    let mut supervisor = Supervisor::new(logs, None, &channel)?;
    capabilities::limit(Privileges::Namespaces)?;
    for service in services {
        let name = service.name.clone();
        supervisor
            .start(service, &mut channel)
            .map_err(std::io::Error::other)
            .cannot(|| format!("start service `{name}`"))?;
    }
    Ok(supervisor.run(&mut channel))
}
