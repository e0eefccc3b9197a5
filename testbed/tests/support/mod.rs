//! What the tests of the command share: a lab of their own, and a look at whether anything of it is left.
#![allow(dead_code, unreachable_pub, reason = "every test binary uses another part")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and a skip says why"
)]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The command under test.
pub const TESTBED: &str = env!("CARGO_BIN_EXE_dfaas-testbed");

/// Whether the machine has a capability. If not, the reason is printed, and `DFAAS_REQUIRE` may forbid the skip.
pub fn have(capability: &str, present: bool) -> bool {
    if !present {
        let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|it| it == capability),
            "{capability} is required but missing"
        );
        eprintln!("skipped: this test needs {capability}");
    }
    present
}

pub fn root() -> bool {
    have("root", nix::unistd::geteuid().is_root())
}

/// Set to a user's number, it makes the tests run the command as that user: every lab is then one of an ordinary user.
const USER_VARIABLE: &str = "DFAAS_TEST_USER";

/// The ordinary user that the command is run as, if any.
pub fn ordinary_user() -> Option<u32> {
    let number = std::env::var(USER_VARIABLE).ok()?;
    Some(number.parse().unwrap())
}

/// For what only root may do. Under an ordinary user this is no skip: there is nothing to test.
pub fn as_root() -> bool {
    if ordinary_user().is_some() {
        eprintln!("left out: only root may do this");
        return false;
    }
    root()
}

