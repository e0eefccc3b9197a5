//! Peers' servers: adding, parking and weighing them while HAProxy runs.

use super::model::Desired;
use super::render::{SERVER_CHECK, backend_name, server_name};
use crate::strategy::{NodeId, PeerAddress};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Runtime API commands that turn the servers of `old` into those of `new`. Nothing when only a reload can: other
/// functions, a peer that moved, or one that comes back (a server that had connections cannot be deleted, so those that
/// go are only taken out of use).
pub(super) fn commands(old: &Desired, new: &Desired, parked: &BTreeSet<NodeId>) -> Option<Vec<String>> {
    let moved =
        |(peer, address): (&NodeId, PeerAddress)| old.server(peer).is_some_and(|before| before != address);
    let back = |(peer, _): (&NodeId, _)| old.server(peer).is_none() && parked.contains(peer);
    if !new.has_backends_of(old) || new.servers().any(moved) || new.servers().any(back) {
        return None;
    }
    let mut commands = Vec::new();
    for function in new.forwardable() {
        let backend = backend_name(function);
        for peer in gone(old, new) {
            commands.push(format!("set server {backend}/{} state maint", server_name(peer)));
        }
        for (peer, address) in new.servers() {
            let (server, weight) = (
                format!("{backend}/{}", server_name(peer)),
                new.weight(function, peer),
            );
            if old.server(peer).is_none() {
                let address = SocketAddr::new(address.host, address.port);
                commands.push(format!(
                    "add server {server} {address} weight {weight} {SERVER_CHECK}"
                ));
                commands.push(format!("enable server {server}"));
                commands.push(format!("enable health {server}"));
            } else if weight != old.weight(function, peer) {
                commands.push(format!("set server {server} weight {weight}"));
            }
        }
    }
    Some(commands)
}

/// Peers that have been taken out of use by those commands.
pub(super) fn parked(old: &Desired, new: &Desired) -> Vec<NodeId> {
    gone(old, new).cloned().collect()
}

fn gone<'a>(old: &'a Desired, new: &'a Desired) -> impl Iterator<Item = &'a NodeId> {
    old.servers()
        .map(|(peer, _)| peer)
        .filter(|peer| new.server(peer).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
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
        assert_eq!(commands(&old, &new, &BTreeSet::new()).unwrap(), expected);
        assert_eq!(parked(&old, &new), ["a"]);
        assert!(commands(&old, &old, &BTreeSet::new()).unwrap().is_empty());
    }

    #[test]
    fn what_only_a_reload_can_do() {
        let old = state(&[("a", 1, 0)]);
        assert_eq!(
            commands(&old, &state(&[("a", 9, 0)]), &BTreeSet::new()),
            None,
            "moved"
        );
        let both = state(&[("a", 1, 0), ("b", 2, 0)]);
        assert_eq!(
            commands(&old, &both, &BTreeSet::from(["b".to_owned()])),
            None,
            "came back"
        );
        let mut functions = old.clone();
        functions.functions.insert("g".to_owned(), 1);
        assert_eq!(
            commands(&old, &functions, &BTreeSet::new()),
            None,
            "another function"
        );
    }
}
