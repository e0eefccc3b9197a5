//! The task that drives the overlay.

mod events;
mod round_trips;

use super::authors::Authors;
use super::behaviour::Behaviour;
use super::lookups::Lookups;
use super::mdns::{self, Mdns};
use super::redial::Redial;
use super::returned::Returned;
use super::{OverlayError, rendezvous, swarm};
use crate::metrics::Metrics;
use crate::strategy::{Compatibility, NodeId};
use dfaas_agent_api::Identity;
use futures::StreamExt as _;
use libp2p::gossipsub::IdentTopic;
use libp2p::identity::Keypair;
use libp2p::kad::RecordKey;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, Swarm};
use round_trips::RoundTrips;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Messages waiting for the strategy; more are dropped and counted.
const QUEUE: usize = 256;
/// How often to look whether there is somebody to dial, when nobody is due.
const IDLE: Duration = Duration::from_secs(2);
/// Time for the last words to leave.
const FAREWELL: Duration = Duration::from_millis(100);

/// What the overlay depends on.
#[derive(Clone, Debug)]
pub struct OverlaySettings {
    /// Who this node is.
    pub identity: Identity,
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// Address told to others when listening on all.
    pub advertised: IpAddr,
    /// Nodes to connect to.
    pub bootstrap: Vec<(PeerId, Multiaddr)>,
    /// Whether to keep trying them.
    pub bootstrap_force: bool,
    /// Word under which agents find one another.
    pub rendezvous: String,
    /// Pause between two look-ups.
    pub lookup_pause: Duration,
    /// Whether to look for agents by multicast too.
    pub mdns: bool,
    /// Topic of the messages.
    pub topic: String,
    /// How a round trip time is made of the last pings.
    pub compatibility: Compatibility,
}

/// A message of another agent; its signature has been verified.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its author.
    pub from: NodeId,
    /// Its text.
    pub data: Vec<u8>,
}

/// What is known of the connection to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The address it was reached at, or called from.
    pub address: Option<IpAddr>,
    /// Round trip time by the last three pings: the smallest, or the mean where the original is reproduced.
    pub round_trip: Option<Duration>,
}

