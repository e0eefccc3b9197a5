//! Ways into nodes and out of the lab that cross no link, opened and closed.

use std::sync::Arc;

use dfaas_model::{Change, Node, PortMapping, Topology, Uplink};

use crate::error::LabError;
use crate::supervisor::lab::Lab;
use crate::supervisor::splice::{BoundPort, OpenUplink};
use crate::supervisor::tasks;

/// One way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Door {
    Port(PortMapping),
    Uplink(Uplink),
}

impl Door {
    /// What tells it apart from the other doors of its node.
    fn part(&self) -> String {
        match self {
            Door::Port(port) => format!("port {port}"),
            Door::Uplink(uplink) => format!("uplink {uplink}"),
        }
    }
}

/// Binds the published ports: a taken one is the cheapest failure, so it comes first.
pub(crate) async fn bind_ports(nodes: &[&Node]) -> Result<Vec<BoundPort>, LabError> {
    let mut bound = Vec::new();
    for node in nodes {
        for port in &node.ports {
            bound.push(BoundPort::bind(&node.name, port).await?);
        }
    }
    Ok(bound)
}

/// Opens the ways into nodes and out of the lab, before anything runs that may want to use them.
pub(crate) async fn open_all(lab: &Lab, nodes: &[&Node], ports: Vec<BoundPort>) -> Result<(), LabError> {
    let Some(network) = lab.network() else {
        return Ok(()); // the lab is being taken down
    };
    for port in ports {
        let (owner, part) = (
            tasks::of_node(&port.node),
            Door::Port(port.mapping.clone()).part(),
        );
        lab.tasks.spawn(&owner, &part, port.serve(Arc::clone(&network)));
    }
    for node in nodes {
        for uplink in &node.uplink {
            open(lab, &node.name, &Door::Uplink(uplink.clone())).await?;
        }
    }
    Ok(())
}

async fn open(lab: &Lab, node: &str, door: &Door) -> Result<(), LabError> {
    let Some(network) = lab.network() else {
        return Ok(()); // the lab is being taken down
    };
    let (owner, part) = (tasks::of_node(node), door.part());
    match door {
        Door::Port(port) => {
            let bound = BoundPort::bind(node, port).await?;
            lab.tasks.spawn(&owner, &part, bound.serve(network));
        }
        Door::Uplink(uplink) => {
            let open = OpenUplink::open(&network, node, uplink).await?;
            lab.tasks.spawn(&owner, &part, open.serve());
        }
    }
    Ok(())
}

/// A door and the node it belongs to.
type Placed<'a> = (&'a str, Door);

/// The doors that changes close, and those that they open.
fn differences(changes: &[Change]) -> [Vec<Placed<'_>>; 2] {
    let [mut gone, mut new] = [Vec::new(), Vec::new()];
    for change in changes {
        let (node, [before, after]): (&String, [Vec<Door>; 2]) = match change {
            Change::Ports { node, ports } => {
                let doors = |ports: &[PortMapping]| ports.iter().cloned().map(Door::Port).collect();
                (node, ports.each_ref().map(|it| doors(it)))
            }
            Change::Uplink { node, uplink } => {
                let doors = |uplink: &[Uplink]| uplink.iter().cloned().map(Door::Uplink).collect();
                (node, uplink.each_ref().map(|it| doors(it)))
            }
            _ => continue,
        };
        let only = |of: &[Door], not: &[Door]| -> Vec<Placed<'_>> {
            let doors = of.iter().filter(|door| !not.contains(door));
            doors.map(|door| (node.as_str(), door.clone())).collect()
        };
        gone.extend(only(&before, &after));
        new.extend(only(&after, &before));
    }
    [gone, new]
}

impl Lab {
    /// Closes and opens what the changes say. All that go come first, as another may take a port over; if one cannot be
    /// opened, all is as before. Connections under way go on.
    pub(crate) async fn change_doors(&self, changes: &[Change], wanted: &Topology) -> Result<(), LabError> {
        let [gone, new] = differences(changes);
        self.close_doors(&gone).await;
        if let Err(error) = self.open_doors(&new).await {
            self.close_doors(&new).await;
            if let Err(error) = self.open_doors(&gone).await {
                self.warn(format!("what was closed could not be opened again: {error}"));
            }
            return Err(error);
        }
        self.change_topology(|topology| {
            for (name, node) in &mut topology.nodes {
                if let Some(wanted) = wanted.nodes.get(name) {
                    (node.ports, node.uplink) = (wanted.ports.clone(), wanted.uplink.clone());
                }
            }
        });
        Ok(())
    }

    async fn open_doors(&self, doors: &[Placed<'_>]) -> Result<(), LabError> {
        for (node, door) in doors {
            open(self, node, door).await?;
        }
        Ok(())
    }

    async fn close_doors(&self, doors: &[Placed<'_>]) {
        for (node, door) in doors {
            self.tasks.end_part(&tasks::of_node(node), &door.part()).await;
        }
    }
}
