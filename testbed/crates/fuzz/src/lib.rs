//! What untrusted input meets first, as one function for each kind of input: it may be refused, but never panics, and takes time and
//! memory in proportion to its length.
//!
//! `fuzz/` has a libFuzzer target for each (`ci/fuzz.sh`); `tests/corpus.rs` runs them over the same corpus and over changed copies
//! of it.

use std::collections::BTreeMap;
use std::path::Path;

use dfaas_agent::config::{Config, DataplaneConfig, parse_file, without_effect};
use dfaas_agent_api::environment::names;
use dfaas_model::{Loader, load_scenario, load_topology, plan};

/// The most nodes whose plan is made as well: addresses and routes of a large topology take long, and were asked for.
const PLANNED_NODES: usize = 300;

/// One kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A topology file.
    Topology,
    /// A scenario file, on a small topology.
    Scenario,
    /// A trace of a link, in each of its forms, or of requests.
    Trace,
    /// What the kernel answers over netlink.
    Netlink,
    /// The body of a request to the FaaS platform.
    Document,
    /// The path and query of such a request.
    RequestTarget,
    /// Words in deployments and headers.
    Words,
    /// The manifest of an image of functions.
    Manifest,
    /// What another agent says.
    Message,
    /// What HAProxy answers: tables, statistics, states.
    Haproxy,
    /// The agent's file of environment variables.
    Environment,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 11] = [
        Target::Topology,
        Target::Scenario,
        Target::Trace,
        Target::Netlink,
        Target::Document,
        Target::RequestTarget,
        Target::Words,
        Target::Manifest,
        Target::Message,
        Target::Haproxy,
        Target::Environment,
    ];

    /// Its name, which is that of its cargo-fuzz target and of its directory in `fuzz/corpus`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Target::Topology => "topology",
            Target::Scenario => "scenario",
            Target::Trace => "trace",
            Target::Netlink => "netlink",
            Target::Document => "document",
            Target::RequestTarget => "request_target",
            Target::Words => "words",
            Target::Manifest => "manifest",
            Target::Message => "message",
            Target::Haproxy => "haproxy",
            Target::Environment => "environment",
        }
    }

    /// Gives it an input.
    pub fn run(self, input: &[u8]) {
        match self {
            Target::Topology => topology(input),
            Target::Scenario => scenario(input),
            Target::Trace => trace(input),
            Target::Netlink => dfaas_netns::decode(input),
            Target::Document => dfaas_faas::untrusted::document(input),
            Target::RequestTarget => dfaas_faas::untrusted::target(input),
            Target::Words => dfaas_faas::untrusted::words(input),
            Target::Manifest => dfaas_faas::untrusted::manifest(input),
            Target::Message => message(input),
            Target::Haproxy => haproxy(input),
            Target::Environment => environment(input),
        }
    }
}

/// Every file there is, by path.
struct Files<'a>(&'a [(&'a str, &'a str)]);

impl Loader for Files<'_> {
    fn load(&self, path: &str) -> Result<String, String> {
        let file = self.0.iter().find(|(name, _)| *name == path);
        file.map(|(_, text)| (*text).to_owned())
            .ok_or_else(|| "no such file".to_owned())
    }
}

fn topology(input: &[u8]) {
    // The file loader reads UTF-8 only.
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // It may include itself.
    let files = Files(&[("lab.yaml", text)]);
    match load_topology("lab.yaml", &files, &[]) {
        Ok(topology) if topology.nodes.len() <= PLANNED_NODES => {
            let planned = plan(&topology);
            drop(planned.map(|plan| plan.to_string()));
        }
        Ok(_) => {}
        Err(error) => drop(error.to_string()),
    }
}

/// A lab for scenarios.
const LAB: &str = "name: lab
nodes: { a: { kind: client }, b: { kind: dfaas, functions: { figlet: { maxrate: 10 } } } }
links: [ { endpoints: [a, b], delay: 5ms } ]
";

fn scenario(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let recorded = ("requests.csv", "time\n0\n5ms\n");
    let files = Files(&[("run.yaml", text), ("lab.yaml", LAB), recorded]);
    if let Err(error) = load_scenario("run.yaml", &files, &[]) {
        drop(error.to_string());
    }
}

fn trace(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for name in ["link.trace", "link.csv"] {
        let topology = format!(
            "name: lab
nodes: {{ a: {{ kind: host }}, b: {{ kind: host }} }}
links: [ {{ endpoints: [a, b], trace: {name} }} ]
"
        );
        let files = Files(&[("lab.yaml", &topology), (name, text)]);
        if let Err(error) = load_topology("lab.yaml", &files, &[]) {
            drop(error.to_string());
        }
    }
    let scenario = "topology: lab.yaml
load: [ { from: a, to: b, function: figlet, trace: requests.csv } ]
";
    let files = Files(&[("run.yaml", scenario), ("lab.yaml", LAB), ("requests.csv", text)]);
    if let Err(error) = load_scenario("run.yaml", &files, &[]) {
        drop(error.to_string());
    }
}

fn message(input: &[u8]) {
    match dfaas_agent::reception::hear(input, "me") {
        Ok((heard, _)) => drop(format!("{heard:?}")),
        Err(error) => drop(error.to_string()),
    }
}

fn haproxy(input: &[u8]) {
    // What is no UTF-8 is replaced when it is read from the socket.
    let text = String::from_utf8_lossy(input);
    dfaas_agent::proxy::decode(&text);
    dfaas_agent::dataplane::decode(&text);
}

fn environment(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut values: BTreeMap<String, String> = match parse_file(Path::new("agent.env"), text) {
        Ok(values) => values,
        Err(error) => return drop(error.to_string()),
    };
    drop(without_effect(&values));
    // These files would be read, whatever they are on this machine.
    values.remove(names::BOOTSTRAP_NODES_FILE);
    values.remove(names::GROUP_LIST_FILE_NAME);
    drop(Config::read(&values).map_err(|error| error.to_string()));
    drop(DataplaneConfig::read(&values).map_err(|error| error.to_string()));
}
