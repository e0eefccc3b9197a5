//! Nodes, one at a time.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::super::container::{ContainerImage, Driver};
use super::super::file::{FunctionFile, IdentityFile, NodeFile, TextMap};
use super::super::topology::{
    AgentSettings, BasicAuth, FaasSettings, Function, InterfaceSettings, Limits, Node, NodeKind,
};
use super::{addresses, agent, container, names, ports};
use crate::document::decode::decode;
use crate::document::path;
use crate::document::spanned::Spanned;
use crate::document::tree::{Key, Span, Tree};
use crate::error::{Fault, Problem, Problems};

/// Keys for nodes that run DFaaS.
const DFAAS_KEYS: [&str; 3] = ["functions", "agent", "faas"];
/// All that a switch can have.
const SWITCH_KEYS: [&str; 2] = ["kind", "labels"];

/// A node and the places later checks point at.
pub(crate) struct CheckedNode {
    pub(super) node: Node,
    pub(super) span: Span,
    pub(super) port_spans: Vec<Span>,
    /// By interface name: the name's place, the addresses' and the MAC's.
    pub(super) interface_spans: IndexMap<String, InterfaceSpans>,
}

/// Where an interface's settings are written.
pub(super) struct InterfaceSpans {
    pub(super) name: Span,
    pub(super) addresses: Vec<Span>,
    pub(super) mac: Option<Span>,
}

/// Nodes by name, in the order of the file.
pub(crate) type CheckedNodes = IndexMap<String, CheckedNode>;

/// Checks every node. Nodes with problems are kept where possible, so that links to them are not reported as well.
pub(super) fn validate(trees: &[(Key, Tree)], path: &str, problems: &mut Problems) -> CheckedNodes {
    let mut nodes = CheckedNodes::with_capacity(trees.len());
    for (key, tree) in trees {
        if let Err(rule) = names::check_node(&key.text) {
            let fault = Fault::BadName {
                name: key.text.clone(),
                what: "a node".to_owned(),
                rule,
            };
            problems.add(Problem::new(fault, key.span).label("here"));
        }
        nodes.insert(key.text.clone(), node(key, tree, path, problems));
    }
    nodes
}

fn node(key: &Key, tree: &Tree, path: &str, problems: &mut Problems) -> CheckedNode {
    let decoded: Option<NodeFile> = if tree.is_null() {
        Some(NodeFile::default())
    } else {
        problems.keep(decode(tree))
    };
    let readable = decoded.is_some();
    let file = decoded.unwrap_or_default();
    let kind = match &file.kind {
        Some(kind) => NodeKind::from(kind.value),
        None => {
            if readable {
                let fault = Fault::NoKind {
                    name: key.text.clone(),
                };
                problems.add(
                    Problem::new(fault, key.span)
                        .label("needs a `kind`")
                        .help("kinds are `dfaas`, `host`, `client`, `switch` and `router`"),
                );
            }
            NodeKind::Host
        }
    };
    if readable && file.kind.is_some() {
        check_keys(kind, tree, problems);
    }
    let mut checked = complete(&key.text, kind, key.span, &file, false, problems);
    for volume in &mut checked.node.volumes {
        volume.source = path::beside(path, &volume.source);
    }
    if let Driver::Docker(container) = &mut checked.node.driver
        && let ContainerImage::Folder(folder) = &mut container.image
    {
        *folder = path::beside(path, folder);
    }
    checked
}

/// Refuses keys that mean nothing for this kind of node.
fn check_keys(kind: NodeKind, tree: &Tree, problems: &mut Problems) {
    let entries = tree
        .as_map()
        .map(|map| map.entries.as_slice())
        .unwrap_or_default();
    for (key, _) in entries {
        let name = key.text.as_str();
        let wrong = match kind {
            NodeKind::Dfaas => false,
            NodeKind::Switch => !SWITCH_KEYS.contains(&name),
            NodeKind::Host | NodeKind::Client | NodeKind::Router => DFAAS_KEYS.contains(&name),
        };
        if wrong {
            let fault = Fault::KeyNotForKind {
                key: key.text.clone(),
                kind: kind.to_string(),
            };
            let problem = Problem::new(fault, key.span).label("here");
            problems.add(match DFAAS_KEYS.contains(&name) {
                true => problem.help("functions, agent and faas belong to nodes of kind `dfaas`"),
                false => problem.help("a switch has links and labels only"),
            });
        }
    }
}

