//! Taking back, in a running network, what a description has.

use crate::error::NetnsError;
use crate::message;
use crate::netlink::Request;
use crate::network::Network;
use crate::spec::{BRIDGE, NetworkSpec};

/// What the kernel says of something that is not there: it went with its interface, or somebody in the node removed it.
const NOT_THERE: [i32; 4] = [libc::ENOENT, libc::ESRCH, libc::ENODEV, libc::EADDRNOTAVAIL];

impl Network {
    /// Removes the routes, neighbours, forwarding entries, addresses and links of a description. Its namespaces stay
    /// ([`Network::remove_namespace`]); what is not there any more is passed over.
    ///
    /// # Errors
    ///
    /// When a namespace does not exist, or the kernel refuses a step; the others are done all the same.
    pub fn withdraw(&self, spec: &NetworkSpec) -> Result<(), NetnsError> {
        let mut first: Result<(), NetnsError> = Ok(());
        let mut keep = |result: Result<(), NetnsError>| {
            if first.is_ok() {
                first = result;
            }
        };
        let name = |namespace: usize| spec.namespaces.get(namespace).map_or("", |it| it.name.as_str());
        for item in &spec.routes {
            let request = message::remove_route(item.destination, item.via);
            keep(self.withdraw_one(name(item.namespace), &request));
        }
        for item in &spec.direct_routes {
            if let Some(index) = self.interface_index(name(item.namespace), &item.interface) {
                let request = message::remove_direct_route(index, &item.interface, item.destination);
                keep(self.withdraw_one(name(item.namespace), &request));
            }
        }
        for item in &spec.neighbours {
            if let Some(index) = self.interface_index(name(item.namespace), &item.interface) {
                let request = message::remove_neighbour(index, &item.interface, item.address);
                keep(self.withdraw_one(name(item.namespace), &request));
            }
        }
        for item in &spec.forwarding {
            if let Some(index) = self.interface_index(name(item.namespace), &item.interface) {
                let request = message::remove_forwarding(index, &item.interface, item.mac);
                keep(self.withdraw_one(name(item.namespace), &request));
            }
            let bridge = self.interface_index(name(item.namespace), BRIDGE);
            if let (Some(bridge), Some(address)) = (bridge, item.answers_for) {
                let request = message::remove_neighbour(bridge, BRIDGE, address.into());
                keep(self.withdraw_one(name(item.namespace), &request));
            }
        }
        for item in &spec.addresses {
            if let Some(index) = self.interface_index(name(item.namespace), &item.interface) {
                let request = message::remove_address(index, &item.interface, item.address);
                keep(self.withdraw_one(name(item.namespace), &request));
            }
        }
        for link in &spec.links {
            let near = (name(link.near.namespace), link.near.interface.as_str());
            let far = (name(link.wire), link.midpoint.as_str());
            keep(tolerated(self.remove_veth(near, far)));
        }
        first
    }

    fn withdraw_one(&self, namespace: &str, request: &Request) -> Result<(), NetnsError> {
        let (_, found) = self.find(namespace)?;
        tolerated(found.netlink().execute(std::slice::from_ref(request)))
    }
}

fn tolerated(result: Result<(), NetnsError>) -> Result<(), NetnsError> {
    match result {
        Err(NetnsError::Refused { errno, .. }) if NOT_THERE.contains(&errno) => Ok(()),
        Err(NetnsError::UnknownInterface { .. }) => Ok(()),
        other => other,
    }
}
