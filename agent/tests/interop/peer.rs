//! The Go peer of `ci/interop`.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A busy machine is slow; nothing here takes more than seconds by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

fn executable() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("dfaas-interop")
}

/// Builds the Go peer, once. False when there is no Go; panics when it is required then.
pub(crate) fn build() -> bool {
    static BUILT: OnceLock<bool> = OnceLock::new();
    *BUILT.get_or_init(|| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/interop");
        let build = Command::new("go")
            .args(["build", "-o"])
            .arg(executable())
            .arg(".")
            .current_dir(directory)
            .status();
        match build {
            Ok(status) => {
                assert!(status.success(), "go build: {status}");
                true
            }
            Err(error) => {
                let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
                assert!(
                    !required.split(',').any(|word| word == "go"),
                    "go is required and cannot be started: {error}"
                );
                eprintln!("skipped: no Go ({error})");
                false
            }
        }
    })
}

/// A running Go peer; it ends when dropped.
pub(crate) struct Peer {
    child: Child,
    events: Receiver<Value>,
    seen: Vec<Value>,
    pub(crate) id: String,
    address: String,
}

impl Peer {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(Command::new(executable()), arguments)
    }

    /// Starts it by way of these words.
    pub(crate) fn start_by(entry: &[String], arguments: &[&str]) -> Self {
        let mut program = Command::new(&entry[0]);
        program.args(&entry[1..]).arg(executable());
        Self::start_with(program, arguments)
    }

    fn start_with(mut program: Command, arguments: &[&str]) -> Self {
        let mut child = program.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        let mut peer = Self {
            child,
            events,
            seen: Vec::new(),
            id: String::new(),
            address: String::new(),
        };
        let ready = peer.wait("ready", |_| true);
        peer.id = ready["peer"].as_str().unwrap().to_owned();
        peer.address = ready["addresses"][0].as_str().unwrap().to_owned();
        peer
    }

    /// Where and who it is.
    pub(crate) fn multiaddress(&self) -> String {
        format!("{}/p2p/{}", self.address, self.id)
    }

    /// The first event of this kind that fits, past or future.
    pub(crate) fn wait(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let fits = |event: &&Value| event["event"] == kind && fits(event);
        if let Some(event) = self.seen.iter().find(fits) {
            return event.clone();
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .events
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(event) => {
                    self.seen.push(event.clone());
                    if fits(&&event) {
                        return event;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no such {kind}, only {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => panic!("the Go peer ended after {:#?}", self.seen),
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
