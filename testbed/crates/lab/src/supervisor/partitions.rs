//! Partitions: nodes of different groups do not reach each other, over whatever path.
//!
//! A packet between two of them is dropped at the last step of its way, where the link to its receiver leaves the wire
//! namespace: there it still has the address of its sender, however many switches and routers it has crossed. So only
//! what passes between the groups is dropped, also where both sides share a switch, or where one is a router for the
//! other's neighbours; and it does not matter who carries the link.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Mutex;

use dfaas_control::{Happening, Partition};
use dfaas_model::NodeKind;
use dfaas_netns::{Block, Midpoint};

use crate::error::LabError;
use crate::supervisor::lab::{Lab, lock};
use crate::supervisor::network::WIRE_NAMESPACE;

/// What is cut now.
#[derive(Debug, Default)]
pub(crate) struct Partitions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    in_force: Vec<Partition>,
    /// What each node does not hear any more; nodes that hear all are not in it.
    silenced: BTreeMap<String, BTreeSet<String>>,
}

impl Partitions {
    /// In the order they were made.
    pub(crate) fn in_force(&self) -> Vec<Partition> {
        lock(&self.0).in_force.clone()
    }
}

impl Lab {
    /// Cuts every path between the groups and returns what is in force. Blocks while the kernel works.
    pub(crate) fn partition(&self, partition: Partition) -> Result<Vec<Partition>, LabError> {
        self.must_be_there()?;
        self.check_groups(&partition)?;
        let mut state = lock(&self.partitions.0);
        let mut wanted = state.in_force.clone();
        if !wanted.contains(&partition) {
            wanted.push(partition.clone());
            self.cut(&mut state, wanted)?;
            let groups = partition.groups;
            self.events.tell(Happening::Partition { groups });
        }
        Ok(state.in_force.clone())
    }

    /// Ends a partition, or all, and returns what is still in force. Blocks while the kernel works.
    pub(crate) fn heal(&self, partition: Option<&Partition>) -> Result<Vec<Partition>, LabError> {
        self.must_be_there()?;
        let mut state = lock(&self.partitions.0);
        let (healed, wanted): (Vec<Partition>, Vec<Partition>) = state
            .in_force
            .clone()
            .into_iter()
            .partition(|it| partition.is_none_or(|one| one == it));
        self.cut(&mut state, wanted)?;
        for partition in healed {
            let groups = partition.groups;
            self.events.tell(Happening::Heal { groups });
        }
        Ok(state.in_force.clone())
    }

    /// Brings what is in force to interfaces that are new. Blocks while the kernel works.
    pub(crate) fn renew_partitions(&self) -> Result<(), LabError> {
        let state = lock(&self.partitions.0);
        let mut silenced = state.silenced.iter();
        silenced.try_for_each(|(node, others)| self.silence(node, Some(others)))
    }

    /// The partition that names a node, if there is one.
    pub(crate) fn partition_with(&self, node: &str) -> Option<Partition> {
        let mut in_force = self.partitions.in_force().into_iter();
        let names = |partition: &Partition| partition.groups.iter().flatten().any(|it| it == node);
        in_force.find(names)
    }

    fn check_groups(&self, partition: &Partition) -> Result<(), LabError> {
        let groups = &partition.groups;
        if groups.len() < 2 || groups.iter().any(Vec::is_empty) {
            let message = "a partition has two groups of nodes or more, none of them empty";
            return Err(LabError::Setting(message.to_owned()));
        }
        let mut seen = BTreeSet::new();
        for name in groups.iter().flatten() {
            if self.known(name)?.kind == NodeKind::Switch {
                return Err(LabError::Setting(format!(
                    "node `{name}` is a switch, which has no address; name the nodes behind it instead"
                )));
            }
            if !seen.insert(name) {
                return Err(LabError::Setting(format!(
                    "node `{name}` is in the partition twice"
                )));
            }
        }
        Ok(())
    }

    /// Brings what is dropped from what it is to what `wanted` needs; back again if the kernel refuses a part of it.
    fn cut(&self, state: &mut State, wanted: Vec<Partition>) -> Result<(), LabError> {
        let silenced = silenced(&wanted);
        let changed: BTreeSet<String> = state
            .silenced
            .keys()
            .chain(silenced.keys())
            .filter(|node| state.silenced.get(*node) != silenced.get(*node))
            .cloned()
            .collect();
        for node in &changed {
            if let Err(error) = self.silence(node, silenced.get(node)) {
                for node in &changed {
                    if let Err(error) = self.silence(node, state.silenced.get(node)) {
                        self.warn(format!("a partition is left half done: {error}"));
                    }
                }
                return Err(error);
            }
        }
        (state.in_force, state.silenced) = (wanted, silenced);
        Ok(())
    }

    /// Lets a node hear all but `others`.
    fn silence(&self, node: &str, others: Option<&BTreeSet<String>>) -> Result<(), LabError> {
        let network = self.network().ok_or_else(|| LabError::Node {
            node: node.to_owned(),
            reason: "the lab has no network".to_owned(),
        })?;
        let block = Block {
            senders: others
                .into_iter()
                .flatten()
                .flat_map(|other| self.addresses(other))
                .collect(),
            receivers: self.addresses(node),
        };
        for link in &self.topology().links {
            let Some(midpoints) = self.midpoints(&link.name) else {
                continue;
            };
            for (end, interface) in link.endpoints.iter().zip(&midpoints) {
                if end.node == node {
                    let midpoint = Midpoint {
                        namespace: WIRE_NAMESPACE,
                        interface,
                    };
                    network.block(midpoint, &block)?;
                }
            }
        }
        Ok(())
    }

    fn addresses(&self, node: &str) -> Vec<IpAddr> {
        let plan = self.plan();
        let planned = plan.node(node);
        let interfaces = planned.map(|it| it.interfaces.as_slice()).unwrap_or_default();
        let addresses = interfaces.iter().flat_map(|it| &it.addresses);
        addresses.map(|address| address.addr()).collect()
    }
}

/// For every node in a partition the nodes of the other groups.
fn silenced(partitions: &[Partition]) -> BTreeMap<String, BTreeSet<String>> {
    let mut silenced: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for partition in partitions {
        for (number, group) in partition.groups.iter().enumerate() {
            let others = partition.groups.iter().enumerate();
            let others = others.filter(|(other, _)| *other != number);
            let others: Vec<&String> = others.flat_map(|(_, group)| group).collect();
            for node in group {
                let entry = silenced.entry(node.clone()).or_default();
                entry.extend(others.iter().map(|other| (*other).clone()));
            }
        }
    }
    silenced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(text: &str) -> Partition {
        let group = |group: &str| group.split_whitespace().map(str::to_owned).collect();
        Partition {
            groups: text.split('/').map(group).collect(),
        }
    }

    fn hears_not(silenced: &BTreeMap<String, BTreeSet<String>>, node: &str) -> String {
        let others: Vec<&str> = silenced
            .get(node)
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        others.join(" ")
    }

    #[test]
    fn only_pairs_of_different_groups_are_cut() {
        let silenced = silenced(&[partition("a b / c / d"), partition("e / a")]);
        assert_eq!(hears_not(&silenced, "a"), "c d e");
        assert_eq!(hears_not(&silenced, "b"), "c d");
        assert_eq!(hears_not(&silenced, "c"), "a b d");
        assert_eq!(hears_not(&silenced, "e"), "a");
        assert_eq!(hears_not(&silenced, "f"), "");
    }
}
