//! Finding agents on the same network segment by multicast DNS (RFC 6762), as go-libp2p does: the service is called by
//! the rendezvous word, and a TXT record holds a peer's multiaddresses.
//!
//! IPv4 multicast only; the addresses that are told may be of either kind.

mod packet;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use packet::{Packet, Service};
use socket2::{Domain, SockRef, Socket, Type};
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;
/// The largest packet that RFC 6762 allows.
const LARGEST_PACKET: usize = 9000;
/// Pauses between questions grow from the first to the last (RFC 6762, section 5.2, allows an hour; a node that comes
/// later asks by itself).
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Answers are not repeated within this (RFC 6762, section 6).
const ANSWER_PAUSE: Duration = Duration::from_secs(1);
/// Peers waiting to be dialled; more will be heard again.
const QUEUE: usize = 64;

/// A peer that told where it is.
pub(super) type Found = (PeerId, Vec<Multiaddr>);

/// A running responder and asker. Dropping it ends the task.
#[derive(Debug)]
pub(super) struct Mdns {
    /// Peers, as they tell of themselves.
    pub(super) found: mpsc::Receiver<Found>,
    addresses: watch::Sender<BTreeSet<Multiaddr>>,
    task: JoinHandle<()>,
}

impl Mdns {
    /// Begins to ask and to answer for the agent `own`, on the interfaces of the addresses it will be told.
    ///
    /// # Errors
    /// When the word is no DNS name, or the port cannot be shared.
    pub(super) fn start(word: &str, own: PeerId) -> io::Result<Self> {
        let service = Service::new(word, own).map_err(io::Error::other)?;
        let socket = open()?;
        let (addresses, told) = watch::channel(BTreeSet::new());
        let (sender, found) = mpsc::channel(QUEUE);
        let task = Task {
            service,
            socket,
            told,
            interfaces: BTreeSet::new(),
            found: sender,
            pause: FIRST_PAUSE,
            ask_at: None,
            answer_at: None,
            answered: None,
        };
        Ok(Self {
            found,
            addresses,
            task: tokio::spawn(task.run()),
        })
    }

    /// Where this agent listens; loopback addresses are of no use to others.
    pub(super) fn listen(&self, addresses: BTreeSet<Multiaddr>) {
        self.addresses.send_if_modified(|known| {
            let changed = *known != addresses;
            *known = addresses;
            changed
        });
    }
}

impl Drop for Mdns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A socket on the port that all responders of a host share.
fn open() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(socket2::Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    // Only what this socket asked for, not what others on the host joined.
    socket.set_multicast_all_v4(false)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into())?;
    UdpSocket::from_std(socket.into())
}

struct Task {
    service: Service,
    socket: UdpSocket,
    told: watch::Receiver<BTreeSet<Multiaddr>>,
    /// Own addresses of the interfaces that were joined.
    interfaces: BTreeSet<Ipv4Addr>,
    found: mpsc::Sender<Found>,
    pause: Duration,
    ask_at: Option<Instant>,
    answer_at: Option<Instant>,
    answered: Option<Instant>,
}

impl Task {
    async fn run(mut self) {
        let mut buffer = vec![0; LARGEST_PACKET];
        loop {
            let far = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                changed = self.told.changed() => match changed {
                    Ok(()) => self.on_addresses(),
                    Err(_) => break,
                },
                received = self.socket.recv(&mut buffer) => match received {
                    Ok(length) => self.on_packet(&buffer[..length]),
                    Err(error) => tracing::debug!(%error, "mDNS: nothing received"),
                },
                () = tokio::time::sleep_until(self.ask_at.unwrap_or(far)) => self.ask().await,
                () = tokio::time::sleep_until(self.answer_at.unwrap_or(far)) => self.answer().await,
            }
        }
    }

    /// Joins new interfaces, then asks and tells there from the start.
    fn on_addresses(&mut self) {
        let addresses = self.told.borrow_and_update().clone();
        let wanted: BTreeSet<Ipv4Addr> = addresses.iter().filter_map(interface).collect();
        for interface in self.interfaces.difference(&wanted) {
            // It may have gone with the interface.
            let _ = self.socket.leave_multicast_v4(GROUP, *interface);
        }
        for interface in wanted.difference(&self.interfaces) {
            match self.socket.join_multicast_v4(GROUP, *interface) {
                Ok(()) => tracing::debug!(%interface, "mDNS: listening"),
                Err(error) => tracing::warn!(%interface, %error, "mDNS: cannot listen on this interface"),
            }
        }
        self.interfaces = wanted;
        self.pause = FIRST_PAUSE;
        self.ask_at = Some(Instant::now());
        self.answer_at = Some(Instant::now());
    }

    async fn ask(&mut self) {
        self.ask_at = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        match self.service.question() {
            Ok(packet) => self.send(&packet).await,
            Err(error) => tracing::warn!(%error, "mDNS: cannot ask"),
        }
    }

    async fn answer(&mut self) {
        self.answer_at = None;
        self.answered = Some(Instant::now());
        let addresses = self.told.borrow().clone();
        match self.service.answer(&addresses) {
            Ok(packet) => self.send(&packet).await,
            Err(error) => tracing::warn!(%error, "mDNS: cannot answer"),
        }
    }

    async fn send(&self, packet: &[u8]) {
        for interface in &self.interfaces {
            let sent = match SockRef::from(&self.socket).set_multicast_if_v4(interface) {
                Ok(()) => self.socket.send_to(packet, (GROUP, PORT)).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                tracing::debug!(%interface, %error, "mDNS: not sent");
            }
        }
    }

    fn on_packet(&mut self, packet: &[u8]) {
        match self.service.read(packet) {
            Some(Packet::Question) if self.answer_at.is_none() => {
                let now = Instant::now();
                let soonest = self
                    .answered
                    .map_or(now, |answered| now.max(answered + ANSWER_PAUSE));
                self.answer_at = Some(soonest + self.service.patience());
            }
            Some(Packet::Peers(peers)) => {
                for peer in peers {
                    // One that finds no room is heard again.
                    let _ = self.found.try_send(peer);
                }
            }
            _ => {}
        }
    }
}

/// The interface's own IPv4 address, if others can reach it.
fn interface(address: &Multiaddr) -> Option<Ipv4Addr> {
    match address.iter().next() {
        Some(Protocol::Ip4(address)) if !address.is_loopback() && !address.is_unspecified() => Some(address),
        _ => None,
    }
}
