//! libp2p's pings, closer together while a connection is new.
//!
//! The library's pause is the same for a connection's whole life. Here a connection has two of the library's handlers:
//! one sends the first pings, then the other takes over, which has answered the peer's pings all along.

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::ping::{self, Config, Event};
use libp2p::swarm::handler::ConnectionEvent;
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::task::{Context, Poll};
use std::time::Duration;

/// How many pings of a new connection come early: what a round trip time is taken from.
pub(super) const EARLY_PINGS: usize = 3;
/// Pause between them. A peer is known after two seconds, whatever one of the pings met on its way.
const EARLY_PAUSE: Duration = Duration::from_secs(1);

type Library = THandler<ping::Behaviour>;
type Outbound = <Library as ConnectionHandler>::OutboundProtocol;
type HandlerEvent = ConnectionHandlerEvent<Outbound, (), <Library as ConnectionHandler>::ToBehaviour>;

/// Pings every connected peer.
pub(super) struct Behaviour {
    early: ping::Behaviour,
    steady: ping::Behaviour,
}

impl Behaviour {
    /// Pings `pause` apart, after the early ones; each is answered within `patience` or has failed.
    pub(super) fn new(pause: Duration, patience: Duration) -> Self {
        let config = Config::new().with_timeout(patience);
        Self {
            early: ping::Behaviour::new(config.clone().with_interval(EARLY_PAUSE)),
            steady: ping::Behaviour::new(config.with_interval(pause)),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        own: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let make = |library: &mut ping::Behaviour| {
            library.handle_established_inbound_connection(connection, peer, own, remote)
        };
        Ok(Handler::new(make(&mut self.early)?, make(&mut self.steady)?))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let make = |library: &mut ping::Behaviour| {
            library.handle_established_outbound_connection(connection, peer, remote, role, port)
        };
        Ok(Handler::new(make(&mut self.early)?, make(&mut self.steady)?))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.steady.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.steady.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.steady.poll(context)
    }
}

/// The pings of one connection.
pub(super) struct Handler {
    /// Sends the first pings; it is not told of the peer's.
    early: Option<Library>,
    /// How many it has still to send.
    left: usize,
    steady: Library,
    /// The stream that the steady one asks for, until the early one has ended.
    wanted: Option<SubstreamProtocol<Outbound>>,
}

impl Handler {
    fn new(early: Library, steady: Library) -> Self {
        Self {
            early: Some(early),
            left: EARLY_PINGS,
            steady,
            wanted: None,
        }
    }

    fn poll_early(&mut self, context: &mut Context<'_>) -> Poll<HandlerEvent> {
        let Some(early) = &mut self.early else {
            return Poll::Pending;
        };
        let event = early.poll(context);
        if let Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(result)) = &event {
            self.left = self.left.saturating_sub(1);
            // A failure is told in any case; the next handler has its own.
            if self.left == 0 || result.is_err() {
                self.early = None;
            }
        }
        event
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = <Library as ConnectionHandler>::FromBehaviour;
    type ToBehaviour = <Library as ConnectionHandler>::ToBehaviour;
    type InboundProtocol = <Library as ConnectionHandler>::InboundProtocol;
    type OutboundProtocol = Outbound;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        self.steady.listen_protocol()
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        self.steady.on_behaviour_event(event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<HandlerEvent> {
        if let Poll::Ready(event) = self.poll_early(context) {
            return Poll::Ready(event);
        }
        if self.early.is_none()
            && let Some(protocol) = self.wanted.take()
        {
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        match self.steady.poll(context) {
            Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
                if self.early.is_some() =>
            {
                self.wanted = Some(protocol);
                // It waits for its stream now, and again for the peer's pings.
                self.steady.poll(context)
            }
            event => event,
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        let outbound = matches!(
            event,
            ConnectionEvent::FullyNegotiatedOutbound(_) | ConnectionEvent::DialUpgradeError(_)
        );
        match &mut self.early {
            Some(early) if outbound => early.on_connection_event(event),
            _ => self.steady.on_connection_event(event),
        }
    }
}
