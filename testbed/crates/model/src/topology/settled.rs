//! A changed file for a lab that runs: what the lab has chosen for what stays is kept.

use std::collections::HashSet;

use super::topology::{Endpoint, Link, Topology};
use crate::plan::Plan;

impl Topology {
    /// The same topology with what a running lab has chosen for what both have: numbers of links, names and addresses of
    /// interfaces. What this topology fixes otherwise stays so. New links get numbers and interface names that nothing
    /// of the lab has. `plan` is that of `running`.
    #[must_use]
    pub fn settled(mut self, running: &Topology, plan: &Plan) -> Topology {
        let mut taken: HashSet<Endpoint> = HashSet::new();
        let mut next = running
            .links
            .iter()
            .map(|link| link.number + 1)
            .max()
            .unwrap_or(0);
        let mut new = Vec::new();
        for (place, link) in self.links.iter_mut().enumerate() {
            if let Some(old) = counterpart(running, link) {
                keep(link, old);
                taken.extend(link.endpoints.iter().cloned());
            } else {
                link.number = next;
                next += 1;
                new.push(place);
            }
        }
        let kept = taken.clone();
        for place in new {
            self.name_interfaces(place, &mut taken);
        }
        self.keep_addresses(plan, &kept);
        // A node is known by the address on its first link, so what is new comes last.
        self.links.sort_by_key(|link| link.number);
        self
    }

    fn name_interfaces(&mut self, link: usize, taken: &mut HashSet<Endpoint>) {
        for end in 0..2 {
            let peer = self.links[link].endpoints[1 - end].node.clone();
            let mut endpoint = self.links[link].endpoints[end].clone();
            let settings = self.nodes.get(&endpoint.node).map(|node| &node.interfaces);
            let is_fixed = settings.is_some_and(|settings| settings.contains_key(&endpoint.interface));
            if is_chosen(&endpoint.interface, &peer) && !is_fixed {
                endpoint = free(endpoint, taken);
            }
            taken.insert(endpoint.clone());
            self.links[link].endpoints[end] = endpoint;
        }
    }

    fn keep_addresses(&mut self, plan: &Plan, kept: &HashSet<Endpoint>) {
        for (name, node) in &mut self.nodes {
            let planned = plan.node(name).map(|planned| planned.interfaces.as_slice());
            for interface in planned.unwrap_or_default() {
                let endpoint = Endpoint {
                    node: name.clone(),
                    interface: interface.name.clone(),
                };
                if interface.addresses.is_empty() || !kept.contains(&endpoint) {
                    continue;
                }
                let own = &mut node
                    .interfaces
                    .entry(interface.name.clone())
                    .or_default()
                    .addresses;
                for address in &interface.addresses {
                    let is_v4 = address.addr().is_ipv4();
                    if !own.iter().any(|fixed| fixed.addr().is_ipv4() == is_v4) {
                        own.push(*address);
                    }
                }
            }
        }
    }
}

/// The link of the running lab that this one is, if it still joins the same two nodes.
fn counterpart<'a>(running: &'a Topology, link: &Link) -> Option<&'a Link> {
    let nodes = |link: &Link| link.endpoints.each_ref().map(|end| end.node.clone());
    let mut links = running.links.iter();
    links.find(|old| old.name == link.name && nodes(old) == nodes(link))
}

fn keep(link: &mut Link, old: &Link) {
    link.number = old.number;
    let peers = [1, 0].map(|other: usize| link.endpoints[other].node.clone());
    for ((end, old), peer) in link.endpoints.iter_mut().zip(&old.endpoints).zip(&peers) {
        if is_chosen(&end.interface, peer) {
            end.interface.clone_from(&old.interface);
        }
    }
}

/// Whether a name is one of those that interfaces get when the file names none.
fn is_chosen(name: &str, peer: &str) -> bool {
    let numbered = |stem| {
        let number: Option<&str> = name.strip_prefix(stem);
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    name == peer || numbered("eth") || numbered("port")
}

fn free(wanted: Endpoint, taken: &HashSet<Endpoint>) -> Endpoint {
    if !taken.contains(&wanted) {
        return wanted;
    }
    let stem = if wanted.interface.starts_with("eth") {
        "eth"
    } else {
        "port"
    };
    let mut numbered = (0..u32::MAX).map(|number| Endpoint {
        node: wanted.node.clone(),
        interface: format!("{stem}{number}"),
    });
    let found = numbered.find(|candidate| !taken.contains(candidate));
    found.unwrap_or(wanted)
}
