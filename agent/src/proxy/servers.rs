//! Peers' servers: adding, parking and weighing them while HAProxy runs.

use super::model::{Desired, Mode};
use super::render::{LOCAL_SERVER, REJECTOR, backend_name, server_check, server_name};
use crate::strategy::{NodeId, PeerAddress};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Servers out of use that HAProxy still has: one that had connections cannot be deleted, so it is parked until the next
/// load.
pub(super) type Parked = BTreeMap<NodeId, PeerAddress>;

/// Runtime API commands that turn the servers of `old` into those of `new`. Nothing when only a reload can: other
/// functions, or a peer that moved.
pub(super) fn commands(mode: Mode, old: &Desired, new: &Desired, parked: &Parked) -> Option<Vec<String>> {
    let had = |peer: &NodeId| old.server(peer).or_else(|| parked.get(peer).copied());
    let moved = |(peer, address)| had(peer).is_some_and(|before| before != address);
    let here_as_before = mode == Mode::Overflow || new.functions.keys().eq(old.functions.keys());
    if !new.has_backends_of(old) || !here_as_before || new.servers().any(moved) {
        return None;
    }
    let check = server_check(new.servers().count());
    let mut commands = Vec::new();
    for function in new.forwardable() {
        let backend = backend_name(mode, function);
        commands.extend(own_weights(&backend, function, old, new));
        for (peer, _) in gone(old, new) {
            commands.push(format!("set server {backend}/{} state maint", server_name(peer)));
        }
        for (peer, address) in new.servers() {
            let server = format!("{backend}/{}", server_name(peer));
            let weight = new.weight(function, peer);
            if old.server(peer).is_some() {
                if weight != old.weight(function, peer) {
                    commands.push(format!("set server {server} weight {weight}"));
                }
            } else if parked.contains_key(peer) {
                commands.push(format!("set server {server} weight {weight}"));
                commands.push(format!("set server {server} state ready"));
            } else {
                let address = SocketAddr::new(address.host, address.port);
                commands.push(format!("add server {server} {address} weight {weight} {check}"));
                commands.push(format!("enable server {server}"));
                commands.push(format!("enable health {server}"));
            }
        }
    }
    Some(commands)
}

/// Commands for the servers that are no peers.
fn own_weights(backend: &str, function: &str, old: &Desired, new: &Desired) -> Vec<String> {
    let (before, after) = (old.own_weights(function), new.own_weights(function));
    [
        (LOCAL_SERVER, before.local, after.local),
        (REJECTOR, before.reject, after.reject),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(server, _, weight)| format!("set server {backend}/{server} weight {weight}"))
    .collect()
}

/// Brings the list of parked servers up to date after those commands.
pub(super) fn repark(parked: &mut Parked, old: &Desired, new: &Desired) {
    parked.retain(|peer, _| new.server(peer).is_none());
    parked.extend(gone(old, new).map(|(peer, address)| (peer.clone(), address)));
}

fn gone<'a>(old: &'a Desired, new: &'a Desired) -> impl Iterator<Item = (&'a NodeId, PeerAddress)> {
    old.servers().filter(|(peer, _)| new.server(peer).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn state(peers: &[(&str, u8, u32)]) -> Desired {
        let address = |last| PeerAddress {
            host: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
            port: 80,
        };
        let weights = peers
            .iter()
            .map(|(peer, _, weight)| ((*peer).to_owned(), *weight))
            .collect();
        Desired {
            functions: BTreeMap::from([("f".to_owned(), 10)]),
            peers: peers
                .iter()
                .map(|(peer, last, _)| ((*peer).to_owned(), Some(address(*last))))
                .collect(),
            weights: BTreeMap::from([("f".to_owned(), weights)]),
            ..Desired::default()
        }
    }

    #[test]
    fn a_peer_comes_another_changes_a_third_goes() {
        let old = state(&[("a", 1, 0), ("b", 2, 10)]);
        let new = state(&[("b", 2, 20), ("c", 3, 5)]);
        let expected = [
            "set server be_others_func_f/node_a state maint",
            "set server be_others_func_f/node_b weight 20",
            "add server be_others_func_f/node_c 10.0.0.3:80 weight 5 check inter 2s fall 3 rise 1",
            "enable server be_others_func_f/node_c",
            "enable health be_others_func_f/node_c",
        ];
        assert_eq!(
            commands(Mode::Overflow, &old, &new, &Parked::new()).unwrap(),
            expected
        );
        assert!(
            commands(Mode::Overflow, &old, &old, &Parked::new())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_peer_that_comes_back_finds_its_place() {
        let (with, without) = (state(&[("a", 1, 7)]), state(&[]));
        let mut parked = Parked::new();
        repark(&mut parked, &with, &without);
        let expected = [
            "set server be_others_func_f/node_a weight 7",
            "set server be_others_func_f/node_a state ready",
        ];
        assert_eq!(
            commands(Mode::Overflow, &without, &with, &parked).unwrap(),
            expected
        );
        assert_eq!(
            commands(Mode::Overflow, &without, &state(&[("a", 9, 7)]), &parked),
            None,
            "it moved"
        );
        repark(&mut parked, &without, &with);
        assert!(parked.is_empty());
    }

    #[test]
    fn what_only_a_reload_can_do() {
        let old = state(&[("a", 1, 0)]);
        assert_eq!(
            commands(Mode::Overflow, &old, &state(&[("a", 9, 0)]), &Parked::new()),
            None,
            "moved"
        );
        let split = Mode::Split {
            names_origin: false,
            stages: false,
        };
        let mut elsewhere = old.clone();
        elsewhere.functions.clear();
        assert_eq!(
            commands(split, &old, &elsewhere, &Parked::new()),
            None,
            "not here any more"
        );
        let mut functions = old.clone();
        functions.functions.insert("g".to_owned(), 1);
        assert_eq!(
            commands(Mode::Overflow, &old, &functions, &Parked::new()),
            None,
            "another function"
        );
    }
}
