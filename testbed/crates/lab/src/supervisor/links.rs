//! The links of a lab: who impairs each of them, what they do now, and changing that while packets flow.

mod carrier;

use std::collections::{BTreeMap, HashMap};

use dfaas_control::{LinkChange, LinkEndInfo, LinkInfo};
use dfaas_model::{Backend, Contradiction, Impairment, Link, LinkEnd, Topology};
use dfaas_netns::{KernelFeatures, Midpoint, NearEnd, Network, NewVeth};
use dfaas_wire::{Direction, Engine, LinkSpec, LinkStatistics, Scheduling};

use crate::error::LabError;
use crate::supervisor::network::{Midpoints, WIRE_NAMESPACE};
use crate::supervisor::{kernel, settings, translate};

use carrier::{Carrier, carrier_of, kernel_cannot, missing_for};

/// Largest packet of a link that does not say, as planned.
const DEFAULT_MTU: u32 = 1_500;

/// One link while the lab runs.
#[derive(Debug)]
struct RunningLink {
    carrier: Carrier,
    forward: Impairment,
    backward: Impairment,
    /// A trace changes it as it goes.
    replays: bool,
    up: bool,
    /// Somebody has said whether it is up: it flaps no more until it is reset.
    held: bool,
}

/// What both carriers have counted and the kernel says, at about one moment.
#[derive(Debug)]
struct Counters {
    engine: HashMap<String, LinkStatistics>,
    kernel: Option<dfaas_netns::Counters>,
}

/// All links of a lab.
#[derive(Debug)]
pub(crate) struct Links {
    features: KernelFeatures,
    midpoints: Midpoints,
    running: BTreeMap<String, RunningLink>,
    engine: Option<Engine>,
}

impl Links {
    /// No links yet.
    pub(crate) fn new(features: KernelFeatures) -> Self {
        Self {
            features,
            midpoints: Midpoints::new(),
            running: BTreeMap::new(),
            engine: None,
        }
    }