/// Checks the defaults of a kind as if they were a node of it.
pub(super) fn check_default(kind: NodeKind, file: &NodeFile, problems: &mut Problems) {
    if let Some(own) = &file.kind {
        let message = "defaults are for a kind already".to_owned();
        problems.add(Problem::new(Fault::Value { message }, own.span).label("not needed"));
    }
    complete("default", kind, Span::default(), file, true, problems);
}

fn complete(
    name: &str,
    kind: NodeKind,
    span: Span,
    file: &NodeFile,
    is_default: bool,
    problems: &mut Problems,
) -> CheckedNode {
    let (interfaces, interface_spans) = interfaces(file, problems);
    let mut port_spans = Vec::new();
    let mut mappings = Vec::new();
    for text in file.ports.iter().flatten() {
        if let Some(mapping) = problems.keep(ports::port(text)) {
            port_spans.push(text.span);
            mappings.push(mapping);
        }
    }
    if let Some(forward) = file
        .forward
        .as_ref()
        .filter(|forward| !forward.value && kind == NodeKind::Router)
    {
        let message = "a router always forwards".to_owned();
        problems.add(
            Problem::new(Fault::Contradiction { message }, forward.span)
                .help("use `kind: host` for a node that does not"),
        );
    }
    let is_dfaas = kind == NodeKind::Dfaas;
    let node = Node {
        name: name.to_owned(),
        kind,
        driver: container::driver(kind, span, file, is_default, problems),
        functions: if is_dfaas {
            functions(file, problems)
        } else {
            IndexMap::new()
        },
        agent: if is_dfaas {
            agent::settings(file.agent.as_ref(), problems)
        } else {
            AgentSettings::default()
        },
        faas: faas(file),
        ports: mappings,
        uplink: ports::uplinks(file.uplink.as_deref().unwrap_or_default(), problems),
        limits: limits(file, problems),
        env: text_map(file.env.as_ref(), problems),
        volumes: file
            .volumes
            .iter()
            .flatten()
            .filter_map(|text| problems.keep(ports::volume(text)))
            .collect(),
        exec: file
            .exec
            .iter()
            .flatten()
            .map(|command| command.value.clone())
            .collect(),
        labels: labels(file.labels.as_ref()),
        forward: kind == NodeKind::Router || file.forward.as_ref().is_some_and(|forward| forward.value),
        interfaces,
    };
    CheckedNode {
        node,
        span,
        port_spans,
        interface_spans,
    }
}

fn functions(file: &NodeFile, problems: &mut Problems) -> IndexMap<String, Function> {
    let none = FunctionFile::default();
    let mut functions = IndexMap::new();
    for (name, function) in file.functions.iter().flatten() {
        if let Err(rule) = names::check_function(&name.value) {
            let fault = Fault::BadName {
                name: name.value.clone(),
                what: "a function".to_owned(),
                rule,
            };
            problems.add(Problem::new(fault, name.span).label("here"));
        }
        let function = function.as_ref().unwrap_or(&none);
        if let Some(timeout) = function
            .timeout
            .as_ref()
            .filter(|timeout| timeout.value.0.is_zero())
        {
            let message = "the timeout is zero".to_owned();
            problems.add(Problem::new(Fault::Value { message }, timeout.span).label("must be more"));
        }
        functions.insert(
            name.value.clone(),
            Function {
                name: name.value.clone(),
                image: function.image.as_ref().map(|image| image.value.clone()),
                maxrate: function.maxrate.as_ref().map(|rate| rate.value),
                env: text_map(function.env.as_ref(), problems),
                labels: labels(function.labels.as_ref()),
                timeout: function.timeout.as_ref().map(|timeout| timeout.value.0),
            },
        );
    }
    functions
}

