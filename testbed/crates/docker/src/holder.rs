//! The network holder: a container that only keeps a network namespace.
//!
//! It needs a program that waits, and an image to put it in, but an engine may have no registry to pull one from. So
//! the image is empty, and the program is the running one, with the shared libraries it runs with, bound into it.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::CreateContainerOptions;
use nix::sys::signal::{SigSet, Signal};

use crate::archive;
use crate::engine::Engine;
use crate::error::{DockerError, words};
use crate::specification::HolderSpec;
use crate::{LAB_LABEL, NODE_LABEL};

/// The hidden verb of the command line program that runs [`hold_network`].
pub const HOLD_VERB: &str = "hold-network";

const IMAGE_REPOSITORY: &str = "dfaas-testbed/empty";
const IMAGE_TAG: &str = "1";
/// Where the running program is seen in the holder.
const PROGRAM: &str = "/dfaas-testbed";
/// Its memory is the kernel's part of a sleeping process, its libraries are shared with the host's.
const MEMORY_BYTES: i64 = 64 << 20;

/// A running network holder.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The container's name.
    pub name: String,
    /// Its process, as this machine sees it: `/proc/PID/ns/net` is the namespace.
    pub pid: i32,
}

/// Waits until it is told to end: what runs inside a network holder. Returns the exit code.
pub fn hold_network() -> u8 {
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGTERM);
    ends.add(Signal::SIGINT);
    // As process 1 of its container it would ignore both; blocked, they can be waited for.
    if ends.thread_block().is_err() || ends.wait().is_err() {
        return 1;
    }
    0
}

impl Engine {
    /// Creates and starts a network holder.
    ///
    /// # Errors
    /// When the engine refuses a step; the container is not removed then.
    pub async fn start_holder(&self, specification: &HolderSpec) -> Result<Holder, DockerError> {
        let image = format!("{IMAGE_REPOSITORY}:{IMAGE_TAG}");
        if !self.has_image(&image).await? {
            let files = archive::empty().map_err(|source| system("make an empty archive", source))?;
            self.import(IMAGE_REPOSITORY, IMAGE_TAG, files).await?;
        }
        let program = Program::running()?;
        let body = body(specification, &image, &program);
        let options = CreateContainerOptions {
            name: Some(specification.name.clone()),
            ..CreateContainerOptions::default()
        };
        let failed = |operation| {
            let container = specification.name.clone();
            move |error| DockerError::Container {
                operation,
                container,
                reason: words(error),
            }
        };
        let created = self.docker.create_container(Some(options), body).await;
        created.map_err(failed("create"))?;
        let started = self.docker.start_container(&specification.name, None).await;
        started.map_err(failed("start"))?;
        let status = self.container_status(&specification.name).await?;
        match status.pid {
            Some(pid) => Ok(Holder {
                name: specification.name.clone(),
                pid,
            }),
            None => Err(DockerError::Container {
                operation: "keep",
                container: specification.name.clone(),
                reason: format!("it ended at once ({})", status.describe()),
            }),
        }
    }
}

