//! From the plan's network steps to one batch for the kernel.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dfaas_model::{Action, Link, Plan, Topology};
use dfaas_netns::{
    AddressSpec, DirectRouteSpec, ForwardingSpec, KernelFeatures, NamespaceRole, NamespaceSpec, NearEnd,
    NeighbourSpec, Network, NetworkSpec, RouteSpec, VethSpec,
};

use crate::error::LabError;
use crate::fault;
use crate::supervisor::containers::ContainerNode;
use crate::supervisor::links::Links;

/// The reserved name of the namespace in which all links of a lab meet.
pub(crate) const WIRE_NAMESPACE: &str = "wire";

/// The midpoint interfaces of a link in the wire namespace, first end first.
pub(crate) type Midpoints = BTreeMap<String, [String; 2]>;

/// Collects network steps: all of a plan, or those of a change. The namespaces are those of the plan, whether they are there
/// or not. `links` says which links need whole frames cut up at the node's end.
pub(crate) fn specification<'a>(
    plan: &'a Plan,
    actions: impl IntoIterator<Item = &'a Action>,
    links: &Links,
) -> Result<(NetworkSpec, Midpoints), LabError> {
    let mut spec = NetworkSpec::default();
    let mut index = HashMap::new();
    let mut midpoints = Midpoints::new();
    for step in plan.steps() {
        if let Action::CreateNamespace {
            namespace,
            forward,
            bridge,
        } = &step.action
        {
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
    }
    for action in actions {
        match action {
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
            Action::AddDirectRoute {
                namespace,
                interface,
                destination,
            } => spec.direct_routes.push(DirectRouteSpec {
                namespace: namespace_of(&index, namespace)?,
                interface: interface.clone(),
                destination: *destination,
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
            Action::AddForwarding {
                namespace,
                interface,
                mac,
                answers_for,
            } => spec.forwarding.push(ForwardingSpec {
                namespace: namespace_of(&index, namespace)?,
                interface: interface.clone(),
                mac: *mac,
                answers_for: *answers_for,
            }),
            _ => {}
        }
    }
    Ok((spec, midpoints))
}

/// Makes the whole network of a plan and hands its links to their carriers.
pub(crate) fn build(
    topology: &Topology,
    plan: &Plan,
    features: KernelFeatures,
    containers: &[Arc<ContainerNode>],
) -> Result<(Network, Links), LabError> {
    let mut links = Links::new(features);
    links.choose(&topology.links)?;
    let actions = plan.steps().map(|step| &step.action);
    let (mut specification, midpoints) = specification(plan, actions, &links)?;
    adopt(&mut specification, containers);
    let network = Network::create(&specification)?;
    fault::step("network created");
    let all: Vec<&Link> = topology.links.iter().collect();
    links.attach(topology, &network, midpoints, &all)?;
    fault::step("links attached");
    Ok((network, links))
}

/// Puts the networks of containers in the place of namespaces that would be made.
pub(crate) fn adopt(specification: &mut NetworkSpec, containers: &[Arc<ContainerNode>]) {
    for container in containers {
        let mut namespaces = specification.namespaces.iter();
        let position = namespaces.position(|it| it.name == container.name());
        specification
            .adopted
            .extend(position.map(|position| (position, container.network())));
    }
}

fn namespace_of(index: &HashMap<String, usize>, name: &str) -> Result<usize, LabError> {
    index.get(name).copied().ok_or_else(|| LabError::Node {
        node: name.to_owned(),
        reason: "the plan uses its namespace before creating it".to_owned(),
    })
}
