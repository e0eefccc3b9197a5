//! How functions run on this machine: in sandboxes where that can be had.

mod instance;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dfaas_process::{Bind, Cgroup, Isolation, Limits, Sandbox, SandboxSpec};
use tracing::{debug, warn};

use crate::error::FaasError;
pub(crate) use instance::{Instance, Running};

/// Argument with which this program is a sandbox' launcher.
pub(crate) const LAUNCHER: &str = "launcher";
/// Where functions have their home, which is empty and writable.
pub(crate) const HOME: &str = "/home/app";
/// Where a function sees its secrets.
const SECRETS: &str = "/var/openfaas/secrets";
/// The name under which functions find this program.
const OWN_NAME: &str = "dfaas-faas";
/// Processes and threads of one function. The original has no limit but the machine's, which a fork bomb then finds.
const PROCESSES: u64 = 512;

/// How much functions are kept apart from the platform and from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Apart {
    /// As much as this machine allows; what is missing is a warning.
    #[default]
    Auto,
    /// In namespaces of their own, or the platform does not start.
    Full,
    /// Not at all: functions are processes of the platform's user that see what it sees.
    None,
}

/// What a function's surroundings depend on.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// `name.namespace`.
    pub(crate) full_name: String,
    pub(crate) host_name: String,
    pub(crate) environment: Vec<(String, String)>,
    /// Name and file of each secret.
    pub(crate) secrets: Vec<(String, PathBuf)>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Processors.
    pub(crate) cpus: Option<f64>,
    /// Whether the function has the network of the node.
    pub(crate) shares_network: bool,
    /// A directory of the image's own that functions see at `/home/app/function`.
    pub(crate) files: Option<PathBuf>,
}

/// Starts instances of functions.
#[derive(Debug)]
pub(crate) struct Runtime {
    program: PathBuf,
    is_apart: bool,
    instances: AtomicU64,
    /// As many owners as there are instances, and this.
    alive: Arc<()>,
}

impl Runtime {
    /// Finds out what this machine allows. `program` is this program, for its launchers.
    ///
    /// # Errors
    /// [`FaasError::Isolation`] when all is asked for and cannot be had; [`FaasError::Runtime`].
    pub(crate) fn new(program: Option<PathBuf>, apart: Apart) -> Result<Self, FaasError> {
        let program = match program {
            Some(program) => program,
            None => std::env::current_exe().map_err(FaasError::Runtime)?,
        };
        let mut runtime = Runtime {
            program,
            is_apart: apart != Apart::None,
            instances: AtomicU64::new(0),
            alive: Arc::default(),
        };
        if apart == Apart::None {
            return Ok(runtime);
        }
        let probe = Surroundings {
            full_name: "probe".to_owned(),
            host_name: "probe".to_owned(),
            environment: Vec::new(),
            secrets: Vec::new(),
            memory: None,
            cpus: None,
            shares_network: false,
            files: None,
        };
        match Sandbox::start((&runtime.program, &[LAUNCHER]), &runtime.specification(&probe)) {
            Ok(_) => say_missing_limits(),
            Err(error) if apart == Apart::Full => return Err(FaasError::Isolation(error)),
            Err(error) => {
                warn!("functions run without isolation, as the platform's user: {error}");
                runtime.is_apart = false;
            }
        }
        Ok(runtime)
    }

    /// Starts an instance. Blocks for some milliseconds; must run inside the runtime.
    ///
    /// # Errors
    /// A sentence for the client.
    pub(crate) fn start(&self, surroundings: &Surroundings) -> Result<Instance, String> {
        let number = self.instances.fetch_add(1, Ordering::Relaxed);
        let mut specification = self.specification(surroundings);
        let cgroup = self.cgroup(number, surroundings);
        specification.cgroup = cgroup.as_ref().map(|cgroup| cgroup.reference().clone());
        let started = Sandbox::start((&self.program, &[LAUNCHER]), &specification)
            .map_err(|error| error.to_string())
            .and_then(|sandbox| {
                Instance::new(sandbox, self.alive.clone()).map_err(|error| error.to_string())
            });
        match started {
            Ok(instance) => Ok(instance.with_cgroup(cgroup)),
            Err(reason) => {
                if let Some(Err(error)) = cgroup.as_ref().map(Cgroup::remove) {
                    warn!("{}: {error}", surroundings.full_name);
                }
                Err(reason)
            }
        }
    }

