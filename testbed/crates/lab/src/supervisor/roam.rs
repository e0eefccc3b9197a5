//! A client roams: it keeps its interface and address, and its link ends at another access point.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use dfaas_control::{Happening, LinkInfo};
use dfaas_model::{Link, NodeKind, Topology};

use crate::error::LabError;
use crate::supervisor::lab::Lab;

/// Frames by which the switches learn where the client is now; on a lossy link not all of them arrive.
const ANNOUNCEMENTS: usize = 3;

impl Lab {
    /// Moves a client's only link from the switch it is on to another one of the same network, and returns the link. The
    /// client has no carrier for `gap`.
    pub(crate) async fn roam(
        self: &Arc<Self>,
        client: &str,
        target: &str,
        gap: Duration,
    ) -> Result<LinkInfo, LabError> {
        self.must_be_there()?;
        let _turn = self.applying.lock().await; // whatever changes the topology comes one after the other
        let (before, after) = self.roamed(client, target)?;
        if before.endpoints == after.endpoints {
            return self.link(&before.name);
        }
        let (lab, old, new) = (Arc::clone(self), before.clone(), after.clone());
        blocking(client, move || {
            lab.with_links(&old.name, |links, _, network| links.unplug(network, &old, &new))
        })
        .await?;
        tokio::time::sleep(gap).await;
        let (lab, old, new, name) = (Arc::clone(self), before.clone(), after.clone(), client.to_owned());
        let info = blocking(client, move || {
            let info = lab.with_links(&old.name, |links, topology, network| {
                links.plug(topology, network, &old, &new)
            })?;
            lab.change_topology(|topology| {
                if let Some(link) = topology.links.iter_mut().find(|it| it.name == old.name) {
                    *link = new;
                }
            });
            lab.announce(&name);
            Ok(info)
        })
        .await?;
        self.events.tell(Happening::Moved {
            client: client.to_owned(),
            from: before.name,
            to: info.name.clone(),
        });
        Ok(info)
    }

    /// The client's link as it is, and as it would be at `target`.
    fn roamed(&self, client: &str, target: &str) -> Result<(Link, Link), LabError> {
        let topology = self.topology();
        let refuse = |reason: String| LabError::Node {
            node: client.to_owned(),
            reason,
        };
        if self.known(target)?.kind != NodeKind::Switch {
            return Err(refuse(format!(
                "it can move from switch to switch only, and `{target}` is none: elsewhere its address would not be \
                 of the network"
            )));
        }
        if self.known(client)?.kind == NodeKind::Switch {
            return Err(refuse("it is a switch, which cannot move".to_owned()));
        }
        let own: Vec<&Link> = topology
            .links
            .iter()
            .filter(|link| link.endpoints.iter().any(|end| end.node == client))
            .collect();
        let &[before] = own.as_slice() else {
            return Err(refuse(format!("it has {} links; one can move", own.len())));
        };
        let far = usize::from(before.endpoints[0].node == client);
        let from = &before.endpoints[far].node;
        if !same_network(&topology, from, target) {
            return Err(refuse(format!(
                "`{target}` is on another network than `{from}`, where its address would not be reachable; join the \
                 two with a link between switches"
            )));
        }
        let mut after = before.clone();
        if from != target {
            after.endpoints[far].node = target.to_owned();
            after.endpoints[far].interface = free_port(&topology, client, target);
            let [a, b] = before.endpoints.each_ref().map(|end| end.node.as_str());
            if before.name == format!("{a}--{b}") {
                let [a, b] = after.endpoints.each_ref().map(|end| end.node.as_str());
                after.name = format!("{a}--{b}");
            }
        }
        Ok((before.clone(), after))
    }

    /// Sends broadcast frames from the client, so that every switch learns the way to it. What cannot be sent is learnt
    /// with the client's own next packet.
    fn announce(&self, client: &str) {
        let address = self.request.plan.node(client).and_then(|it| it.address);
        let (Some(network), Some(address)) = (self.network(), address) else {
            return;
        };
        let sent = network.enter(client, move || send_broadcast(address));
        if let Ok(Err(error)) = sent {
            tracing::debug!(client, %error, "a moved client could not announce itself");
        }
    }
}

fn send_broadcast(from: IpAddr) -> std::io::Result<()> {
    const DISCARD: u16 = 9;
    let socket = UdpSocket::bind((from, 0))?;
    socket.set_broadcast(true)?;
    for _ in 0..ANNOUNCEMENTS {
        socket.send_to(&[], ("255.255.255.255", DISCARD))?;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    client: &str,
    work: impl FnOnce() -> Result<T, LabError> + Send + 'static,
) -> Result<T, LabError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(LabError::Node {
            node: client.to_owned(),
            reason: error.to_string(),
        })
    })
}

/// Whether switches alone join the two.
fn same_network(topology: &Topology, from: &str, to: &str) -> bool {
    let is_switch = |name: &str| {
        topology
            .nodes
            .get(name)
            .is_some_and(|node| node.kind == NodeKind::Switch)
    };
    let mut reached = vec![from];
    let mut next = 0;
    while let Some(here) = reached.get(next).copied() {
        next += 1;
        for link in &topology.links {
            let [a, b] = link.endpoints.each_ref().map(|end| end.node.as_str());
            for (near, far) in [(a, b), (b, a)] {
                if near == here && is_switch(far) && !reached.contains(&far) {
                    reached.push(far);
                }
            }
        }
    }
    reached.contains(&to)
}

/// A port name of the switch that no link has: the client's name if it fits.
fn free_port(topology: &Topology, client: &str, switch: &str) -> String {
    const LONGEST: usize = 15;
    let taken = |name: &str| {
        let mut ends = topology.links.iter().flat_map(|link| &link.endpoints);
        ends.any(|end| end.node == switch && end.interface == name)
    };
    let mut numbered = (0..u32::MAX).map(|number| format!("port{number}"));
    if client.len() <= LONGEST && !taken(client) {
        return client.to_owned();
    }
    numbered.find(|name| !taken(name)).unwrap_or_default()
}
