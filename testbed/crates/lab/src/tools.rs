//! The programs that nodes are made of: ours, which lie beside `dfaas-testbed`, and the distribution's.

use std::path::{Path, PathBuf};

use dfaas_model::{Driver, Node, NodeKind, Topology};

use crate::error::LabError;
use crate::labs::own_executable;

/// Where the programs are on this machine.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The directory with `dfaas-testbed`, `dfaas-faas` and `dfaas-agent`.
    pub directory: PathBuf,
    /// HAProxy, 2.6 or newer.
    pub haproxy: PathBuf,
    /// Prometheus, for labs that are watched.
    pub prometheus: PathBuf,
    /// Prometheus' node exporter, for labs that are watched.
    pub node_exporter: PathBuf,
}

/// Directories searched after those of `PATH`; a user's `PATH` often lacks the last ones.
const SYSTEM_DIRECTORIES: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"];

impl Tools {
    /// Finds what the topology needs.
    ///
    /// # Errors
    /// [`LabError::ProgramMissing`] names the first program that is not there and what to install.
    pub fn find(topology: &Topology) -> Result<Self, LabError> {
        let executable = own_executable()?;
        let directory = executable.parent().unwrap_or(Path::new("/")).to_owned();
        let mut tools = Self {
            directory,
            haproxy: PathBuf::new(),
            prometheus: PathBuf::new(),
            node_exporter: PathBuf::new(),
        };
        let runs_programs = |node: &Node| node.kind == NodeKind::Dfaas && node.driver == Driver::Native;
        if topology.nodes.values().any(runs_programs) {
            tools.haproxy = required("haproxy", "install HAProxy 2.6 or newer (`apt install haproxy`)")?;
            if topology.monitoring.is_some() {
                let remedy = "install it (`apt install prometheus prometheus-node-exporter`), or leave `monitoring:` out";
                tools.prometheus = required("prometheus", remedy)?;
                tools.node_exporter = required("prometheus-node-exporter", remedy)?;
            }
            for program in ["dfaas-faas", "dfaas-agent"] {
                let path = tools.directory.join(program);
                if !path.is_file() {
                    return Err(LabError::ProgramMissing {
                        program: path.display().to_string(),
                        remedy: "build the whole workspace (`cargo build --release --workspace`) and keep the programs in one directory".to_owned(),
                    });
                }
            }
        }
        Ok(tools)
    }
}

fn required(program: &str, remedy: &str) -> Result<PathBuf, LabError> {
    find_program(program).ok_or_else(|| LabError::ProgramMissing {
        program: program.to_owned(),
        remedy: remedy.to_owned(),
    })
}

/// Looks a program up as a shell would, then in the system's directories.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = std::env::split_paths(&path).chain(SYSTEM_DIRECTORIES.iter().map(PathBuf::from));
    candidates
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
