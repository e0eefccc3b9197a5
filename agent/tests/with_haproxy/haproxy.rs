//! A real HAProxy process.

use dfaas_agent_api::{InitialSettings, initial_haproxy_configuration};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) const EXECUTABLE: &str = "/usr/sbin/haproxy";

/// The right to run beside one other test: more of them would disturb the rates they measure. Nothing when HAProxy is
/// missing; panics when it is required then.
pub(crate) async fn turn() -> Option<SemaphorePermit<'static>> {
    places(1).await
}

/// The right to run beside no other, for a test that sends as much as two processors can answer.
pub(crate) async fn turn_alone() -> Option<SemaphorePermit<'static>> {
    places(PLACES).await
}

const PLACES: u32 = 2;

async fn places(count: u32) -> Option<SemaphorePermit<'static>> {
    static FREE: Semaphore = Semaphore::const_new(PLACES as usize);
    if Path::new(EXECUTABLE).exists() {
        return FREE.acquire_many(count).await.ok();
    }
    let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|word| word == "haproxy"),
        "haproxy is required and not installed"
    );
    eprintln!("skipped: no {EXECUTABLE}");
    None
}

/// A loopback address that no other test, nor another run of the tests, uses.
pub(crate) fn own_address() -> IpAddr {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(
        127,
        16 + high % 200,
        low,
        1 + LAST.fetch_add(1, Ordering::Relaxed),
    ))
}

/// A running HAProxy with its directory.
pub(crate) struct Haproxy {
    child: Child,
    directory: TempDir,
    pub(crate) host: IpAddr,
}

impl Haproxy {
    pub(crate) const PORT: u16 = 27_080;
    pub(crate) const METRICS_PORT: u16 = 27_405;
    pub(crate) const PEERS_PORT: u16 = 27_406;

    /// Starts with the initial configuration and waits until it answers.
    pub(crate) async fn start(host: IpAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let settings = InitialSettings {
            runtime_socket: path("admin.sock"),
            binds: vec![format!("{host}:{}", Self::PORT)],
            metrics_bind: format!("{host}:{}", Self::METRICS_PORT),
        };
        std::fs::write(path("haproxy.cfg"), initial_haproxy_configuration(&settings)).unwrap();
        let haproxy = Self {
            child: spawn(directory.path()),
            directory,
            host,
        };
        haproxy.await_answer().await;
        haproxy
    }

    /// Ends it as a fault would, with everything it was told while it ran.
    pub(crate) fn kill(&mut self) {
        // A worker that outlived its master would still answer.
        let text = self.ask("master.sock", "show proc");
        let workers = text.lines().filter(|line| line.contains("worker  "));
        let workers: Vec<&str> = workers
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(!workers.is_empty(), "{text}");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = Command::new("kill").arg("-KILL").args(workers).status();
    }

    /// Starts one that was killed, with what is in its file.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(self.directory.path());
        self.await_answer().await;
    }

    async fn await_answer(&self) {
        for _ in 0..100 {
            // A socket that was left behind is no HAProxy; one that serves answers.
            let answer = crate::client::get(self.address(), "/", &[]).await;
            if answer.status != 0 && UnixStream::connect(self.path("master.sock")).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("HAProxy does not come up");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, Self::PORT)
    }

    pub(crate) fn ask(&self, socket: &str, line: &str) -> String {
        let mut stream = UnixStream::connect(self.path(socket)).unwrap();
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Reloads since the start.
    pub(crate) fn reloads(&self) -> u32 {
        let text = self.ask("master.sock", "show proc");
        let master = text.lines().find(|line| line.contains("master")).unwrap();
        master.split_whitespace().nth(2).unwrap().parse().unwrap()
    }
}

fn spawn(directory: &Path) -> Child {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    Command::new(EXECUTABLE)
        .args([
            "-W",
            "-db",
            "-S",
            &format!("{},level,admin", path("master.sock")),
            "-f",
            &path("haproxy.cfg"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // The master ends its workers when asked politely.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}
