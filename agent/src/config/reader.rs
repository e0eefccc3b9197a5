//! Reading variables of many kinds, collecting complaints instead of stopping at the first.

use super::{HostPort, Neighbours, parse_duration};
use dfaas_agent_api::environment::{Kind, UNUSED, VARIABLES, names, variable};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// Where variables come from.
pub trait Environment {
    /// A variable's value, when it is set.
    fn get(&self, name: &str) -> Option<String>;
    /// Names of all variables that are set.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect()
    }
}

impl Environment for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// The first environment's values win over the second's.
impl<A: Environment, B: Environment> Environment for (A, B) {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).or_else(|| self.1.get(name))
    }

    fn names(&self) -> Vec<String> {
        self.0.names().into_iter().chain(self.1.names()).collect()
    }
}

/// Names of set variables that have no effect, each with the reason.
#[must_use]
pub fn without_effect(environment: &dyn Environment) -> Vec<(String, &'static str)> {
    let set: BTreeSet<String> = environment
        .names()
        .into_iter()
        .filter(|name| name.starts_with("AGENT_"))
        .collect();
    let reason = |name: &String| match UNUSED.iter().find(|(unused, _)| unused == name) {
        Some((_, reason)) => Some(*reason),
        None if VARIABLES.iter().any(|variable| variable.name == name) => None,
        None => Some("no variable has this name"),
    };
    set.into_iter()
        .filter_map(|name| reason(&name).map(|reason| (name, reason)))
        .collect()
}

/// One wrong value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name}={value:?} is not {expected}")]
pub struct Invalid {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it should have been.
    pub expected: String,
}

/// All wrong values.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<Invalid>);

