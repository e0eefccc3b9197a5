//! What happens on the network.

use super::{Incoming, Service};
use crate::p2p::authors::Verdict;
use crate::p2p::behaviour::{Behaviour, BehaviourEvent};
use crate::strategy::NodeId;
use libp2p::gossipsub::{Event as GossipEvent, MessageAcceptance};
use libp2p::kad::{GetProvidersOk, QueryResult};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, gossipsub, identify, kad, ping};
use std::net::IpAddr;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

/// Addresses remembered of one peer.
const MAXIMUM_ADDRESSES: usize = 8;

impl Service {
    pub(super) fn on_event(
        &mut self,
        event: SwarmEvent<<Behaviour as libp2p::swarm::NetworkBehaviour>::ToSwarm>,
    ) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Kademlia(event)) => self.on_kademlia(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.on_ping(event),
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(address),
            SwarmEvent::ExpiredListenAddr { .. } => self.tell_by_multicast(),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                endpoint,
                num_established,
                ..
            } => {
                self.redial.connected(&peer_id);
                if num_established.get() == 1 {
                    self.authors.connected(&peer_id);
                    self.returned.connected(&peer_id, Instant::now());
                }
                self.note_address(peer_id, endpoint.get_remote_address());
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                cause,
                ..
            } => {
                let cause = cause.map(|error| error.to_string()).unwrap_or_default();
                tracing::info!(peer = %peer_id, cause, "disconnected");
                let addresses = self.addresses.remove(&peer_id).unwrap_or_default();
                self.redial.disconnected(&peer_id, Instant::now());
                self.returned.disconnected(&peer_id);
                if self.subscribed.contains(&peer_id) {
                    self.returned.lost(peer_id, Instant::now());
                }
                if self.returned.awaits(&peer_id) {
                    self.redial.lost(peer_id, addresses, Instant::now());
                }
                self.links.send_modify(|links| {
                    links.remove(&peer_id.to_string());
                });
                self.forget(peer_id);
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                tracing::debug!(%peer, %error, "cannot connect");
            }
            SwarmEvent::ListenerClosed {
                addresses,
                reason: Err(error),
                ..
            } => {
                tracing::error!(?addresses, %error, "no longer listening");
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "cannot accept a connection"),
            _ => {}
        }
    }

    fn on_gossip(&mut self, event: GossipEvent) {
        match event {
            GossipEvent::Message {
                propagation_source,
                message_id,
                message,
            } => {
                let acceptance = self.on_message(message);
                let gossip = &mut self.swarm.behaviour_mut().gossip;
                gossip.report_message_validation_result(&message_id, &propagation_source, acceptance);
            }
            GossipEvent::Subscribed { peer_id, .. } => {
                self.returned.heard(&peer_id);
                if self.subscribed.insert(peer_id) {
                    tracing::info!(peer = %peer_id, "agent found");
                    self.announce_peers();
                }
            }
            GossipEvent::Unsubscribed { peer_id, .. } => {
                self.returned.heard(&peer_id);
                self.forget(peer_id);
            }
            GossipEvent::SlowPeer { peer_id, .. } => {
                tracing::warn!(peer = %peer_id, "peer is slow to take messages")
            }
            GossipEvent::GossipsubNotSupported { .. } => {}
        }
    }

    /// Judges a message whose signature is good; whether to pass it on.
    fn on_message(&mut self, message: gossipsub::Message) -> MessageAcceptance {
        // Strict validation lets no message through without its author and number.
        let (Some(author), Some(sequence)) = (message.source, message.sequence_number) else {
            return MessageAcceptance::Ignore;
        };
        if author == *self.swarm.local_peer_id() {
            return MessageAcceptance::Accept;
        }
        let fault = match self
            .authors
            .judge(author, sequence, message.data.len(), Instant::now())
        {
            Verdict::Fresh => None,
            Verdict::Replayed => Some("replayed"),
            Verdict::TooMany => Some("too many"),
            Verdict::TooManyAuthors => Some("too many authors"),
        };
        if let Some(fault) = fault {
            self.metrics.bad_message(fault);
            if self.authors.complain(&author, Instant::now()) {
                tracing::warn!(from = %author, fault, "messages dropped; more of this author within a minute are only counted");
            }
            return MessageAcceptance::Ignore;
        }
        let incoming = Incoming {
            from: author.to_string(),
            data: message.data,
        };
        if let Err(TrySendError::Full(_)) = self.messages.try_send(incoming) {
            self.metrics.bad_message("queue full");
        }
        MessageAcceptance::Accept
    }

    fn on_kademlia(&mut self, event: kad::Event) {
        match event {
            kad::Event::RoutingUpdated {
                is_new_peer: true, ..
            } => self.lookups.hasten(Instant::now()),
            // The library goes on to look for a random key in every bucket, anew with each of the first twenty table entries.
            // Agents connect to everyone they find, which fills the table as well, and of fifty that start together on two
            // processors all know all in 10 to 11 s instead of 14 to 16.
            kad::Event::OutboundQueryProgressed {
                id,
                result: QueryResult::Bootstrap(_),
                ..
            } => {
                if let Some(mut refresh) = self.swarm.behaviour_mut().kademlia.query_mut(&id) {
                    refresh.finish();
                }
            }
            kad::Event::OutboundQueryProgressed {
                result: QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })),
                ..
            } => {
                let own = *self.swarm.local_peer_id();
                for peer in providers {
                    if peer != own && !self.swarm.is_connected(&peer) && !self.redial.expects(&peer) {
                        self.dial(peer, Vec::new());
                    }
                }
            }
            _ => {}
        }
    }

    /// A peer's own addresses go into the Kademlia table.
    fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else {
            return;
        };
        if !info.protocols.contains(&kad::PROTOCOL_NAME) {
            return;
        }
        // Loopback addresses mean something only to a peer on the same host.
        let same_host = is_loopback(&info.observed_addr);
        let useful = info
            .listen_addrs
            .into_iter()
            .filter(|address| same_host || !is_loopback(address));
        let useful: Vec<Multiaddr> = useful.take(MAXIMUM_ADDRESSES).collect();
        for address in &useful {
            let kademlia = &mut self.swarm.behaviour_mut().kademlia;
            kademlia.add_address(&peer_id, address.clone());
        }
        self.addresses.insert(peer_id, useful);
    }

    fn on_ping(&mut self, event: ping::Event) {
        match event.result {
            Ok(time) => {
                let trips = self.round_trips.entry(event.peer).or_default();
                let round_trip = trips.note(time, self.compatibility);
                let peer = event.peer.to_string();
                self.metrics.set_round_trip(&peer, Some(time));
                self.links.send_modify(|links| {
                    if let Some(link) = links.get_mut(&peer) {
                        link.round_trip = Some(round_trip);
                    }
                });
            }
            Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                tracing::info!(peer = %event.peer, %error, "peer does not answer");
                self.swarm.close_connection(event.connection);
            }
        }
    }

    /// Addresses others may use; listening on all of them, the advertised one is told.
    fn on_listening(&mut self, address: Multiaddr) {
        tracing::info!(%address, peer_id = %self.swarm.local_peer_id(), "listening");
        if !is_loopback(&address) || self.advertised.is_loopback() {
            self.swarm.add_external_address(address.clone());
        }
        let port = address.iter().find_map(|part| match part {
            Protocol::Tcp(port) => Some(port),
            _ => None,
        });
        if let Some(port) = port.filter(|_| !self.advertised.is_unspecified()) {
            self.swarm
                .add_external_address(Multiaddr::from(self.advertised).with(Protocol::Tcp(port)));
        }
        self.tell_by_multicast();
    }

    fn tell_by_multicast(&self) {
        if let Some(mdns) = &self.mdns {
            let reachable = self.swarm.listeners().filter(|address| !is_loopback(address));
            mdns.listen(reachable.cloned().collect());
        }
    }

    fn note_address(&mut self, peer: PeerId, address: &Multiaddr) {
        let address = address.iter().find_map(|part| match part {
            Protocol::Ip4(address) => Some(IpAddr::V4(address)),
            Protocol::Ip6(address) => Some(IpAddr::V6(address)),
            _ => None,
        });
        self.links
            .send_modify(|links| links.entry(peer.to_string()).or_default().address = address);
    }

    fn forget(&mut self, peer: PeerId) {
        if self.round_trips.remove(&peer).is_some() {
            self.metrics.set_round_trip(&NodeId::from(peer.to_string()), None);
        }
        if self.subscribed.remove(&peer) {
            self.announce_peers();
        }
    }
}

fn is_loopback(address: &Multiaddr) -> bool {
    address.iter().any(|part| match part {
        Protocol::Ip4(address) => IpAddr::V4(address).is_loopback(),
        Protocol::Ip6(address) => IpAddr::V6(address).is_loopback(),
        _ => false,
    })
}