/// The command and our other programs where every user can execute them; the build directory may be inside a private home.
fn programs_for_all() -> &'static Path {
    static COPIES: OnceLock<PathBuf> = OnceLock::new();
    COPIES.get_or_init(|| {
        let directory = std::env::temp_dir().join(format!("dfaas-test-programs-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).unwrap();
        for name in ["dfaas-testbed", "dfaas-faas", "dfaas-agent"] {
            let (source, target) = (Path::new(TESTBED).with_file_name(name), directory.join(name));
            if source.is_file() && std::fs::hard_link(&source, &target).is_err() {
                std::fs::copy(&source, &target).unwrap();
            }
        }
        directory
    })
}

/// `program`, run as that user with no privileges at all.
pub fn command_as(user: u32, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let number = user.to_string();
    command
        .args([
            "--reuid",
            &number,
            "--regid",
            &number,
            "--clear-groups",
            "--inh-caps",
            "-all",
            "--",
        ])
        .arg(program)
        .current_dir("/");
    command
}

/// Root, HAProxy, and our own programs beside the command under test.
pub fn federation() -> bool {
    let programs = ["dfaas-faas", "dfaas-agent"].map(|name| Path::new(TESTBED).with_file_name(name));
    for program in &programs {
        assert!(
            program.is_file(),
            "{} is missing: build the workspace first (cargo build --workspace)",
            program.display()
        );
    }
    root()
        && have("haproxy", Path::new("/usr/sbin/haproxy").is_file())
        && have("programs", Path::new("/usr/bin/figlet").exists())
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A topology file, a state directory and a lab name that no other test has. Dropping it takes the lab down.
pub struct Lab {
    pub name: String,
    pub directory: tempfile::TempDir,
    before: Surroundings,
}

impl Lab {
    /// `topology` has `NAME` where the lab's name goes.
    pub fn new(topology: &str) -> Self {
        let name = format!(
            "t{}-{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("topology.yaml"),
            topology.replace("NAME", &name),
        )
        .unwrap();
        if let Some(user) = ordinary_user() {
            std::os::unix::fs::chown(directory.path(), Some(user), Some(user)).unwrap();
        }
        Self {
            name,
            directory,
            before: Surroundings::look(),
        }
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("topology.yaml")
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// The command, with this lab's state directory.
    pub fn command(&self) -> Command {
        let mut command = match ordinary_user() {
            Some(user) => command_as(user, &programs_for_all().join("dfaas-testbed")),
            None => Command::new(TESTBED),
        };
        command
            .env("DFAAS_TESTBED_STATE", self.state())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// Runs a verb that must succeed, and returns what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{}",
            text(&output),
            self.logs()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn up(&self) {
        self.ok(&["up", self.file().to_str().unwrap()]);
    }

    /// Takes the lab down and asserts that nothing is left of it.
    pub fn end(&self) {
        let processes = self.processes();
        self.ok(&["down"]);
        self.assert_gone(&processes);
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command()
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// Round-trip times in milliseconds that `ping` saw.
    pub fn ping(&self, from: &str, to: &str, count: u32) -> Vec<f64> {
        let count = count.to_string();
        let ping = ["ping", "-i", "0.05", "-c", &count, to];
        let output = self.ok(&[&["exec", "-l", &self.name, from, "--"][..], &ping].concat());
        output
            .lines()
            .filter_map(|line| line.split_once("time="))
            .map(|(_, rest)| rest.split(' ').next().unwrap().parse().unwrap())
            .collect()
    }

    pub fn supervisor_pid(&self) -> i32 {
        let text = std::fs::read_to_string(self.state().join(&self.name).join("supervisor.json")).unwrap();
        let identity: serde_json::Value = serde_json::from_str(&text).unwrap();
        i32::try_from(identity["pid"].as_i64().unwrap()).unwrap()
    }

    /// Every process of the lab: the supervisor, the inits and all that runs below them.
    pub fn processes(&self) -> BTreeSet<i32> {
        let mut pids = BTreeSet::from([self.supervisor_pid()]);
        loop {
            let more: BTreeSet<i32> = all_processes()
                .into_iter()
                .filter(|(pid, parent)| pids.contains(parent) && !pids.contains(pid))
                .map(|(pid, _)| pid)
                .collect();
            if more.is_empty() {
                return pids;
            }
            pids.extend(more);
        }
    }

    /// Asserts that nothing is left of the lab: no process of `processes`, no file, cgroup, mount or interface.
    pub fn assert_gone(&self, processes: &BTreeSet<i32>) {
        let alive: Vec<_> = processes.iter().filter(|pid| is_running(**pid)).collect();
        assert!(alive.is_empty(), "processes left: {alive:?}");
        let strays = self.strays();
        assert!(strays.is_empty(), "processes left: {strays:?}");
        assert!(
            !self.state().join(&self.name).exists(),
            "state left: {}",
            self.logs()
        );
        self.before.assert_same(&self.name);
    }

    /// Every process that says it belongs to the lab: by its environment (commands and the supervisor) or its control group (what
    /// runs in nodes).
    pub fn strays(&self) -> Vec<i32> {
        let state = format!("DFAAS_TESTBED_STATE={}", self.state().display());
        let belongs = |pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            let named = environment
                .split(|byte| *byte == 0)
                .any(|it| it == state.as_bytes());
            named || groups.split(['/', '\n']).any(|it| it == self.name)
        };
        let pids = all_processes().into_iter().map(|(pid, _)| pid);
        pids.filter(|pid| is_running(*pid)).filter(belongs).collect()
    }

    /// What the supervisor said, for the message of a failed assertion.
    pub fn logs(&self) -> String {
        std::fs::read_to_string(self.state().join(&self.name).join("supervisor.log")).unwrap_or_default()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.state().join(&self.name).exists() {
            let output = self.run(&["down", "-l", &self.name]);
            if !std::thread::panicking() {
                assert!(output.status.success(), "down: {}", text(&output));
            }
        }
    }
}

pub fn text(output: &Output) -> String {
    format!(
        "{}\nstdout: {}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What a lab must not change for others.
struct Surroundings {
    interfaces: BTreeSet<String>,
    mounts: BTreeSet<String>,
}

impl Surroundings {
    fn look() -> Self {
        let interfaces = std::fs::read_dir("/sys/class/net").unwrap();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        Self {
            interfaces: interfaces
                .map(|it| it.unwrap().file_name().into_string().unwrap())
                .collect(),
            mounts: mounts
                .lines()
                .map(|line| line.split(' ').nth(4).unwrap().to_owned())
                .collect(),
        }
    }

    fn assert_same(&self, lab: &str) {
        let now = Self::look();
        assert_eq!(self.interfaces, now.interfaces, "interfaces of the host");
        assert_eq!(self.mounts, now.mounts, "mounts of the host");
        let cgroups = cgroups_named(Path::new("/sys/fs/cgroup"), lab, 6);
        assert!(cgroups.is_empty(), "cgroups left: {cgroups:?}");
    }
}

fn cgroups_named(directory: &Path, name: &str, depth: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_str() == Some(name) {
            found.push(entry.path());
        } else if depth > 0 {
            found.extend(cgroups_named(&entry.path(), name, depth - 1));
        }
    }
    found
}

/// (pid, parent) of every process.
fn all_processes() -> Vec<(i32, i32)> {
    let mut processes = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let Some((_, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        if let Some(parent) = rest
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|it| it.parse().ok())
        {
            processes.push((pid, parent));
        }
    }
    processes
}

/// Whether a process exists and is not only waiting to be reaped.
pub fn is_running(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
    })
}

pub fn kill(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

/// Waits until `condition` holds; fails after ten seconds. For what has no event to wait for.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within ten seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}