fn body(specification: &HolderSpec, image: &str, program: &Program) -> ContainerCreateBody {
    let bind = |source: &Path, target: &Path| Mount {
        typ: Some(MountType::BIND),
        source: Some(source.display().to_string()),
        target: Some(target.display().to_string()),
        read_only: Some(true),
        ..Mount::default()
    };
    let libraries = program.libraries.iter().map(|path| bind(path, path));
    let mounts = std::iter::once(bind(&program.executable, Path::new(PROGRAM))).chain(libraries);
    let hosts = specification.hosts.iter();
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some(specification.node.clone()),
        entrypoint: Some(program.command()),
        labels: Some(HashMap::from([
            (LAB_LABEL.to_owned(), specification.lab.clone()),
            (NODE_LABEL.to_owned(), specification.node.clone()),
        ])),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            runtime: specification.oci_runtime.clone(),
            mounts: Some(mounts.collect()),
            extra_hosts: Some(hosts.map(|(address, name)| format!("{name}:{address}")).collect()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            readonly_rootfs: Some(true),
            memory: Some(MEMORY_BYTES),
            pids_limit: Some(16),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// The running program and what it needs to run in an empty file system.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    executable: PathBuf,
    /// The dynamic loader among them; empty for a static program.
    libraries: BTreeSet<PathBuf>,
}

impl Program {
    fn running() -> Result<Self, DockerError> {
        let executable =
            std::env::current_exe().map_err(|source| system("find the running program", source))?;
        let maps = fs::read_to_string("/proc/self/maps");
        let maps = maps.map_err(|source| system("read /proc/self/maps", source))?;
        let libraries = mapped_libraries(&maps, &executable);
        let gone = std::iter::once(&executable)
            .chain(&libraries)
            .find(|path| !path.is_file());
        match gone {
            None => Ok(Self {
                executable,
                libraries,
            }),
            Some(path) => Err(system(
                &format!("use {}, which was replaced while it runs", path.display()),
                io::Error::from(io::ErrorKind::NotFound),
            )),
        }
    }

    /// The loader is called by its path: the one written in the program leads nowhere in an empty file system.
    fn command(&self) -> Vec<String> {
        let loader = self.libraries.iter().find(|path| is_loader(path));
        let directories: BTreeSet<String> = self
            .libraries
            .iter()
            .filter_map(|path| Some(path.parent()?.display().to_string()))
            .collect();
        let mut command = Vec::new();
        if let Some(loader) = loader {
            let directories: Vec<String> = directories.into_iter().collect();
            command.extend([
                loader.display().to_string(),
                "--library-path".to_owned(),
                directories.join(":"),
            ]);
        }
        command.extend([PROGRAM.to_owned(), HOLD_VERB.to_owned()]);
        command
    }
}

/// The shared objects among the mapped files (proc_pid_maps(5)): address, permissions, offset, device, inode, path.
fn mapped_libraries(maps: &str, executable: &Path) -> BTreeSet<PathBuf> {
    let path_of = |line: &str| {
        let permissions = line.split_ascii_whitespace().nth(1)?;
        let path = line.find('/').map(|start| PathBuf::from(&line[start..]))?;
        (permissions.contains('x') && path != executable).then_some(path)
    };
    maps.lines().filter_map(path_of).collect()
}

fn is_loader(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("ld-"))
}

fn system(operation: &str, source: io::Error) -> DockerError {
    DockerError::System {
        operation: operation.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
5563f3a00000-5563f3b00000 r-xp 00001000 fe:00 1 /opt/dfaas-testbed
7f0000000000-7f0000001000 r--p 00000000 fe:00 2 /usr/lib/x86_64-linux-gnu/libc.so.6
7f0000001000-7f0000002000 r-xp 00001000 fe:00 2 /usr/lib/x86_64-linux-gnu/libc.so.6
7f0000003000-7f0000004000 r-xp 00000000 fe:00 3 /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0 [stack]
7ffd00040000-7ffd00042000 r-xp 00000000 00:00 0 [vdso]
";

    #[test]
    fn a_program_is_run_by_its_own_loader_with_its_own_libraries() {
        let executable = PathBuf::from("/opt/dfaas-testbed");
        let libraries = mapped_libraries(MAPS, &executable);
        let directory = Path::new("/usr/lib/x86_64-linux-gnu");
        let expected = ["libc.so.6", "ld-linux-x86-64.so.2"].map(|name| directory.join(name));
        assert_eq!(libraries, BTreeSet::from(expected));
        let program = Program {
            executable,
            libraries,
        };
        assert_eq!(
            program.command().join(" "),
            "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path /usr/lib/x86_64-linux-gnu \
             /dfaas-testbed hold-network"
        );
    }

    #[test]
    fn a_static_program_needs_nothing_else() {
        let program = Program {
            executable: "/opt/dfaas-testbed".into(),
            libraries: BTreeSet::new(),
        };
        assert_eq!(program.command(), ["/dfaas-testbed", "hold-network"]);
    }
}
