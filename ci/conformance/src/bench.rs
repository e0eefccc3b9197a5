//! A link between two hosts, `a` and `b`.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use dfaas_control::{LinkChange, LinkInfo};
use dfaas_lab::{BareNetwork, LabError};
use dfaas_model::{Loader, Topology, load_topology};
use dfaas_netns::KernelFeatures;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};

use crate::Backend;

/// Bytes that a UDP payload gets on its way: Ethernet, IPv4 and UDP headers.
pub(crate) const HEADERS: usize = 42;
/// How long nothing may come before it is believed that nothing will.
pub(crate) const SILENCE: Duration = Duration::from_millis(700);

/// Why a case has no result.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The backend says that it cannot do this.
    Backend(String),
    /// Something is broken.
    Failed(String),
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Refusal {
        Refusal::Failed(error.to_string())
    }
}

impl From<LabError> for Refusal {
    fn from(error: LabError) -> Refusal {
        match error {
            LabError::MachineCannot { what, .. } => Refusal::Backend(what),
            other => Refusal::Failed(other.to_string()),
        }
    }
}

/// How late the middle one of many packets may be, in milliseconds.
pub(crate) const LATENESS: f64 = 0.5;

/// What all cases share.
#[derive(Debug)]
pub(crate) struct Bench {
    backend: Backend,
    features: KernelFeatures,
}

/// A packet-delivery trace that every topology may name: one opportunity each five milliseconds.
pub(crate) const TRACE: &str = "five.trace";
const TRACE_TEXT: &str = "5\n10\n15\n20\n";

/// A topology held in memory, and the trace beside it.
struct Text(String);

impl Loader for Text {
    fn load(&self, path: &str) -> Result<String, String> {
        Ok(if path.ends_with(TRACE) {
            TRACE_TEXT.to_owned()
        } else {
            self.0.clone()
        })
    }
}

impl Bench {
    pub(crate) fn new(backend: Backend, features: KernelFeatures) -> Bench {
        Bench { backend, features }
    }

    pub(crate) fn is_wire(&self) -> bool {
        self.backend == Backend::Wire
    }

    /// A link that impairs what `a` sends by these keys of a topology file, written as in `{ delay: 5ms }`; what `b`
    /// sends passes as it is.
    pub(crate) fn link(&self, keys: &str) -> Result<TestLink, Refusal> {
        self.seeded_link(1, keys)
    }

    /// As [`Bench::link`], with a seed.
    pub(crate) fn seeded_link(&self, seed: u64, keys: &str) -> Result<TestLink, Refusal> {
        self.topology(seed, &format!("forward: {{ {keys} }}"))
    }

    /// A link with these keys of its own.
    pub(crate) fn topology(&self, seed: u64, link: &str) -> Result<TestLink, Refusal> {
        let text = format!(
            "name: conformance\nseed: {seed}\nnodes:\n  a: {{ kind: host }}\n  b: {{ kind: host }}\nlinks:\n  \
             - {{ endpoints: [a, b], backend: {}, {link} }}\n",
            self.backend.name()
        );
        let refused = |error: dfaas_model::ModelError| Refusal::Failed(format!("{link}: {error}"));
        let topology: Topology = load_topology("conformance.yaml", &Text(text), &[]).map_err(refused)?;
        let plan = dfaas_model::plan(&topology).map_err(refused)?;
        let addresses = ["a", "b"].map(|node| plan.node(node).and_then(|node| node.address));
        let [
            Some(std::net::IpAddr::V4(first)),
            Some(std::net::IpAddr::V4(second)),
        ] = addresses
        else {
            return Err(Refusal::Failed("the two hosts have no IPv4 addresses".to_owned()));
        };
        let network = BareNetwork::build(topology, &plan, self.features)?;
        Ok(TestLink {
            network,
            addresses: [first, second],
        })
    }
}

/// A running link.
#[derive(Debug)]
pub(crate) struct TestLink {
    network: BareNetwork,
    addresses: [Ipv4Addr; 2],
}

/// The two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    A,
    B,
}

impl End {
    pub(crate) fn name(self) -> &'static str {
        match self {
            End::A => "a",
            End::B => "b",
        }
    }
}

impl TestLink {
    pub(crate) fn address(&self, end: End) -> Ipv4Addr {
        self.addresses[end as usize]
    }

    /// Does something in the namespace of an end.
    pub(crate) fn at<T: Send + 'static>(
        &self,
        end: End,
        closure: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        Ok(self.network.enter(end.name(), closure)??)
    }

    /// A UDP socket with large buffers and time stamps by the kernel that gives up after [`SILENCE`].
    pub(crate) fn udp(&self, end: End, port: u16) -> Result<UdpSocket, Refusal> {
        let address = SocketAddr::from((self.address(end), port));
        self.at(end, move || {
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(SILENCE))?;
            // Where that takes a privilege we lack, as much as everybody gets.
            let _ = setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20))
                .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &(16 << 20)));
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
            Ok(socket)
        })
    }

    /// A socket that hears every frame of an end, damaged ones too.
    pub(crate) fn tap(&self, end: End) -> Result<OwnedFd, Refusal> {
        self.at(end, || {
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let tap = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
            let _ = setsockopt(&tap, sockopt::RcvBufForce, &(16 << 20));
            Ok(tap)
        })
    }

    /// A socket at `a` that is connected to the other one, at `b`.
    pub(crate) fn pair(&self) -> Result<(UdpSocket, UdpSocket), Refusal> {
        let receiver = self.udp(End::B, 4000)?;
        let sender = self.udp(End::A, 0)?;
        sender.connect((self.address(End::B), 4000))?;
        Ok((sender, receiver))
    }

    pub(crate) fn change(&mut self, change: &LinkChange) -> Result<LinkInfo, Refusal> {
        Ok(self.network.change("a--b", change)?)
    }

    /// Ends it and waits until nothing is left. Sockets must be closed before.
    pub(crate) fn close(self) -> Result<(), Refusal> {
        Ok(self.network.close()?)
    }
}
