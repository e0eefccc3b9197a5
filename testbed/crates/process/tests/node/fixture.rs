//! A place for nodes, and short ways to run something in one.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use dfaas_process::{Bind, Command, Event, ExitStatus, Init, InitSpec, Restart, ServiceSpec, Spawner};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

pub(crate) const LONG: Duration = Duration::from_secs(20);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The cgroup under which this process makes all others.
pub(crate) fn cgroup_top() -> String {
    format!("dfaas-process-test-{}", std::process::id())
}

/// A spawner, and a tmpfs for scratch and log directories.
pub(crate) struct Place {
    pub(crate) spawner: Option<Spawner>,
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        mount(
            Some("tmpfs"),
            directory.path(),
            Some("tmpfs"),
            MsFlags::empty(),
            None::<&str>,
        )
        .expect("tmpfs");
        Self {
            spawner: Some(Spawner::start().expect("spawner")),
            directory,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A node as most tests want it.
    pub(crate) fn spec(&self, name: &str) -> InitSpec {
        let (scratch, logs) = (
            self.path().join(name).join("scratch"),
            self.path().join(name).join("logs"),
        );
        fs::create_dir_all(&scratch).expect("scratch");
        fs::create_dir_all(&logs).expect("logs");
        let executable = std::env::current_exe().expect("own path");
        let mut spec = InitSpec::new(
            name,
            &executable,
            vec!["--as-init".into()],
            network_namespace(),
            scratch,
            logs,
        );
        spec.hosts = vec![
            ([10, 0, 0, 1].into(), "n1".into()),
            ([10, 0, 0, 2].into(), "n2".into()),
        ];
        spec.binds = vec![Bind::read_only(
            executable.parent().expect("directory"),
            "/run/dfaas/bin",
        )];
        spec
    }

    pub(crate) fn spawn(&self, spec: InitSpec) -> Node {
        let logs = spec.log_directory.clone();
        let (sender, events) = mpsc::channel();
        let spawner = self.spawner.as_ref().expect("spawner");
        let init = spawner
            .spawn_init(spec, move |event| _ = sender.send(event))
            .expect("init");
        Node { init, events, logs }
    }

    /// A node that is ready, without warnings.
    pub(crate) fn node(&self, name: &str) -> Node {
        self.ready(self.spec(name))
    }

    pub(crate) fn ready(&self, spec: InitSpec) -> Node {
        let node = self.spawn(spec);
        node.init.wait_ready(LONG).expect("ready");
        assert_eq!(node.next(), Event::Ready, "no warning comes before");
        node
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.spawner.take();
        umount2(self.directory.path(), MntFlags::MNT_DETACH).expect("unmount");
    }
}

pub(crate) struct Node {
    pub(crate) init: Init,
    pub(crate) events: Receiver<Event>,
    pub(crate) logs: PathBuf,
}

impl Node {
    pub(crate) fn next(&self) -> Event {
        self.events.recv_timeout(LONG).expect("an event")
    }

    /// Waits for an event that `wanted` knows.
    pub(crate) fn wait_for<T>(&self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(&self.next()) {
                return found;
            }
        }
    }

    pub(crate) fn exit_of(&self, service: &str) -> (ExitStatus, Option<Duration>) {
        self.wait_for(|event| match event {
            Event::ServiceExited {
                name,
                status,
                will_restart_in,
            } if name == service => Some((*status, *will_restart_in)),
            _ => None,
        })
    }

    pub(crate) fn log(&self, service: &str) -> String {
        fs::read_to_string(self.logs.join(format!("{service}.log"))).expect("log file")
    }

    /// Runs a shell script as a service and returns how it ended and what it printed.
    pub(crate) fn script(&self, name: &str, script: &str) -> (ExitStatus, String) {
        self.init
            .start_service(shell(name, script, Restart::Never))
            .expect("service");
        (self.exit_of(name).0, self.log(name))
    }
}

pub(crate) fn shell(name: &str, script: &str, restart: Restart) -> ServiceSpec {
    ServiceSpec {
        name: name.into(),
        command: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        env: environment(),
        directory: "/".into(),
        restart,
        files: Vec::new(),
    }
}

pub(crate) fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|text| (*text).to_owned()).collect(),
        env: environment(),
        directory: "/".into(),
        foreground: false,
        network_only: false,
    }
}

pub(crate) fn environment() -> BTreeMap<String, String> {
    [("PATH".to_owned(), PATH.to_owned())].into()
}

/// A new one, reached by nothing but its descriptor.
pub(crate) fn network_namespace() -> OwnedFd {
    let make = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("network namespace");
        fs::File::open("/proc/thread-self/ns/net")
            .expect("network namespace")
            .into()
    };
    thread::spawn(make).join().expect("thread")
}

/// Fails unless `condition` holds soon.
pub(crate) fn eventually(what: &str, within: Duration, mut condition: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < within, "{what}: not within {within:?}");
        thread::sleep(Duration::from_millis(2));
    }
    started.elapsed()
}