fn faas(file: &NodeFile) -> FaasSettings {
    let Some(file) = &file.faas else {
        return FaasSettings::default();
    };
    FaasSettings {
        native: file.identity == Some(IdentityFile::Native),
        basic_auth: file.basic_auth.as_ref().map(|auth| BasicAuth {
            user: auth.user.clone(),
            password: auth.password.clone(),
        }),
    }
}

/// The limits of `file`, checked.
pub(crate) fn limits(file: &NodeFile, problems: &mut Problems) -> Limits {
    let mut refuse = |what: &str, value: String, range: &str, span: Span| {
        let fault = Fault::OutOfRange {
            what: what.to_owned(),
            value,
            range: range.to_owned(),
        };
        problems.add(Problem::new(fault, span).label("here"));
    };
    if let Some(cpus) = file
        .cpus
        .as_ref()
        .filter(|cpus| !(0.01..=4096.0).contains(&cpus.value))
    {
        refuse("cpus", cpus.value.to_string(), "between 0.01 and 4096", cpus.span);
    }
    if let Some(memory) = file.memory.as_ref().filter(|memory| memory.value.0 < 1 << 20) {
        refuse("memory", memory.value.to_string(), "at least 1MiB", memory.span);
    }
    if let Some(pids) = file.pids.as_ref().filter(|pids| pids.value == 0) {
        refuse("pids", pids.value.to_string(), "at least 1", pids.span);
    }
    Limits {
        cpus: file.cpus.as_ref().map(|cpus| cpus.value),
        memory_bytes: file.memory.as_ref().map(|memory| memory.value.0),
        pids: file.pids.as_ref().map(|pids| pids.value),
    }
}

fn interfaces(
    file: &NodeFile,
    problems: &mut Problems,
) -> (
    IndexMap<String, InterfaceSettings>,
    IndexMap<String, InterfaceSpans>,
) {
    let mut settings = IndexMap::new();
    let mut spans = IndexMap::new();
    for (name, interface) in file.interfaces.iter().flatten() {
        let mut place = InterfaceSpans {
            name: name.span,
            addresses: Vec::new(),
            mac: None,
        };
        let mut own = InterfaceSettings::default();
        let mut families = BTreeSet::new();
        for text in interface.addresses.iter().flatten() {
            let Some(address) = problems.keep(addresses::address(text)) else {
                continue;
            };
            if !families.insert(address.addr().is_ipv4()) {
                let what = "a second address of the same family on one interface".to_owned();
                problems.add(Problem::new(Fault::NotSupported { what }, text.span).label("here"));
                continue;
            }
            own.addresses.push(address);
            place.addresses.push(text.span);
        }
        if let Some(text) = &interface.mac {
            own.mac = problems.keep(addresses::mac(text));
            place.mac = Some(text.span);
        }
        settings.insert(name.value.clone(), own);
        spans.insert(name.value.clone(), place);
    }
    (settings, spans)
}

fn text_map(file: Option<&TextMap>, problems: &mut Problems) -> IndexMap<String, String> {
    for name in file.iter().flat_map(|map| map.keys()) {
        check_variable(name, problems);
    }
    labels(file)
}

pub(super) fn check_variable(name: &Spanned<String>, problems: &mut Problems) {
    if let Err(rule) = names::check_variable(&name.value) {
        let fault = Fault::BadName {
            name: name.value.clone(),
            what: "an environment variable".to_owned(),
            rule,
        };
        problems.add(Problem::new(fault, name.span).label("here"));
    }
}

fn labels(file: Option<&TextMap>) -> IndexMap<String, String> {
    file.into_iter()
        .flatten()
        .map(|(name, value)| (name.value.clone(), value.value.0.clone()))
        .collect()
}
