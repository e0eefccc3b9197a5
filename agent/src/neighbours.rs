//! Which of the connected agents this node exchanges load with.

mod on_link;

use crate::config::Neighbours;
use crate::p2p::Link;
use crate::strategy::{NodeId, Peer};
use on_link::OnLink;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A neighbour within a latency bound stays one until it is this much farther away: a round trip time that varies
/// around the bound must not switch forwarding on and off.
const STAY: f64 = 1.1;

/// The neighbours among `connected`, with what is known of their links.
pub(crate) fn choose(
    rule: &Neighbours,
    connected: &BTreeSet<NodeId>,
    links: &BTreeMap<NodeId, Link>,
    before: &BTreeMap<NodeId, Peer>,
) -> BTreeMap<NodeId, Peer> {
    let on_link = match rule {
        Neighbours::Linked => OnLink::read(),
        _ => OnLink::default(),
    };
    let chosen = |peer: &NodeId, link: &Link| match rule {
        Neighbours::All => true,
        Neighbours::Listed(listed) => listed.contains(peer),
        Neighbours::Linked => link.address.is_some_and(|address| on_link.reaches(address)),
        Neighbours::Within(bound) => link
            .round_trip
            .is_some_and(|time| time <= bound_for(*bound, before.contains_key(peer))),
    };
    connected
        .iter()
        .filter_map(|peer| {
            let link = links.get(peer).copied().unwrap_or_default();
            let known = Peer {
                address: link.address,
                round_trip: link.round_trip,
            };
            chosen(peer, &link).then(|| (peer.clone(), known))
        })
        .collect()
}

fn bound_for(bound: Duration, is_neighbour: bool) -> Duration {
    if is_neighbour {
        Duration::try_from_secs_f64(bound.as_secs_f64() * STAY).unwrap_or(bound)
    } else {
        bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(round_trips: &[(&str, Option<u64>)]) -> BTreeMap<NodeId, Link> {
        let link = |time: &Option<u64>| Link {
            address: None,
            round_trip: time.map(Duration::from_millis),
        };
        round_trips
            .iter()
            .map(|(peer, time)| ((*peer).to_owned(), link(time)))
            .collect()
    }

    fn names(neighbours: &BTreeMap<NodeId, Peer>) -> Vec<&str> {
        neighbours.keys().map(String::as_str).collect()
    }

    #[test]
    fn by_list_and_by_round_trip() {
        let links = links(&[("a", Some(5)), ("b", Some(50)), ("c", None)]);
        let connected: BTreeSet<NodeId> = ["a", "b", "c"].map(str::to_owned).into();
        let choose = |rule: &Neighbours, before| choose(rule, &connected, &links, before);
        let nobody = BTreeMap::new();
        assert_eq!(names(&choose(&Neighbours::All, &nobody)), ["a", "b", "c"]);
        let listed = Neighbours::Listed(["b", "z"].map(str::to_owned).into());
        assert_eq!(names(&choose(&listed, &nobody)), ["b"], "z is not connected");
        let near = choose(&Neighbours::Within(Duration::from_millis(47)), &nobody);
        assert_eq!(names(&near), ["a"], "c was never measured");
        let both = choose(&Neighbours::Within(Duration::from_millis(50)), &nobody);
        assert_eq!(names(&both), ["a", "b"]);
        let still = choose(&Neighbours::Within(Duration::from_millis(47)), &both);
        assert_eq!(
            names(&still),
            ["a", "b"],
            "a little farther is no reason to leave"
        );
    }
}
