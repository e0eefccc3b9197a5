//! A plan for people.

use std::fmt;

use super::Plan;
use super::step::{Action, LinkEnd, MacText, Step};
use crate::topology::{Backend, Impairment, Limits};
use crate::units::ByteSize;

/// Headings, in the order of the work.
const GROUPS: [&str; 14] = [
    "namespaces",
    "links",
    "addresses",
    "routes",
    "neighbours",
    "forwarding",
    "bridges",
    "impairments",
    "limits",
    "nodes",
    "commands",
    "services",
    "ports",
    "ready",
];

/// The steps under a heading per kind.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{}  seed {}  {} steps",
            self.lab,
            self.seed,
            self.steps.len()
        )?;
        for group in GROUPS {
            let steps: Vec<&Step> = self
                .steps
                .iter()
                .filter(|step| step.action.group() == group)
                .collect();
            if steps.is_empty() {
                continue;
            }
            writeln!(formatter, "\n{group} ({})", steps.len())?;
            for step in steps {
                writeln!(formatter, "  {}", step.action)?;
            }
        }
        Ok(())
    }
}

/// One line that a person can read, to stand under its heading.
impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::CreateNamespace {
                namespace,
                forward,
                bridge,
            } => {
                let role = match (forward, bridge) {
                    (_, true) => "  bridge",
                    (true, false) => "  forwards",
                    (false, false) => "",
                };
                write!(formatter, "{namespace}{role}")
            }
            Action::CreateLink { link, ends } => link_line(formatter, link, ends),
            Action::AddAddress {
                namespace,
                interface,
                address,
            } => {
                write!(formatter, "{namespace}:{interface}  {address}")
            }
            Action::AddDirectRoute {
                namespace,
                interface,
                destination,
            } => {
                write!(formatter, "{namespace}:{interface}  {destination} directly")
            }
            Action::AddRoute {
                namespace,
                destination,
                via,
            } => {
                write!(formatter, "{namespace}  {destination} via {via}")
            }
            Action::AddNeighbour {
                namespace,
                interface,
                address,
                mac,
            } => {
                write!(
                    formatter,
                    "{namespace}:{interface}  {address} is {}",
                    MacText(*mac)
                )
            }
            Action::AddForwarding {
                namespace,
                interface,
                mac,
                answers_for,
            } => {
                write!(formatter, "{namespace}:{interface}  to {}", MacText(*mac))?;
                let mut address = answers_for.iter();
                address.try_for_each(|address| write!(formatter, ", answers for {address}"))
            }
            Action::RaiseBridge { namespace } => formatter.write_str(namespace),
            Action::Impair {
                link,
                forward,
                backward,
                presets,
                traces,
                backend,
            } => {
                impair_line(formatter, link, forward, backward, *backend)?;
                if !presets.is_empty() {
                    write!(formatter, "  preset {}", presets.join(", "))?;
                }
                traces
                    .iter()
                    .try_for_each(|trace| write!(formatter, "\n    {trace}"))
            }
            Action::LimitNode { node, limits } => write!(formatter, "{node}  {}", LimitsText(limits)),
            Action::StartNode { node } | Action::AwaitReady { node } => formatter.write_str(node),
            Action::StartService { node, service } => write!(formatter, "{node}  {service}"),
            Action::RunCommand { node, command } => write!(formatter, "{node}  {command}"),
            Action::PublishPort { node, mapping } => write!(formatter, "{node}  {mapping}"),
            Action::OpenUplink { node, uplink } => write!(formatter, "{node}  {uplink}"),
        }
    }
}

fn link_line(formatter: &mut fmt::Formatter<'_>, link: &str, [first, second]: &[LinkEnd; 2]) -> fmt::Result {
    write!(
        formatter,
        "{link}  {}:{} ── {} | {} ── {}:{}  mtu {}",
        first.namespace,
        first.interface,
        first.midpoint,
        second.midpoint,
        second.namespace,
        second.interface,
        first.mtu,
    )
}

fn impair_line(
    formatter: &mut fmt::Formatter<'_>,
    link: &str,
    forward: &Impairment,
    backward: &Impairment,
    backend: Backend,
) -> fmt::Result {
    let backend = match backend {
        Backend::Auto => "auto",
        Backend::Tc => "tc",
        Backend::Wire => "wire",
    };
    if forward == backward {
        write!(formatter, "{link}  {forward}  ({backend})")
    } else {
        write!(
            formatter,
            "{link}  forward {forward}; backward {backward}  ({backend})"
        )
    }
}

struct LimitsText<'a>(&'a Limits);

impl fmt::Display for LimitsText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.0.cpus.map(|cpus| format!("cpus {cpus}")),
            self.0
                .memory_bytes
                .map(|bytes| format!("memory {}", ByteSize(bytes))),
            self.0.pids.map(|pids| format!("pids {pids}")),
        ];
        formatter.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}
