//! A client roams: it keeps its interface and addresses, and its link ends at another access point.

use std::collections::HashSet;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use dfaas_control::{Happening, LinkInfo};
use dfaas_model::{Action, Link, LinkEnd, NodeKind, Plan, Topology, Transition};

use crate::error::LabError;
use crate::fault;
use crate::supervisor::lab::Lab;
use crate::supervisor::network;

/// Frames by which the switches learn where the client is now; on a lossy link not all of them arrive.
const ANNOUNCEMENTS: usize = 3;

/// A move, thought through.
#[derive(Clone)]
struct Move {
    before: Link,
    after: Link,
    /// Which end moves, and what its interface was and will be.
    ends: [LinkEnd; 2],
    topology: Topology,
    plan: Plan,
    transition: Transition,
}

impl Lab {
    /// Moves a client's only link from the node it is on to another one, and returns the link. The client keeps its
    /// address; in another network it is a guest, to which host routes lead. It has no carrier for `gap`.
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
        let moving = self.think_through(client, before, after)?;
        let (lab, step) = (Arc::clone(self), moving.clone());
        blocking(client, move || lab.unplug(&step)).await?;
        fault::step("client unplugged");
        tokio::time::sleep(gap).await;
        let (lab, step, name) = (Arc::clone(self), moving.clone(), client.to_owned());
        let info = blocking(client, move || {
            let info = lab.plug(&step)?;
            lab.become_other(step.topology, step.plan);
            if let Err(error) = lab.renew_partitions() {
                lab.warn(format!("a partition does not hold for a moved link: {error}"));
            }
            lab.announce(&name);
            Ok(info)
        })
        .await?;
        fault::step("client plugged in");
        self.tell_hosts().await;
        self.events.tell(Happening::Moved {
            client: client.to_owned(),
            from: moving.before.name,
            to: info.name.clone(),
        });
        Ok(info)
    }

    /// What the move makes of topology and plan: all addresses stay.
    fn think_through(&self, client: &str, before: Link, after: Link) -> Result<Move, LabError> {
        let (running, plan) = (self.topology(), self.plan());
        let mut topology = Topology::clone(&running).settled(&running, &plan);
        if let Some(link) = topology.links.iter_mut().find(|it| it.name == before.name) {
            link.name.clone_from(&after.name);
            link.endpoints.clone_from(&after.endpoints);
        }
        let refuse = |reason: String| LabError::Node {
            node: client.to_owned(),
            reason,
        };
        // Where its address is one of the network it is at home; elsewhere it is a guest.
        let settle = |topology: &mut Topology, is_guest: bool| {
            let interfaces = topology.nodes.get_mut(client).map(|node| &mut node.interfaces);
            for settings in interfaces.into_iter().flat_map(|it| it.values_mut()) {
                settings.is_guest = is_guest;
            }
            dfaas_model::plan(topology)
        };
        let planned = settle(&mut topology, false).or_else(|_| settle(&mut topology, true));
        let planned = planned.map_err(|error| refuse(error.line()))?;
        self.check_move(client, &topology, &planned).map_err(refuse)?;
        let moved = usize::from(before.endpoints[0].node == after.endpoints[0].node);
        let end = |plan: &Plan, link: &str| {
            let mut actions = plan.steps().map(|step| &step.action);
            actions.find_map(|action| match action {
                Action::CreateLink { link: name, ends } if name == link => Some(ends[moved].clone()),
                _ => None,
            })
        };
        let ends = [end(&plan, &before.name), end(&planned, &after.name)];
        let [Some(old), Some(new)] = ends else {
            return Err(refuse("its link is not in the plan of the lab".to_owned()));
        };
        let transition = Transition::between(&plan, &planned, &HashSet::new()).without_links();
        Ok(Move {
            before,
            after,
            ends: [old, new],
            topology,
            plan: planned,
            transition,
        })
    }

    /// A move must not cost anybody anything but the gap.
    fn check_move(&self, client: &str, topology: &Topology, planned: &Plan) -> Result<(), String> {
        let (running, plan) = (self.topology(), self.plan());
        let others = running
            .nodes
            .values()
            .filter(|node| node.kind != NodeKind::Switch);
        let lost = others.clone().find(|node| {
            node.name != client
                && running.reaches(client, &node.name)
                && !(topology.reaches(client, &node.name) && topology.reaches(&node.name, client))
        });
        if let Some(lost) = lost {
            return Err(format!(
                "there its address would be of another network, from which nothing leads to `{}`; join the two with a \
                 router, or with a link between switches",
                lost.name
            ));
        }
        let address = |plan: &Plan, node: &str| plan.node(node).and_then(|it| it.address);
        let renamed = others
            .map(|node| node.name.as_str())
            .find(|node| address(&plan, node).is_some() && address(&plan, node) != address(planned, node));
        match renamed {
            Some(node) => Err(format!(
                "`{node}` is known by its address on this link, which must stay; give it another link first in the file"
            )),
            None => Ok(()),
        }
    }

    fn unplug(&self, step: &Move) -> Result<(), LabError> {
        let plan = self.plan();
        self.with_links(&step.before.name, |links, _, network| {
            links.unplug(network, &step.before.name, &step.ends[0])?;
            let (gone, _) = network::specification(&plan, &step.transition.gone, links)?;
            Ok(network.withdraw(&gone)?)
        })
    }

    fn plug(&self, step: &Move) -> Result<LinkInfo, LabError> {
        self.with_links(&step.before.name, |links, _, network| {
            let link = [&step.before, &step.after];
            let info = links.plug(&step.topology, network, link, &step.ends[1])?;
            let (new, _) = network::specification(&step.plan, &step.transition.new, links)?;
            network.extend(&new)?;
            Ok(info)
        })
    }

    /// The client's link as it is, and as it would be at `target`.
    fn roamed(&self, client: &str, target: &str) -> Result<(Link, Link), LabError> {
        let topology = self.topology();
        let refuse = |reason: String| LabError::Node {
            node: client.to_owned(),
            reason,
        };
        let is_switch = self.known(target)?.kind == NodeKind::Switch;
        if target == client {
            return Err(refuse("it cannot be linked to itself".to_owned()));
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
        let mut after = before.clone();
        if from != target {
            after.endpoints[far].node = target.to_owned();
            after.endpoints[far].interface = free_interface(&topology, client, target, is_switch);
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
        let address = self.plan().node(client).and_then(|it| it.address);
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

/// An interface name that no link of the target has: at a switch the client's name if it fits.
fn free_interface(topology: &Topology, client: &str, target: &str, is_switch: bool) -> String {
    const LONGEST: usize = 15;
    let taken = |name: &str| {
        let mut ends = topology.links.iter().flat_map(|link| &link.endpoints);
        ends.any(|end| end.node == target && end.interface == name)
    };
    if is_switch && client.len() <= LONGEST && !taken(client) {
        return client.to_owned();
    }
    let stem = if is_switch { "port" } else { "eth" };
    let mut numbered = (0..u32::MAX).map(|number| format!("{stem}{number}"));
    numbered.find(|name| !taken(name)).unwrap_or_default()
}
