//! Real agent processes, and a stand-in for the functions platform.

use crate::peer::PATIENCE;
use crate::segment::Segment;
use dfaas_agent_api::Identity;
use serde_json::Value;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const OVERLAY_PORT: u16 = 26_200;
const SERVER_PORT: u16 = 27_208;

/// A gateway that has figlet, made for 10 requests per second.
pub(crate) struct Gateway {
    address: SocketAddr,
}

impl Gateway {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                // One read is the whole of such a request.
                let _ = stream.read(&mut [0; 4096]);
                let list = r#"[{"name":"figlet","labels":{"dfaas.maxrate":"10"}}]"#;
                let length = list.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{list}"
                );
            }
        });
        Self { address }
    }
}

/// A running agent; it ends when dropped.
pub(crate) struct Agent {
    child: Child,
    /// Words that make a program run where the agent is.
    entry: Vec<String>,
    directory: TempDir,
    identity: Identity,
    pub(crate) host: IpAddr,
}

impl Agent {
    pub(crate) const RENDEZVOUS: &str = "dfaasagent-mYRGdJPC3chmJ";

    /// An agent on a loopback address of its own that knows these nodes.
    pub(crate) fn start(gateway: &Gateway, bootstrap: &[&str]) -> Self {
        static LAST: AtomicU8 = AtomicU8::new(0);
        let [.., high, low] = std::process::id().to_be_bytes();
        let number = 1 + LAST.fetch_add(1, Ordering::Relaxed);
        let host = IpAddr::V4(Ipv4Addr::new(127, 16 + high % 200, low, number));
        let environment = [
            ("AGENT_BOOTSTRAP_NODES_LIST", bootstrap.join(",")),
            ("AGENT_OPENFAAS_HOST", gateway.address.ip().to_string()),
            ("AGENT_OPENFAAS_PORT", gateway.address.port().to_string()),
        ];
        Self::start_by(Vec::new(), host, number, &environment)
    }

    /// An agent on one side of a network segment, with these variables more.
    pub(crate) fn start_at(segment: &Segment, side: usize, extra: &[(&str, String)]) -> Self {
        let number = 200 + u8::try_from(side).unwrap();
        Self::start_by(segment.entry(side), segment.host(side), number, extra)
    }

    fn start_by(entry: Vec<String>, host: IpAddr, number: u8, extra: &[(&str, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let identity = Identity::from_seed(&[number; 32]);
        std::fs::write(path("key.pem"), identity.to_pem().unwrap()).unwrap();
        let environment = [
            ("AGENT_NODE_IP", host.to_string()),
            ("AGENT_PRIVATE_KEY_FILE", path("key.pem")),
            ("AGENT_LISTEN", format!("/ip4/{host}/tcp/{OVERLAY_PORT}")),
            ("AGENT_RENDEZVOUS", Self::RENDEZVOUS.to_owned()),
            ("AGENT_RECALC_PERIOD", "1s".to_owned()),
            ("AGENT_KAD_IDLE_TIME", "1s".to_owned()),
            ("AGENT_HAPROXY_CONFIG_FILE", path("haproxy.cfg")),
            ("AGENT_HAPROXY_EXECUTABLE", String::new()),
            ("AGENT_HAPROXY_SOCK_PATH", path("admin.sock")),
            ("AGENT_HAPROXY_MASTER_SOCK_PATH", path("master.sock")),
            ("AGENT_HTTPSERVER_HOST", host.to_string()),
            ("AGENT_HTTPSERVER_PORT", SERVER_PORT.to_string()),
        ];
        let log = File::create(path("log")).unwrap();
        let child = by(&entry, env!("CARGO_BIN_EXE_dfaas-agent"))
            .envs(environment)
            .envs(extra.iter().cloned())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            entry,
            directory,
            identity,
            host,
        }
    }

    pub(crate) fn id(&self) -> String {
        self.identity.peer_id()
    }

    /// Where it is.
    pub(crate) fn address(&self) -> String {
        format!("/ip4/{}/tcp/{OVERLAY_PORT}", self.host)
    }

    /// Where and who it is; only once it listens there.
    pub(crate) fn multiaddress(&self) -> String {
        self.wait_for_peers(|peers| peers.is_object());
        format!("{}/p2p/{}", self.address(), self.id())
    }

    /// Its view of the federation, once it fits.
    pub(crate) fn wait_for_peers(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status().unwrap_or_default();
            if fits(&status["peers"]) {
                return status["peers"].clone();
            }
            assert!(Instant::now() < deadline, "the agent's view stays {status:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn status(&self) -> Option<Value> {
        let address = format!("http://{}:{SERVER_PORT}/peers", self.host);
        let answer = by(&self.entry, "curl")
            .args(["-sf", "-m", "5", &address])
            .output()
            .unwrap();
        serde_json::from_slice(&answer.stdout).ok()
    }
}

/// A program, by way of these words.
fn by(entry: &[String], program: &str) -> Command {
    let Some((first, rest)) = entry.split_first() else {
        return Command::new(program);
    };
    let mut command = Command::new(first);
    command.args(rest).arg(program);
    command
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            eprintln!("log of the agent {}:\n{log}", self.host);
        }
    }
}
