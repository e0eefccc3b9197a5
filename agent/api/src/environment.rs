//! The environment variables that configure an agent, with their defaults and descriptions.
//!
//! `dfaas-agent --help`, the documentation and the agent's own reading of its environment all come from [`VARIABLES`].

mod list;
pub mod names;

pub use list::{STRATEGIES, UNUSED, VARIABLES};

use std::fmt::Write as _;

/// What a variable's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A Go duration: `5s`, `1m30s`, `500ms`.
    Duration,
    /// A TCP port.
    Port,
    /// A whole number, 0 or more.
    Number,
    /// A number that may be negative or broken.
    Decimal,
    /// An IP address.
    Address,
    /// A host name or an IP address.
    Host,
    /// A file.
    Path,
    /// A Unix socket as `unix:///path` or a plain path.
    Socket,
    /// Several values separated by commas.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
}

impl Kind {
    /// The kind for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Duration => "duration",
            Self::Port => "port",
            Self::Number => "whole number",
            Self::Decimal => "number",
            Self::Address => "IP address",
            Self::Host => "host",
            Self::Path => "file",
            Self::Socket => "socket",
            Self::List => "list",
            Self::Choice(_) => "choice",
            Self::Text => "text",
        }
    }
}

/// One environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name, `AGENT_…`.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// The value used when it is not set; an empty text stands for "nothing".
    pub default: &'static str,
    /// Section of the help it belongs to.
    pub section: Section,
    /// What it does, one or two sentences.
    pub help: &'static str,
}

/// Sections of the help, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Identity, address, logs.
    Node,
    /// Peer-to-peer network.
    Overlay,
    /// Load balancing.
    Strategy,
    /// HAProxy.
    Proxy,
    /// The functions platform.
    Platform,
    /// The agent's own HTTP server.
    Server,
    /// The Data Plane API that `dfaas-agent dataplane` serves.
    Dataplane,
}

impl Section {
    /// Every section, in the order of the help.
    pub const ALL: [Self; 7] = [
        Self::Node,
        Self::Overlay,
        Self::Strategy,
        Self::Proxy,
        Self::Platform,
        Self::Server,
        Self::Dataplane,
    ];

    /// A heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Overlay => "Overlay network",
            Self::Strategy => "Strategy",
            Self::Proxy => "HAProxy",
            Self::Platform => "Functions platform",
            Self::Server => "The agent's own HTTP server",
            Self::Dataplane => "Data Plane API (`dfaas-agent dataplane`)",
        }
    }
}

/// The variable of this name.
#[must_use]
pub fn variable(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// All variables as plain text for a terminal.
#[must_use]
pub fn help_text() -> String {
    let mut text = String::new();
    for section in Section::ALL {
        let _ = writeln!(text, "{}:", section.title());
        for variable in VARIABLES.iter().filter(|variable| variable.section == section) {
            let _ = writeln!(
                text,
                "  {} [{}]\n      {}",
                variable.name,
                shown(variable.default),
                variable.help
            );
        }
        text.push('\n');
    }
    text
}

/// All variables as Markdown tables, one per section.
#[must_use]
pub fn help_markdown() -> String {
    let mut text = String::new();
    for section in Section::ALL {
        let _ = writeln!(
            text,
            "### {}\n\n| Variable | Type | Default | Meaning |\n|---|---|---|---|",
            section.title()
        );
        for variable in VARIABLES.iter().filter(|variable| variable.section == section) {
            let help = variable.help.replace('|', "\\|");
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {help} |",
                variable.name,
                variable.kind.describe(),
                shown(variable.default)
            );
        }
        text.push('\n');
    }
    text
}

/// A default for people.
fn shown(default: &str) -> &str {
    if default.is_empty() { "none" } else { default }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_variable_is_listed_once() {
        let names: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
        assert_eq!(names.len(), VARIABLES.len());
        for (name, _) in UNUSED {
            assert!(!names.contains(name), "{name} is both used and unused");
        }
    }

    #[test]
    fn defaults_are_of_their_kind() {
        for variable in VARIABLES.iter().filter(|variable| !variable.default.is_empty()) {
            let fits = match variable.kind {
                Kind::Flag => matches!(variable.default, "true" | "false"),
                Kind::Port => variable.default.parse::<u16>().is_ok(),
                Kind::Number => variable.default.parse::<u32>().is_ok(),
                Kind::Decimal => variable.default.parse::<f64>().is_ok(),
                Kind::Choice(words) => words.contains(&variable.default),
                Kind::Path => variable.default.starts_with('/'),
                Kind::Socket => variable.default.starts_with("unix:///"),
                _ => true,
            };
            assert!(fits, "{} = {}", variable.name, variable.default);
        }
    }

    /// The documentation holds what `dfaas-agent markdown` prints.
    #[test]
    fn the_documentation_is_up_to_date() {
        let documentation = include_str!("../../../docs/agent.md");
        assert!(
            documentation.contains(&help_markdown()),
            "put what `dfaas-agent markdown` prints into docs/agent.md"
        );
    }

    #[test]
    fn help_names_every_variable() {
        let (text, markdown) = (help_text(), help_markdown());
        for variable in VARIABLES {
            assert!(variable.name.starts_with("AGENT_"));
            assert!(
                text.contains(variable.name) && markdown.contains(variable.name),
                "{}",
                variable.name
            );
        }
    }
}
