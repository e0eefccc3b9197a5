//! From the plan's network steps to one batch for the kernel.

use std::collections::{BTreeMap, HashMap};

use dfaas_model::{Action, Plan};
use dfaas_netns::{
    AddressSpec, NamespaceRole, NamespaceSpec, NearEnd, NeighbourSpec, NetworkSpec, RouteSpec, VethSpec,
};

use crate::error::LabError;
use crate::supervisor::links::Links;

/// The reserved name of the namespace in which all links of a lab meet.
pub(crate) const WIRE_NAMESPACE: &str = "wire";

/// The midpoint interfaces of a link in the wire namespace, first end first.
pub(crate) type Midpoints = BTreeMap<String, [String; 2]>;

/// Collects every network step of the plan. `links` says which links need whole frames cut up at the node's end.
pub(crate) fn specification(plan: &Plan, links: &Links) -> Result<(NetworkSpec, Midpoints), LabError> {
    let mut spec = NetworkSpec::default();
    let mut index = HashMap::new();
    let mut midpoints = Midpoints::new();
    for step in plan.steps() {
        match &step.action {
            Action::CreateNamespace {
                namespace,
                forward,
                bridge,
            } => {
                let role = match (namespace.as_str(), bridge) {
                    (WIRE_NAMESPACE, _) => NamespaceRole::Wire,
                    (_, true) => NamespaceRole::Switch,
                    (_, false) => NamespaceRole::Node { forward: *forward },
                };
                index.insert(namespace.clone(), spec.namespaces.len());
                spec.namespaces.push(NamespaceSpec {
                    name: namespace.clone(),
                    role,
                });
            }
            Action::CreateLink { link, ends } => {
                let offload = links.segmentation_offload(link);
                let wire = namespace_of(&index, WIRE_NAMESPACE)?;
                for end in ends {
                    spec.links.push(VethSpec {
                        near: NearEnd {
                            namespace: namespace_of(&index, &end.namespace)?,
                            interface: end.interface.clone(),
                            mac: end.mac,
                            mtu: end.mtu,
                            bridge_port: end.bridge_port,
                            segmentation_offload: offload,
                        },
                        wire,
                        midpoint: end.midpoint.clone(),
                    });
                }
                midpoints.insert(link.clone(), ends.each_ref().map(|end| end.midpoint.clone()));
            }
            Action::AddAddress {
                namespace,
                interface,
                address,
            } => spec.addresses.push(AddressSpec {
                namespace: namespace_of(&index, namespace)?,
                interface: interface.clone(),
                address: *address,
            }),
            Action::AddRoute {
                namespace,
                destination,
                via,
            } => spec.routes.push(RouteSpec {
                namespace: namespace_of(&index, namespace)?,
                destination: *destination,
                via: *via,
            }),
            Action::AddNeighbour {
                namespace,
                interface,
                address,
                mac,
            } => spec.neighbours.push(NeighbourSpec {
                namespace: namespace_of(&index, namespace)?,
                interface: interface.clone(),
                address: *address,
                mac: *mac,
            }),
            _ => {}
        }
    }
    Ok((spec, midpoints))
}

fn namespace_of(index: &HashMap<String, usize>, name: &str) -> Result<usize, LabError> {
    index.get(name).copied().ok_or_else(|| LabError::Node {
        node: name.to_owned(),
        reason: "the plan uses its namespace before creating it".to_owned(),
    })
}