    /// Whether there are instances.
    pub(crate) fn is_busy(&self) -> bool {
        Arc::strong_count(&self.alive) > 1
    }

    fn specification(&self, surroundings: &Surroundings) -> SandboxSpec {
        let secrets = surroundings
            .secrets
            .iter()
            .map(|(name, file)| Bind::read_only(file, format!("{SECRETS}/{name}")));
        let files = surroundings
            .files
            .iter()
            .map(|directory| Bind::read_only(directory, format!("{HOME}/function")));
        let text = |name: &str, content: &str| (name.to_owned(), content.to_owned());
        let mut etc = vec![
            text(
                "passwd",
                "root:x:0:0:root:/root:/sbin/nologin\napp:x:1000:1000:app:/home/app:/sbin/nologin\n",
            ),
            text("group", "root:x:0:\n"),
            text("hostname", &format!("{}\n", surroundings.host_name)),
        ];
        if !surroundings.shares_network {
            etc.push(text("hosts", "127.0.0.1 localhost\n"));
            etc.push(text("resolv.conf", "nameserver 127.0.0.1\n"));
        }
        SandboxSpec {
            name: surroundings.host_name.clone(),
            isolation: match (self.is_apart, surroundings.shares_network) {
                (false, _) => Isolation::None,
                (true, true) => Isolation::SharedNetwork,
                (true, false) => Isolation::Full,
            },
            binds: secrets.chain(files).collect(),
            etc,
            home: HOME.into(),
            environment: surroundings.environment.clone(),
            own_program: (OWN_NAME.to_owned(), self.program.clone()),
            cgroup: None,
        }
    }

    /// A cgroup with the function's limits, where functions are apart; `None` where there is none to be had.
    fn cgroup(&self, number: u64, surroundings: &Surroundings) -> Option<Cgroup> {
        if !self.is_apart {
            return None;
        }
        let limits = Limits {
            cpus: surroundings.cpus,
            memory_bytes: surroundings.memory,
            pids: Some(PROCESSES),
        };
        let name = &surroundings.full_name;
        let path = format!("{}/{name}-{number}", cgroup_of(std::process::id()));
        match Cgroup::create(&path, &limits) {
            Ok((cgroup, not_applied)) => {
                for missing in not_applied {
                    debug!("{name}: {missing}"); // has been said for all of them
                }
                Some(cgroup).filter(|cgroup| !cgroup.reference().directories.is_empty())
            }
            Err(error) => {
                warn!("{name}: without limits: {error}");
                None
            }
        }
    }
}

/// The cgroup above those of all functions of the platform in process `pid`.
fn cgroup_of(pid: u32) -> String {
    format!("dfaas-faas-{pid}")
}

/// Tries all limits a function may have, and says once which do not hold on this machine.
fn say_missing_limits() {
    let limits = Limits {
        cpus: Some(1.0),
        memory_bytes: Some(1 << 30),
        pids: Some(PROCESSES),
    };
    let tried = Cgroup::create(&format!("{}/probe", cgroup_of(std::process::id())), &limits);
    let removed = tried.and_then(|(cgroup, not_applied)| {
        let kinds: Vec<String> = not_applied.iter().map(|it| it.limit.to_string()).collect();
        if let Some(first) = not_applied.first() {
            warn!(
                "functions run without limits of {}: {}",
                kinds.join(", "),
                first.reason
            );
        }
        cgroup.remove()
    });
    if let Err(error) = removed {
        warn!("{error}");
    }
}

/// Removes the cgroups of a platform that has ended without doing so itself.
pub(crate) fn remove_cgroups(pid: u32) {
    // Made once more, so that it can be removed with all that is in it.
    if let Ok((cgroup, _)) = Cgroup::create(&cgroup_of(pid), &Limits::default())
        && let Err(error) = cgroup.remove()
    {
        warn!("{error}");
    }
}
