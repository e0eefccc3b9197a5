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

/// What a change has closed and opened.
pub(crate) struct ChangedDoors<'a> {
    gone: Vec<Placed<'a>>,
    new: Vec<Placed<'a>>,
}

/// All doors of a node.
fn doors_of(node: &Node) -> Vec<Door> {
    let ports = node.ports.iter().cloned().map(Door::Port);
    ports
        .chain(node.uplink.iter().cloned().map(Door::Uplink))
        .collect()
}

/// The doors that changes close, and those that they open. A node that goes closes all it has; what is new opens its own
/// when it is made.
fn differences<'a>(changes: &'a [Change], running: &Topology) -> [Vec<Placed<'a>>; 2] {
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
            Change::RemoveNode { node } => {
                let doors = running.nodes.get(node).map(doors_of);
                (node, [doors.unwrap_or_default(), Vec::new()])
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
    /// Closes and opens what the changes say, and returns it. All that go come first, as another may take a port over; if
    /// one cannot be opened, all is as before. Connections under way go on.
    pub(crate) async fn change_doors<'a>(
        &self,
        changes: &'a [Change],
        running: &Topology,
        wanted: &Topology,
    ) -> Result<ChangedDoors<'a>, LabError> {
        let [gone, new] = differences(changes, running);
        self.close_doors(&gone).await;
        let opened = self.open_doors(&new).await;
        let doors = ChangedDoors { gone, new };
        match opened {
            Ok(()) => self.have_doors_of(wanted),
            Err(error) => {
                self.take_doors_back(&doors, running).await;
                return Err(error);
            }
        }
        Ok(doors)
    }

    /// Opens again what was closed, and closes what was opened.
    pub(crate) async fn take_doors_back(&self, doors: &ChangedDoors<'_>, before: &Topology) {
        self.close_doors(&doors.new).await;
        if let Err(error) = self.open_doors(&doors.gone).await {
            self.warn(format!("what was closed could not be opened again: {error}"));
        }
        self.have_doors_of(before);
    }

    fn have_doors_of(&self, other: &Topology) {
        self.change_topology(|topology| {
            for (name, node) in &mut topology.nodes {
                if let Some(other) = other.nodes.get(name) {
                    (node.ports, node.uplink) = (other.ports.clone(), other.uplink.clone());
                }
            }
        });
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
