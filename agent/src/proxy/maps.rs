//! Map files: their text, and the commands that turn one state into another.

use super::model::Desired;
use super::render::MapPaths;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A map file's entries.
pub(super) type Entries = BTreeMap<String, String>;

/// Every map file with its entries; limits only if they are `enforced`.
pub(super) fn entries<'a>(paths: &'a MapPaths, desired: &Desired, enforced: bool) -> [(&'a str, Entries); 4] {
    // A function that only peers have is served 0 times a second here.
    let capacity = |name: &String| desired.functions.get(name).copied().unwrap_or(0).to_string();
    let capacities = desired
        .forwardable()
        .into_iter()
        .map(|name| (name.clone(), capacity(name)));
    let address = |known: Option<crate::strategy::PeerAddress>| {
        known.map_or_else(|| "unknown".to_owned(), |address| address.host.to_string())
    };
    let peers = desired
        .peers
        .iter()
        .map(|(peer, known)| (peer.clone(), address(*known)));
    let limits = desired.limits.iter().filter(|_| enforced);
    let limits = limits.flat_map(|(peer, functions)| {
        functions
            .iter()
            .map(move |(function, limit)| (format!("{peer}/{function}"), limit.to_string()))
    });
    [
        (paths.capacity.as_str(), capacities.collect()),
        (paths.peers.as_str(), peers.collect()),
        (paths.limits.as_str(), limits.collect()),
        (
            paths.timeouts.as_str(),
            desired
                .timeouts
                .iter()
                .map(|(function, milliseconds)| (function.clone(), milliseconds.to_string()))
                .collect(),
        ),
    ]
}

/// The text of a map file.
pub(super) fn text(entries: &Entries) -> String {
    let mut text = String::new();
    for (key, value) in entries {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key} {value}");
    }
    text
}

/// Runtime API commands that turn the map `path` from `old` into `new`.
pub(super) fn commands(path: &str, old: &Entries, new: &Entries) -> Vec<String> {
    let gone = old
        .keys()
        .filter(|key| !new.contains_key(*key))
        .map(|key| format!("del map {path} {key}"));
    let changed = new.iter().filter_map(|(key, value)| match old.get(key) {
        None => Some(format!("add map {path} {key} {value}")),
        Some(before) if before != value => Some(format!("set map {path} {key} {value}")),
        Some(_) => None,
    });
    gone.chain(changed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> Entries {
        entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn only_differences_are_sent() {
        let old = map(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let new = map(&[("b", "2"), ("c", "4"), ("d", "5")]);
        assert_eq!(
            commands("/m", &old, &new),
            ["del map /m a", "set map /m c 4", "add map /m d 5"]
        );
        assert!(commands("/m", &new, &new).is_empty());
    }

    #[test]
    fn one_line_per_entry() {
        assert_eq!(
            text(&map(&[("n2/figlet", "10"), ("n3/figlet", "15")])),
            "n2/figlet 10\nn3/figlet 15\n"
        );
    }
}
