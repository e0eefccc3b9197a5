//! A platform under test and a client that shows every byte.

// Each test program uses its part, and tells why it skips a test.
#![allow(dead_code, clippy::print_stderr)]

pub(crate) mod observed;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use dfaas_faas::{Apart, FunctionDeployment, Options, Server};
use tokio::runtime::Runtime;

/// A running platform on free ports of the loopback.
pub(crate) struct Platform {
    pub(crate) gateway: SocketAddr,
    pub(crate) provider: SocketAddr,
    pub(crate) metrics: SocketAddr,
    server: Option<Server>,
    runtime: Runtime,
}

impl Platform {
    /// One with these functions and no further options.
    pub(crate) fn with(deployments: &[FunctionDeployment]) -> Self {
        Self::start(Options {
            deployments: deployments.to_vec(),
            ..Options::default()
        })
    }

    pub(crate) fn start(options: Options) -> Self {
        let options = Options {
            gateway_port: 0,
            provider_port: 0,
            metrics_port: 0,
            program: Some(env!("CARGO_BIN_EXE_dfaas-faas").into()),
            // Scripts of tests are where sandboxes do not look; those that are about isolation ask for it.
            isolation: match options.isolation {
                Apart::Auto => Apart::None,
                other => other,
            },
            ..options
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(Server::start(&options)).unwrap();
        Platform {
            gateway: server.gateway(),
            provider: server.provider(),
            metrics: server.metrics(),
            server: Some(server),
            runtime,
        }
    }

    /// Ends the platform as a signal does.
    pub(crate) fn shut_down(mut self, grace: Duration) {
        let server = self.server.take().unwrap();
        self.runtime.block_on(server.shut_down(grace));
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.send("POST", path, &[], body)
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        exchange(self.gateway, method, path, headers, body)
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // Inside the runtime, where processes can be handed over for reaping.
        let _inside = self.runtime.enter();
        self.server.take();
    }
}

/// A function of the alpine image: the command, and settings as pairs.
pub(crate) fn function(name: &str, command: &str, settings: &[(&str, &str)]) -> FunctionDeployment {
    FunctionDeployment {
        service: name.to_owned(),
        image: "ghcr.io/openfaas/alpine:latest".to_owned(),
        env_process: command.to_owned(),
        env_vars: settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..FunctionDeployment::default()
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header, written exactly so.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads a reply; `None` when the connection ended without one.
    pub(crate) fn parse(raw: &[u8]) -> Option<Self> {
        let end = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&raw[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Some(Reply {
            status,
            headers,
            body: raw[end + 4..].to_vec(),
        })
    }
}

/// One request on a connection of its own.
pub(crate) fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    send_raw(address, &[request.as_bytes(), body].concat())
}

/// Sends bytes and reads the reply; the last header line is completed by `Connection: close`.
pub(crate) fn send_raw(address: SocketAddr, request: &[u8]) -> Reply {
    let mut stream = connect(address);
    let end = request
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let mut writer = stream.try_clone().unwrap();
    let whole = [&request[..end], b"\r\nConnection: close", &request[end..]].concat();
    // A server may answer before it has read everything, so writing goes beside reading.
    let writing = std::thread::spawn(move || writer.write_all(&whole));
    let mut raw = Vec::new();
    let read = stream.read_to_end(&mut raw);
    let reply = Reply::parse(&raw).unwrap_or_else(|| panic!("no reply: {read:?}"));
    let _ = writing.join().unwrap();
    reply
}

/// Reads one reply with its whole body from a connection that stays open.
pub(crate) fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut raw = Vec::new();
    let mut part = [0; 4096];
    loop {
        // The end of a function's process is a signal to this one, too.
        let read = match stream.read(&mut part) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.unwrap(),
        };
        raw.extend_from_slice(&part[..read]);
        let Some(reply) = Reply::parse(&raw) else {
            assert!(read > 0, "no reply");
            continue;
        };
        let length = reply
            .header("Content-Length")
            .map_or(0, |length| length.parse().unwrap());
        if reply.body.len() == length {
            return reply;
        }
        assert!(read > 0, "half a reply");
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Waits until `condition` holds, at most ten seconds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

/// Whether a process is there and not a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Whether the test may make namespaces; if not, says why it is skipped, or fails when that is required.
pub(crate) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|name| name == "root"),
            "this test needs root, which is required"
        );
        eprintln!("skipped: isolation is tested as root");
    }
    root
}

/// Whether a program is installed; if not, says why the test is skipped, or fails when programs are required.
pub(crate) fn has_program(program: &str) -> bool {
    let found = std::env::var("PATH")
        .unwrap_or_default()
        .split(':')
        .any(|dir| Path::new(dir).join(program).is_file());
    if !found {
        let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|name| name == "programs"),
            "{program} is required and not installed"
        );
        eprintln!("skipped: {program} is not installed");
    }
    found
}