/// A running overlay. Dropping it ends the task.
#[derive(Debug)]
pub struct Overlay {
    /// Connected agents, whenever they change.
    pub peers: watch::Receiver<BTreeSet<NodeId>>,
    /// The connection to every connected node, agent or not.
    pub links: watch::Receiver<BTreeMap<NodeId, Link>>,
    /// Messages of others.
    pub messages: mpsc::Receiver<Incoming>,
    outgoing: mpsc::Sender<Vec<u8>>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Overlay {
    /// Listens, and begins to connect in the background.
    ///
    /// # Errors
    /// When the key, the topic or an address cannot be used.
    pub fn start(settings: &OverlaySettings, metrics: Arc<Metrics>) -> Result<Self, OverlayError> {
        let keypair = Keypair::ed25519_from_bytes(settings.identity.seed())?;
        let topic = IdentTopic::new(settings.topic.clone());
        let swarm = start_swarm(settings, &keypair, &topic, &metrics)?;
        let (peers_sender, peers) = watch::channel(BTreeSet::new());
        let (links_sender, links) = watch::channel(BTreeMap::new());
        let (messages_sender, messages) = mpsc::channel(QUEUE);
        let (outgoing, outgoing_receiver) = mpsc::channel(QUEUE);
        let (stop, stopped) = oneshot::channel();
        let own_id = *swarm.local_peer_id();
        let mdns = start_mdns(settings, own_id)?;
        let now = Instant::now();
        let service = Service {
            swarm,
            topic,
            redial: Redial::new(&settings.bootstrap, own_id, settings.bootstrap_force, now),
            rendezvous: rendezvous::key(&settings.rendezvous),
            returned: Returned::default(),
            lookups: Lookups::new(settings.lookup_pause, now),
            advertised: settings.advertised,
            compatibility: settings.compatibility,
            subscribed: BTreeSet::new(),
            round_trips: BTreeMap::new(),
            addresses: BTreeMap::new(),
            authors: Authors::default(),
            mdns,
            peers: peers_sender,
            links: links_sender,
            messages: messages_sender,
            metrics,
        };
        let task = tokio::spawn(service.run(outgoing_receiver, stopped));
        Ok(Self {
            peers,
            links,
            messages,
            outgoing,
            stop: Some(stop),
            task,
        })
    }

    /// Hands a message to the overlay. One that finds no room is dropped: the next period brings a newer one.
    pub fn publish(&self, data: Vec<u8>) {
        if self.outgoing.try_send(data).is_err() {
            tracing::warn!("the overlay is too busy for another message");
        }
    }

    /// Says goodbye to the peers and ends.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        // An error would be a panic of the task, which has been reported.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn start_swarm(
    settings: &OverlaySettings,
    keypair: &Keypair,
    topic: &IdentTopic,
    metrics: &Metrics,
) -> Result<Swarm<Behaviour>, OverlayError> {
    let bootstrap = settings.bootstrap.iter().map(|(_, address)| address.clone());
    let addresses: Vec<Multiaddr> = settings.listen.iter().cloned().chain(bootstrap).collect();
    let behaviour = metrics.with_registry(|registry| Behaviour::new(keypair, topic, registry))?;
    let mut swarm = swarm::build(keypair, behaviour, &addresses)?;
    for address in &settings.listen {
        swarm
            .listen_on(address.clone())
            .map_err(|error| OverlayError::Listen {
                address: address.clone(),
                reason: error.to_string(),
            })?;
    }
    Ok(swarm)
}

fn start_mdns(settings: &OverlaySettings, own: PeerId) -> Result<Option<Mdns>, OverlayError> {
    let start = || {
        Mdns::start(&settings.rendezvous, own).map_err(|source| OverlayError::Mdns {
            word: settings.rendezvous.clone(),
            source,
        })
    };
    settings.mdns.then(start).transpose()
}

/// State of the task.
struct Service {
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    redial: Redial,
    returned: Returned,
    rendezvous: RecordKey,
    lookups: Lookups,
    advertised: IpAddr,
    compatibility: Compatibility,
    /// Nodes that subscribed to the topic and are connected.
    subscribed: BTreeSet<PeerId>,
    round_trips: BTreeMap<PeerId, RoundTrips>,
    /// Where connected nodes say they listen.
    addresses: BTreeMap<PeerId, Vec<Multiaddr>>,
    authors: Authors,
    mdns: Option<Mdns>,
    peers: watch::Sender<BTreeSet<NodeId>>,
    links: watch::Sender<BTreeMap<NodeId, Link>>,
    messages: mpsc::Sender<Incoming>,
    metrics: Arc<Metrics>,
}

impl Service {
    async fn run(mut self, mut outgoing: mpsc::Receiver<Vec<u8>>, mut stopped: oneshot::Receiver<()>) {
        loop {
            let idle = Instant::now() + IDLE;
            let redial_at = self.redial.next().unwrap_or(idle);
            let part_at = self.returned.next().unwrap_or(idle);
            tokio::select! {
                _ = &mut stopped => break,
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(data) = outgoing.recv() => self.publish(data),
                Some((peer, addresses)) = found(&mut self.mdns) => self.on_found(peer, addresses),
                () = tokio::time::sleep_until(redial_at) => self.dial_bootstrap_nodes(),
                () = tokio::time::sleep_until(part_at) => self.part_from_silent(),
                () = tokio::time::sleep_until(self.lookups.next()) => self.look_up(),
            }
        }
        self.swarm.behaviour_mut().gossip.unsubscribe(&self.topic);
        let farewell = async { while self.swarm.next().await.is_some() {} };
        // It ends by the clock.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    fn publish(&mut self, data: Vec<u8>) {
        match self.swarm.behaviour_mut().gossip.publish(self.topic.hash(), data) {
            Ok(_) => {
                self.metrics.messages_published.inc();
            }
            Err(libp2p::gossipsub::PublishError::NoPeersSubscribedToTopic) => {
                tracing::debug!("nobody listens to the message");
            }
            Err(error) => tracing::warn!(%error, "cannot publish a message"),
        }
    }

    /// An agent told by multicast where it is.
    fn on_found(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        if !self.swarm.is_connected(&peer) {
            tracing::debug!(%peer, ?addresses, "found by mDNS");
            self.dial(peer, addresses);
        }
    }

    fn dial_bootstrap_nodes(&mut self) {
        for (peer, addresses) in self.redial.due(Instant::now()) {
            if self.swarm.is_connected(&peer) {
                self.redial.connected(&peer);
                continue;
            }
            self.dial(peer, addresses);
        }
    }

    /// Gives agents that are back and say nothing a reason to begin anew.
    fn part_from_silent(&mut self) {
        for peer in self.returned.due(Instant::now()) {
            tracing::info!(%peer, "connected again, but silent: connecting anew");
            // One that has gone meanwhile is parted from already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            // Two nodes that dial each other from their listening ports would meet in one TCP connection, each
            // taking itself for the caller.
            .allocate_new_port()
            .build();
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(%peer, %error, "not dialled");
        }
    }

    /// Announces this node under the rendezvous and asks who else is there.
    fn look_up(&mut self) {
        self.lookups.begun(Instant::now());
        let kademlia = &mut self.swarm.behaviour_mut().kademlia;
        if let Err(error) = kademlia.start_providing(self.rendezvous.clone()) {
            tracing::warn!(%error, "cannot announce this node");
        }
        kademlia.get_providers(self.rendezvous.clone());
    }

    fn announce_peers(&self) {
        let peers: BTreeSet<NodeId> = self.subscribed.iter().map(ToString::to_string).collect();
        self.metrics
            .peers
            .set(i64::try_from(peers.len()).unwrap_or(i64::MAX));
        self.peers.send_replace(peers);
    }
}

/// The next agent found by multicast; never, without it.
async fn found(mdns: &mut Option<Mdns>) -> Option<mdns::Found> {
    match mdns {
        Some(mdns) => mdns.found.recv().await,
        None => std::future::pending().await,
    }
}
