//! The protocols an agent speaks, with bounds that fit federations of 2 to some hundred nodes.

use super::{OverlayError, ping};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, ValidationMode, WhitelistSubscriptionFilter};
use libp2p::gossipsub::{PeerScoreParams, PeerScoreThresholds, TopicScoreParams};
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{identify, kad};
use prometheus_client::registry::Registry;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::time::Duration;

/// A message of 50 peers and 100 functions is a tenth of this.
const MAXIMUM_MESSAGE: usize = 1 << 20;
const MAXIMUM_CONNECTIONS: u32 = 1024;
/// Addresses learnt by multicast need not be true: a bound on connections to nowhere.
const MAXIMUM_DIALS: u32 = 256;
/// Both ends may dial at once, and an old connection may linger.
const MAXIMUM_CONNECTIONS_PER_PEER: u32 = 4;
/// A dead peer is noticed within the sum of both. TCP alone may need as long again after the network is back, because
/// its retransmissions become rare: a new connection is faster.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_PATIENCE: Duration = Duration::from_secs(10);
/// Entries per bucket of the Kademlia table. All 256 buckets are made at the start, with the usual 20 entries a megabyte
/// and a half; with these every node of a federation of some hundred still finds the nodes closest to the rendezvous.
const BUCKET_SIZE: NonZeroUsize = NonZeroUsize::new(10).expect("not zero");
/// Nodes that keep this node's announcement, and that are asked who else there is. With the usual 20, and every answer
/// naming everyone, the look-ups of fifty agents that start together took most of their time.
const ANNOUNCED_AT: NonZeroUsize = NonZeroUsize::new(5).expect("not zero");
/// What the names of GossipSub's own metrics begin with.
const METRICS_PREFIX: &str = "dfaas_agent_gossip";
/// Agents announce themselves at every look-up; one that stopped is forgotten after this.
const PROVIDER_LIFE: Duration = Duration::from_secs(30 * 60);

pub(super) type Gossip = gossipsub::Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>;

/// Everything spoken on a connection.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    pub(super) gossip: Gossip,
    pub(super) kademlia: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

impl Behaviour {
    /// The protocols; GossipSub's own counters go into `registry`.
    pub(super) fn new(
        keypair: &Keypair,
        topic: &IdentTopic,
        registry: &mut Registry,
    ) -> Result<Self, OverlayError> {
        let limits = ConnectionLimits::default()
            .with_max_established(Some(MAXIMUM_CONNECTIONS))
            .with_max_established_per_peer(Some(MAXIMUM_CONNECTIONS_PER_PEER))
            .with_max_pending_incoming(Some(MAXIMUM_CONNECTIONS))
            .with_max_pending_outgoing(Some(MAXIMUM_DIALS));
        let version = concat!("dfaas-agent/", env!("CARGO_PKG_VERSION"));
        let identify = identify::Config::new("/dfaas/1.0.0".to_owned(), keypair.public())
            .with_agent_version(version.to_owned())
            .with_push_listen_addr_updates(true);
        Ok(Self {
            limits: connection_limits::Behaviour::new(limits),
            gossip: gossip(keypair, topic, registry)?,
            kademlia: kademlia(keypair),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(PING_INTERVAL, PING_PATIENCE),
        })
    }
}

/// Signed messages, sent by their author to every subscriber it is connected to (flood publishing): in a federation
/// that is one hop for nearly all, and a thin mesh reaches the rest. Every copy's signature is verified, so a mesh of
/// GossipSub's usual six would cost each node of fifty seven times the work; with two, and three more peers told at every
/// heartbeat what there is, a message still comes about three times.
fn gossip(keypair: &Keypair, topic: &IdentTopic, registry: &mut Registry) -> Result<Gossip, OverlayError> {
    let failed = |reason: String| OverlayError::Topic {
        topic: topic.to_string(),
        reason,
    };
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Strict)
        // What is replayed or too much is not passed on.
        .validate_messages()
        .max_transmit_size(MAXIMUM_MESSAGE)
        .flood_publish(true)
        .mesh_outbound_min(1)
        .mesh_n_low(1)
        .mesh_n(2)
        .mesh_n_high(4)
        .gossip_lazy(3)
        // A quarter of all peers otherwise, at every heartbeat.
        .gossip_factor(0.0)
        // Copies meet on their way anyway: telling all of a long message's arrival costs more than it saves.
        .idontwant_message_size_threshold(MAXIMUM_MESSAGE)
        .heartbeat_initial_delay(Duration::from_secs(1))
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let only_ours = WhitelistSubscriptionFilter(HashSet::from([topic.hash()]));
    let author = MessageAuthenticity::Signed(keypair.clone());
    let mut gossip = Gossip::new_with_subscription_filter(author, config, only_ours)
        .map_err(|reason| failed(reason.to_owned()))?
        .with_metrics(
            registry.sub_registry_with_prefix(METRICS_PREFIX),
            gossipsub::MetricsConfig::default(),
        );
    let (scores, thresholds) = scores(topic);
    gossip.with_peer_score(scores, thresholds).map_err(failed)?;
    gossip
        .subscribe(topic)
        .map_err(|error| failed(error.to_string()))?;
    Ok(gossip)
}

/// Only one thing counts against a peer: messages whose signature is not their author's. After nine within seconds it is
/// not listened to until it has been quiet for a while. (An honest peer may hand a restarted agent some of its own old
/// messages, which the library counts too. Of many hosts behind one address, as in a lab, none is worse.)
fn scores(topic: &IdentTopic) -> (PeerScoreParams, PeerScoreThresholds) {
    let forged = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -1.0,
        invalid_message_deliveries_decay: 0.9,
        ..TopicScoreParams::default()
    };
    let scores = PeerScoreParams {
        topics: HashMap::from([(topic.hash(), forged)]),
        app_specific_weight: 0.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: 0.0,
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    };
    (scores, PeerScoreThresholds::default())
}

fn kademlia(keypair: &Keypair) -> kad::Behaviour<MemoryStore> {
    let own_id = keypair.public().to_peer_id();
    let bounds = MemoryStoreConfig {
        max_providers_per_key: 1024,
        max_records: 64,
        ..MemoryStoreConfig::default()
    };
    let mut config = kad::Config::new(kad::PROTOCOL_NAME);
    config.set_provider_record_ttl(Some(PROVIDER_LIFE));
    config.set_kbucket_size(BUCKET_SIZE);
    config.set_replication_factor(ANNOUNCED_AT);
    let mut kademlia = kad::Behaviour::with_config(own_id, MemoryStore::with_config(own_id, bounds), config);
    // Agents are servers to each other; "client until proven reachable" would leave the table empty.
    kademlia.set_mode(Some(kad::Mode::Server));
    kademlia
}