    /// Chooses a carrier for each of these links: the kernel if it has all that the link asks for, else the engine.
    pub(crate) fn choose<'a>(&mut self, links: impl IntoIterator<Item = &'a Link>) -> Result<(), LabError> {
        let mut chosen = Vec::new();
        for link in links {
            let carrier = carrier_of(link, &self.features)?;
            let (forward, backward) = (link.forward.clone(), link.backward.clone());
            let running = RunningLink {
                carrier,
                forward,
                backward,
                replays: link.forward_trace.is_some() || link.backward_trace.is_some(),
                up: !link.down,
                held: false,
            };
            chosen.push((link.name.clone(), running));
        }
        self.running.extend(chosen);
        Ok(())
    }

    /// Whether there is a carrier for a link.
    pub(crate) fn can_carry(&self, link: &Link) -> Result<(), LabError> {
        carrier_of(link, &self.features).map(drop)
    }

    /// Whether the ends of a link may send frames larger than the MTU: not where each packet has a fate of its own.
    pub(crate) fn segmentation_offload(&self, link: &str) -> bool {
        self.running.get(link).is_none_or(|link| {
            !link.replays && !link.forward.acts_per_packet() && !link.backward.acts_per_packet()
        })
    }

    /// Hands links for which a carrier was chosen to it.
    pub(crate) fn attach(
        &mut self,
        topology: &Topology,
        network: &Network,
        midpoints: Midpoints,
        links: &[&Link],
    ) -> Result<(), LabError> {
        self.midpoints.extend(midpoints);
        let mut for_engine = Vec::new();
        for link in links {
            match self.running.get(&link.name).map(|running| running.carrier) {
                Some(Carrier::Tc) => self.shape(topology, network, link)?,
                Some(Carrier::Wire) => for_engine.push(self.engine_link(topology, link, network)?),
                None => return Err(unknown(&link.name)),
            }
        }
        match &self.engine {
            Some(engine) => {
                for link in for_engine {
                    engine.add_link(link)?;
                }
            }
            None if for_engine.is_empty() => {}
            None => self.engine = Some(start_engine(network, topology.seed, for_engine)?),
        }
        for link in links.iter().filter(|link| link.down) {
            self.set_carrier(network, &link.name, false)?;
        }
        Ok(())
    }

    /// Takes a link from its carrier; packets on it are lost, and both ends lose their carriers. Its interfaces stay.
    pub(crate) fn detach(&mut self, network: &Network, name: &str) -> Result<(), LabError> {
        self.disconnect(network, name)?;
        self.running.remove(name);
        self.midpoints.remove(name);
        Ok(())
    }

    fn disconnect(&self, network: &Network, name: &str) -> Result<(), LabError> {
        self.set_carrier(network, name, false)?;
        match (self.running.get(name).map(|it| it.carrier), &self.engine) {
            (Some(Carrier::Wire), Some(engine)) => engine.remove_link(name)?,
            _ => {
                let [first, second] = self.midpoints_of(name)?;
                network.unshape(first, second)?;
            }
        }
        Ok(())
    }

    fn shape(&self, topology: &Topology, network: &Network, link: &Link) -> Result<(), LabError> {
        let [first, second] = self.midpoints_of(&link.name)?;
        let [forward, backward] = kernel::terms([&link.forward, &link.backward], topology.seed, &link.name);
        Ok(network.shape(first, second, &forward, &backward)?)
    }

    /// The interfaces in the wire namespace that face the two ends of a link.
    pub(crate) fn midpoints(&self, link: &str) -> Option<[String; 2]> {
        self.midpoints.get(link).cloned()
    }

    /// How many links each carrier has.
    pub(crate) fn count_by_carrier(&self) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<Carrier, usize> = BTreeMap::new();
        for link in self.running.values() {
            *counts.entry(link.carrier).or_default() += 1;
        }
        counts
            .into_iter()
            .map(|(carrier, count)| (carrier.name().to_owned(), count))
            .collect()
    }

    /// How the engine is scheduled, when there is one.
    pub(crate) fn scheduling(&self) -> Option<String> {
        let name = |engine: &Engine| match engine.scheduling() {
            Scheduling::Fifo => "fifo",
            Scheduling::Normal => "normal",
        };
        self.engine.as_ref().map(|engine| name(engine).to_owned())
    }

    pub(crate) fn info(&self, topology: &Topology, network: &Network) -> Vec<LinkInfo> {
        let counters = self.read_counters(network);
        topology
            .links
            .iter()
            .map(|link| self.link_info(link, network, &counters))
            .collect()
    }

    /// One link as it is now.
    pub(crate) fn show(
        &self,
        topology: &Topology,
        network: &Network,
        name: &str,
    ) -> Result<LinkInfo, LabError> {
        let link = topology.link(name).ok_or_else(|| unknown(name))?;
        Ok(self.link_info(link, network, &self.read_counters(network)))
    }

    /// Changes a link while packets flow; what waits in it is not lost.
    pub(crate) fn change(
        &mut self,
        topology: &Topology,
        network: &Network,
        name: &str,
        change: &LinkChange,
    ) -> Result<LinkInfo, LabError> {
        let link = topology.link(name).ok_or_else(|| unknown(name))?;
        let running = self.running.get(&link.name).ok_or_else(|| unknown(name))?;
        let was_up = running.up;
        let before = if change.reset {
            [link.forward.clone(), link.backward.clone()]
        } else {
            [running.forward.clone(), running.backward.clone()]
        };
        let held = change.up.is_some() || (running.held && !change.reset);
        let impairments = settings::changed(link, before, change)?;
        refuse_contradictions(topology, link, impairments.each_ref())?;
        let up = change
            .up
            .unwrap_or(if change.reset { !link.down } else { was_up });
        self.put(topology, network, link, impairments, (up, held))
    }

    /// Gives a link other impairments than it has; whether it is up stays.
    pub(crate) fn reimpair_to(
        &mut self,
        topology: &Topology,
        network: &Network,
        name: &str,
        impairments: [Impairment; 2],
    ) -> Result<LinkInfo, LabError> {
        let link = topology.link(name).ok_or_else(|| unknown(name))?;
        let running = self.running.get(&link.name).ok_or_else(|| unknown(name))?;
        let carrier = (running.up, running.held);
        self.put(topology, network, link, impairments, carrier)
    }

    /// Whether a link could do this, without doing it.
    pub(crate) fn could(
        &self,
        topology: &Topology,
        name: &str,
        impairments: [&Impairment; 2],
    ) -> Result<(), LabError> {
        let link = topology.link(name).ok_or_else(|| unknown(name))?;
        match missing_for(impairments, &self.features) {
            Some(missing) if link.backend == Backend::Tc => Err(kernel_cannot(link, missing)),
            _ => Ok(()),
        }
    }

    /// Takes the end of a link that moves out of its node; the other end loses its carrier.
    pub(crate) fn unplug(&mut self, network: &Network, name: &str, end: &LinkEnd) -> Result<(), LabError> {
        self.disconnect(network, name)?;
        let near = (end.namespace.as_str(), end.interface.as_str());
        Ok(network.remove_veth(near, (WIRE_NAMESPACE, &end.midpoint))?)
    }

    /// Puts it into another node, with the impairments the link had. `after` is the link from now on.
    pub(crate) fn plug(
        &mut self,
        topology: &Topology,
        network: &Network,
        [before, after]: [&Link; 2],
        end: &LinkEnd,
    ) -> Result<LinkInfo, LabError> {
        let running = self
            .running
            .remove(&before.name)
            .ok_or_else(|| unknown(&before.name))?;
        let midpoints = self
            .midpoints
            .remove(&before.name)
            .ok_or_else(|| unknown(&before.name))?;
        network.add_veth(&NewVeth {
            namespace: &end.namespace,
            near: NearEnd {
                namespace: 0,
                interface: end.interface.clone(),
                mac: end.mac,
                mtu: end.mtu,
                bridge_port: end.bridge_port,
                segmentation_offload: self.segmentation_offload(&after.name),
            },
            wire: WIRE_NAMESPACE,
            midpoint: &end.midpoint,
        })?;
        self.midpoints.insert(after.name.clone(), midpoints);
        let now = Link {
            forward: running.forward.clone(),
            backward: running.backward.clone(),
            ..after.clone()
        };
        match (running.carrier, &self.engine) {
            (Carrier::Wire, Some(engine)) => engine.add_link(self.engine_link(topology, &now, network)?)?,
            (Carrier::Wire, None) => return Err(unknown(&after.name)),
            (Carrier::Tc, _) => self.shape(topology, network, &now)?,
        }
        self.set_carrier(network, &after.name, true)?;
        let up = RunningLink { up: true, ..running };
        self.running.insert(after.name.clone(), up);
        Ok(self.link_info(after, network, &self.read_counters(network)))
    }

    /// Lets all that is replayed begin anew, now.
    pub(crate) fn begin_replays(&self, topology: &Topology) -> Result<(), LabError> {
        let Some(engine) = &self.engine else {
            return Ok(()); // which replays all there is
        };
        for link in topology.links.iter().filter(|link| self.replays(&link.name)) {
            let traces = topology.traces_of(link).into_iter();
            for (trace, direction) in traces.zip([Direction::Forward, Direction::Backward]) {
                if let Some(trace) = trace {
                    engine.replay(&link.name, direction, Some(translate::replay(trace)))?;
                }
            }
        }
        Ok(())
    }

    fn replays(&self, link: &str) -> bool {
        self.running.get(link).is_some_and(|running| running.replays)
    }

    fn put(
        &mut self,
        topology: &Topology,
        network: &Network,
        link: &Link,
        [forward, backward]: [Impairment; 2],
        (up, held): (bool, bool),
    ) -> Result<LinkInfo, LabError> {
        let running = self.running.get(&link.name).ok_or_else(|| unknown(&link.name))?;
        let (was_up, replays) = (running.up, running.replays);
        let carrier = self.reimpair(topology, network, link, [&forward, &backward])?;
        if up != was_up {
            self.set_carrier(network, &link.name, up)?;
        }
        self.running.insert(
            link.name.clone(),
            RunningLink {
                carrier,
                forward,
                backward,
                replays,
                up,
                held,
            },
        );
        self.show(topology, network, &link.name)
    }

    /// As [`Links::change`] of the carrier alone, for a link that flaps; nothing if somebody holds it.
    pub(crate) fn flap(&mut self, network: &Network, name: &str, up: bool) -> Result<(), LabError> {
        let running = self.running.get(name).ok_or_else(|| unknown(name))?;
        if running.held || running.up == up {
            return Ok(());
        }
        self.set_carrier(network, name, up)?;
        if let Some(running) = self.running.get_mut(name) {
            running.up = up;
        }
        tracing::info!(link = name, up, "the link flaps");
        Ok(())
    }

    /// Gives both ends of a link a carrier, or takes it from them.
    fn set_carrier(&self, network: &Network, link: &str, up: bool) -> Result<(), LabError> {
        for midpoint in self.midpoints.get(link).into_iter().flatten() {
            network.set_interface_up(WIRE_NAMESPACE, midpoint, up)?;
        }
        Ok(())
    }

    /// Ends the engine.
    pub(crate) fn stop(self) {
        if let Some(engine) = self.engine {
            engine.stop();
        }
    }

    /// Returns who carries the link from now on.
    fn reimpair(
        &mut self,
        topology: &Topology,
        network: &Network,
        link: &Link,
        [forward, backward]: [&Impairment; 2],
    ) -> Result<Carrier, LabError> {
        let carrier = self.running.get(&link.name).map(|it| it.carrier);
        match (carrier, &self.engine) {
            (Some(Carrier::Wire), Some(engine)) => {
                engine.set(&link.name, Direction::Forward, translate::for_engine(forward))?;
                engine.set(&link.name, Direction::Backward, translate::for_engine(backward))?;
                return Ok(Carrier::Wire);
            }
            (Some(Carrier::Tc), _) => {}
            _ => return Err(unknown(&link.name)),
        }
        let Some(missing) = missing_for([forward, backward], &self.features) else {
            let [first, second] = self.midpoints_of(&link.name)?;
            let [forward, backward] = kernel::terms([forward, backward], topology.seed, &link.name);
            network.reshape(first, second, &forward, &backward)?;
            return Ok(Carrier::Tc);
        };
        if link.backend == Backend::Tc {
            return Err(kernel_cannot(link, missing));
        }
        self.hand_over(topology, network, link, [forward, backward])?;
        Ok(Carrier::Wire)
    }

    /// From the kernel to the engine, which is started if this is its first link. Packets that wait in the kernel's
    /// queues are lost.
    fn hand_over(
        &mut self,
        topology: &Topology,
        network: &Network,
        link: &Link,
        [forward, backward]: [&Impairment; 2],
    ) -> Result<(), LabError> {
        let changed = Link {
            forward: forward.clone(),
            backward: backward.clone(),
            ..link.clone()
        };
        let specification = self.engine_link(topology, &changed, network)?;
        let [first, second] = self.midpoints_of(&link.name)?;
        network.unshape(first, second)?;
        match &self.engine {
            Some(engine) => engine.add_link(specification)?,
            None => self.engine = Some(start_engine(network, topology.seed, vec![specification])?),
        }
        Ok(())
    }

    fn read_counters(&self, network: &Network) -> Counters {
        let has_kernel_links = self.running.values().any(|it| it.carrier == Carrier::Tc);
        let engine = self.engine.iter().flat_map(Engine::statistics);
        let kernel = network.counters(WIRE_NAMESPACE, has_kernel_links);
        Counters {
            engine: engine.map(|it| (it.name.clone(), it)).collect(),
            kernel: kernel
                .inspect_err(|error| tracing::warn!(%error, "the kernel's counters of links cannot be read"))
                .ok(),
        }
    }

    fn statistics(&self, link: &Link, network: &Network, counters: &Counters) -> Option<LinkStatistics> {
        match self.running.get(&link.name)?.carrier {
            Carrier::Wire => counters.engine.get(&link.name).cloned(),
            Carrier::Tc => {
                let midpoints = self.midpoints_of(&link.name).ok()?;
                let counters = counters.kernel.as_ref()?;
                Some(kernel::statistics(&link.name, network, counters, midpoints))
            }
        }
    }

    /// Both ways; what the engine carries has queues there only if somebody else has put them.
    fn queues(&self, link: &str, network: &Network, counters: &Counters) -> Option<String> {
        let (midpoints, counters) = (self.midpoints_of(link).ok()?, counters.kernel.as_ref()?);
        let [first, second] = midpoints.map(|midpoint| network.queue_settings(counters, midpoint));
        Some(format!("{first:016x}{second:016x}"))
    }

    /// Whether both ends have a carrier, as the kernel says: somebody may have taken it behind the lab's back. What cannot
    /// be read is as the lab made it.
    fn is_up(&self, link: &str, network: &Network, counters: &Counters) -> bool {
        let made = self.running.get(link).is_some_and(|it| it.up);
        match (self.midpoints_of(link), counters.kernel.as_ref()) {
            (Ok(midpoints), Some(counters)) => midpoints
                .into_iter()
                .all(|midpoint| network.is_connected(counters, midpoint)),
            _ => made,
        }
    }

    fn link_info(&self, link: &Link, network: &Network, counters: &Counters) -> LinkInfo {
        let end = |index: usize| LinkEndInfo {
            node: link.endpoints[index].node.clone(),
            interface: link.endpoints[index].interface.clone(),
        };
        let running = self.running.get(&link.name);
        let statistics = self.statistics(link, network, counters);
        LinkInfo {
            name: link.name.clone(),
            endpoints: [end(0), end(1)],
            backend: running.map_or("none", |it| it.carrier.name()).to_owned(),
            mtu: link.mtu.unwrap_or(DEFAULT_MTU),
            up: self.is_up(&link.name, network, counters),
            forward: translate::for_people(running.map_or(&link.forward, |it| &it.forward)),
            backward: translate::for_people(running.map_or(&link.backward, |it| &it.backward)),
            queues: self.queues(&link.name, network, counters),
            statistics: statistics.and_then(|it| serde_json::to_value(it).ok()),
        }
    }

    fn engine_link(&self, topology: &Topology, link: &Link, network: &Network) -> Result<LinkSpec, LabError> {
        let names = self
            .midpoints
            .get(&link.name)
            .ok_or_else(|| unknown(&link.name))?;
        let mut interfaces = [0; 2];
        for (interface, name) in interfaces.iter_mut().zip(names) {
            *interface = network
                .interface_index(WIRE_NAMESPACE, name)
                .ok_or_else(|| LabError::Link {
                    link: link.name.clone(),
                    reason: format!("its midpoint `{name}` is missing"),
                })?;
        }
        let (forward, backward) = (
            translate::for_engine(&link.forward),
            translate::for_engine(&link.backward),
        );
        Ok(LinkSpec {
            name: link.name.clone(),
            interfaces,
            forward,
            backward,
            replays: topology
                .traces_of(link)
                .map(|trace| trace.map(|trace| translate::replay(trace))),
        })
    }

    fn midpoints_of(&self, link: &str) -> Result<[Midpoint<'_>; 2], LabError> {
        let names = self.midpoints.get(link).ok_or_else(|| unknown(link))?;
        Ok(names.each_ref().map(|interface| Midpoint {
            namespace: WIRE_NAMESPACE,
            interface,
        }))
    }
}

fn start_engine(network: &Network, seed: u64, links: Vec<LinkSpec>) -> Result<Engine, LabError> {
    let sockets = network.enter(WIRE_NAMESPACE, || dfaas_wire::open_sockets(1))??;
    Ok(Engine::start(sockets, seed, links)?)
}

/// What cannot be meant is refused before anything changes, as in a file.
fn refuse_contradictions(
    topology: &Topology,
    link: &Link,
    directions: [&Impairment; 2],
) -> Result<(), LabError> {
    let traces = topology.traces_of(link);
    let mut both = directions.into_iter().zip(traces);
    let found = both.find_map(|(it, trace)| {
        let trace = trace.map(AsRef::as_ref);
        it.contradictions(link.mtu, trace).into_iter().next()
    });
    match found {
        None => Ok(()),
        Some(Contradiction { message, remedy, .. }) => Err(LabError::Setting(format!(
            "link `{}`: {message}; {remedy}",
            link.name
        ))),
    }
}

fn unknown(link: &str) -> LabError {
    LabError::Link {
        link: link.to_owned(),
        reason: "the lab has no link of this name".to_owned(),
    }
}