/// Reads and remembers what was wrong.
pub(super) struct Reader<'a> {
    environment: &'a dyn Environment,
    invalid: Vec<Invalid>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: &'a dyn Environment) -> Self {
        Self {
            environment,
            invalid: Vec::new(),
        }
    }

    /// The result, unless something was wrong.
    pub(super) fn finish<T>(self, result: T) -> Result<T, ConfigError> {
        if self.invalid.is_empty() {
            Ok(result)
        } else {
            Err(ConfigError(self.invalid))
        }
    }

    /// Remembers that a variable's value is not what was expected.
    pub(super) fn complain(&mut self, name: &str, expected: &str) {
        let value = self.text(name);
        self.complain_about(name, value, expected);
    }

    fn complain_about(&mut self, name: &str, value: String, expected: &str) {
        self.invalid.push(Invalid {
            name: name.to_owned(),
            value,
            expected: expected.to_owned(),
        });
    }

    /// The value, or the default of a variable that is not set.
    pub(super) fn text(&self, name: &str) -> String {
        let value = self.environment.get(name).map(|value| value.trim().to_owned());
        value.unwrap_or_else(|| variable(name).map_or("", |variable| variable.default).to_owned())
    }

    pub(super) fn required_text(&mut self, name: &str) -> String {
        let text = self.text(name);
        if text.is_empty() {
            self.complain(name, "a text; leave it out for the default");
        }
        text
    }

    pub(super) fn parse<T: FromStr + Parsed>(&mut self, name: &str, expected: &str) -> T {
        self.text(name).parse().unwrap_or_else(|_| {
            self.complain(name, expected);
            T::STAND_IN
        })
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        match self.text(name).to_ascii_lowercase().as_str() {
            "true" | "1" | "t" => true,
            "false" | "0" | "f" | "" => false,
            _ => {
                self.complain(name, "true or false");
                false
            }
        }
    }

    pub(super) fn duration(&mut self, name: &str) -> Duration {
        parse_duration(&self.text(name)).unwrap_or_else(|| {
            self.complain(
                name,
                "a duration; write a number with a unit, such as 5s, 500ms or 1m30s",
            );
            Duration::ZERO
        })
    }

    /// Half of the period unless set; never more than the period.
    pub(super) fn rate_window(&mut self, period: Duration) -> Duration {
        if self.text(names::RATE_WINDOW).is_empty() {
            return period / 2;
        }
        let window = self.duration(names::RATE_WINDOW);
        if window.is_zero() || window > period {
            self.complain(
                names::RATE_WINDOW,
                "longer than 0 and at most AGENT_RECALC_PERIOD",
            );
        }
        window
    }

    pub(super) fn choice(&mut self, name: &str) -> String {
        let value = self.text(name);
        if let Some(Kind::Choice(words)) = variable(name).map(|variable| variable.kind)
            && !words.contains(&value.as_str())
        {
            let named: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
            self.complain(name, &format!("supported; known are: {}", named.join(", ")));
        }
        value
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name);
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    }

    pub(super) fn path(&mut self, name: &str) -> PathBuf {
        let path = PathBuf::from(self.text(name));
        if !path.is_absolute() {
            self.complain(name, "an absolute path");
        }
        path
    }

    pub(super) fn optional_path(&mut self, name: &str) -> Option<PathBuf> {
        (!self.text(name).is_empty()).then(|| self.path(name))
    }

    /// `unix:///path`, as in the original, or a plain path.
    pub(super) fn socket(&mut self, name: &str) -> PathBuf {
        let text = self.text(name);
        let path = PathBuf::from(text.strip_prefix("unix://").unwrap_or(&text));
        if !path.is_absolute() || text.contains(char::is_whitespace) {
            self.complain(name, "a Unix socket; write unix:///path/to/socket");
        }
        path
    }

    pub(super) fn host_port(&mut self, host: &str, port: &str) -> HostPort {
        let name = self.text(host);
        let fits = |letter: char| letter.is_ascii_alphanumeric() || ".-_:".contains(letter);
        if name.is_empty() || !name.chars().all(fits) {
            self.complain(host, "a host name or an IP address");
        }
        HostPort {
            host: name,
            port: self.parse(port, "a port from 0 to 65535"),
        }
    }

    pub(super) fn binds(&mut self, name: &str) -> Vec<String> {
        let all = self.list(name);
        if all.is_empty() {
            self.complain(name, "at least one ADDRESS:PORT");
        }
        for address in &all {
            self.check_bind(name, address);
        }
        all
    }

    pub(super) fn bind(&mut self, name: &str) -> String {
        let address = self.text(name);
        self.check_bind(name, &address);
        address
    }

    fn check_bind(&mut self, name: &str, address: &str) {
        let port = address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "*.:[]-_".contains(letter);
        if port.is_none() || !address.chars().all(fits) {
            self.complain_about(
                name,
                address.to_owned(),
                "ADDRESS:PORT, such as *:80, 127.0.0.1:8080 or [::]:80",
            );
        }
    }

    pub(super) fn listen_addresses(&mut self) -> Vec<Multiaddr> {
        let mut addresses = Vec::new();
        for text in self.list(names::LISTEN) {
            match text.parse::<Multiaddr>() {
                Ok(address) if address.iter().any(|part| matches!(part, Protocol::Tcp(_))) => {
                    addresses.push(address)
                }
                _ => self.complain_about(
                    names::LISTEN,
                    text,
                    "a TCP multiaddress, such as /ip4/0.0.0.0/tcp/6000",
                ),
            }
        }
        addresses
    }

    pub(super) fn bootstrap_nodes(&mut self) -> Vec<(PeerId, Multiaddr)> {
        if !self.flag(names::BOOTSTRAP_NODES) {
            return Vec::new();
        }
        let listed = self.list(names::BOOTSTRAP_NODES_LIST).into_iter();
        let mut all: Vec<(&str, String)> = listed.map(|text| (names::BOOTSTRAP_NODES_LIST, text)).collect();
        if let Some(path) = self.optional_path(names::BOOTSTRAP_NODES_FILE) {
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let lines = text
                        .lines()
                        .map(|line| line.split('#').next().unwrap_or("").trim());
                    let named = lines.filter(|line| !line.is_empty());
                    all.extend(named.map(|line| (names::BOOTSTRAP_NODES_FILE, line.to_owned())));
                }
                Err(error) => {
                    self.complain(names::BOOTSTRAP_NODES_FILE, &format!("a readable file ({error})"))
                }
            }
        }
        let mut nodes = Vec::new();
        for (name, text) in all {
            match bootstrap_node(&text) {
                Some(node) => nodes.push(node),
                None => self.complain_about(
                    name,
                    text,
                    "a multiaddress with a PeerId, such as /ip4/10.0.0.2/tcp/6000/p2p/12D3KooW…",
                ),
            }
        }
        nodes
    }

    /// A number of something there cannot be less than none of.
    pub(super) fn amount(&mut self, name: &str, expected: &str) -> f64 {
        let value: f64 = self.parse(name, expected);
        if !value.is_finite() || value < 0.0 {
            self.complain(name, expected);
            return 0.0;
        }
        value
    }

    pub(super) fn neighbours(&mut self) -> Neighbours {
        let list = self.list(names::NEIGHBOURS);
        match list.as_slice() {
            [] => return Neighbours::All,
            [word] if word == "all" => return Neighbours::All,
            [word] if word == "linked" => return Neighbours::Linked,
            [word] => {
                if let Some(bound) = parse_duration(word) {
                    return Neighbours::Within(bound);
                }
            }
            _ => {}
        }
        for text in &list {
            if text.parse::<PeerId>().is_err() {
                let expected = "`all`, `linked`, a round trip time such as 20ms, or a list of PeerIds";
                self.complain_about(names::NEIGHBOURS, text.clone(), expected);
            }
        }
        Neighbours::Listed(list.into_iter().collect())
    }
}

/// A multiaddress that ends in a PeerId, taken apart.
fn bootstrap_node(text: &str) -> Option<(PeerId, Multiaddr)> {
    let mut address: Multiaddr = text.parse().ok()?;
    match address.pop()? {
        Protocol::P2p(peer) if !address.is_empty() => Some((peer, address)),
        _ => None,
    }
}

/// A type with a value to go on with after a complaint.
pub(super) trait Parsed {
    const STAND_IN: Self;
}

impl Parsed for u16 {
    const STAND_IN: Self = 0;
}

impl Parsed for u32 {
    const STAND_IN: Self = 1;
}

impl Parsed for i64 {
    const STAND_IN: Self = 0;
}

impl Parsed for f64 {
    const STAND_IN: Self = 0.0;
}

impl Parsed for std::net::IpAddr {
    const STAND_IN: Self = Self::V4(std::net::Ipv4Addr::LOCALHOST);
}
