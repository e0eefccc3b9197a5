//! Throw-away networks for tests and measurements. Namespaces are held by descriptors only, so nothing is
//! left when the process ends, however it ends.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

use std::fs::{self, File};
use std::io::{IoSliceMut, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dfaas_wire::{Engine, Impairment, LinkSpec, Sockets, open_sockets};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

/// Whether this process may make namespaces. If not, says so, or fails where that is demanded.
pub fn may_make_namespaces() -> bool {
    let attempt = std::thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET))
        .join()
        .unwrap();
    let Err(error) = attempt else { return true };
    let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name == "root"),
        "cannot make a network namespace: {error}"
    );
    eprintln!("skipped: cannot make a network namespace: {error}");
    false
}

/// A network namespace.
pub struct Namespace(OwnedFd);

impl Namespace {
    pub fn new() -> Namespace {
        let namespace = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
            // The usual limits hold less than a fast flow has on its way with 10 ms of round trip.
            for limit in ["tcp_rmem", "tcp_wmem"] {
                fs::write(format!("/proc/sys/net/ipv4/{limit}"), "4096 131072 67108864").unwrap();
            }
            Namespace(File::open("/proc/thread-self/ns/net").unwrap().into())
        })
        .join()
        .unwrap();
        namespace.ip("link set lo up\n");
        namespace
    }

    /// A path by which other processes can name it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Runs something on a thread inside.
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let descriptor = self.0.try_clone().unwrap();
        std::thread::spawn(move || {
            setns(descriptor, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }

    /// Runs something inside and waits for it.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.spawn(work).join().unwrap()
    }

    /// Feeds commands to `ip -batch`.
    pub fn ip(&self, batch: &str) {
        let batch = batch.to_owned();
        let succeeded = self.run(move || {
            let mut ip = Command::new("ip")
                .args(["-batch", "-"])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            ip.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
            ip.wait().unwrap().success()
        });
        assert!(succeeded, "ip -batch failed");
    }

    /// Runs a program inside; its standard output.
    pub fn output(&self, program: &str, arguments: &[&str]) -> String {
        let program = program.to_owned();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.run(move || {
            let output = Command::new(&program).args(arguments).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    }

    pub fn interface_index(&self, name: &str) -> u32 {
        let name = name.to_owned();
        self.run(move || nix::net::if_::if_nametoindex(name.as_str()).unwrap())
    }

    pub fn has_interface(&self, name: &str) -> bool {
        let name = name.to_owned();
        self.run(move || nix::net::if_::if_nametoindex(name.as_str()).is_ok())
    }

    /// A UDP socket with a large buffer, a time-out of one second, and time stamps by the kernel.
    pub fn udp(&self, address: SocketAddr) -> UdpSocket {
        self.run(move || {
            let socket = UdpSocket::bind(address).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            setsockopt(&socket, sockopt::RcvBuf, &(4 << 20)).unwrap();
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
            socket
        })
    }
}

/// Links between pairs of hosts: link `i` joins 10.(i / 250).(i % 250).1 in `left` to ….2 in `right`.
pub struct Network {
    pub left: Namespace,
    pub right: Namespace,
    pub wire: Namespace,
    pub links: usize,
}

pub fn address(link: usize, end: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, (link / 250) as u8, (link % 250) as u8, end)
}

impl Network {
    pub fn new(links: usize) -> Network {
        let [left, right, wire] = [Namespace::new(), Namespace::new(), Namespace::new()];
        for (namespace, side, end) in [(&left, 'a', 1), (&right, 'b', 2)] {
            let mut inside = String::new();
            let mut middle = String::new();
            for link in 0..links {
                let mac = |end: u8| format!("02:00:00:{:02x}:{:02x}:{end:02x}", link / 250, link % 250);
                inside += &format!(
                    "link add e{link} address {} type veth peer name {side}{link} netns {}\n",
                    mac(end),
                    wire.path()
                );
                inside += &format!("addr add {}/30 dev e{link}\n", address(link, end));
                inside += &format!("link set e{link} up\n");
                let other = 3 - end;
                inside += &format!(
                    "neigh add {} lladdr {} dev e{link}\n",
                    address(link, other),
                    mac(other)
                );
                middle += &format!("link set {side}{link} up\n");
            }
            namespace.ip(&inside);
            wire.ip(&middle);
        }
        Network {
            left,
            right,
            wire,
            links,
        }
    }

    /// Turns segmentation offload off on the hosts' ends, as a lab does where packets have fates of their own.
    pub fn without_offload(self) -> Network {
        for namespace in [&self.left, &self.right] {
            for link in 0..self.links {
                let name = format!("e{link}");
                namespace.output("ethtool", &["-K", &name, "tso", "off", "gso", "off"]);
            }
        }
        self
    }

    /// Raw veth between two namespaces, nothing in the middle.
    pub fn direct() -> Network {
        let [left, right, wire] = [Namespace::new(), Namespace::new(), Namespace::new()];
        left.ip(&format!(
            "link add e0 type veth peer name e0 netns {}\naddr add {}/30 dev e0\nlink set e0 up\n",
            right.path(),
            address(0, 1)
        ));
        right.ip(&format!("addr add {}/30 dev e0\nlink set e0 up\n", address(0, 2)));
        Network {
            left,
            right,
            wire,
            links: 1,
        }
    }

    pub fn sockets(&self, shards: usize) -> Sockets {
        self.wire.run(move || open_sockets(shards).unwrap())
    }

    pub fn link(&self, number: usize, forward: Impairment, backward: Impairment) -> LinkSpec {
        let interfaces = [
            self.wire.interface_index(&format!("a{number}")),
            self.wire.interface_index(&format!("b{number}")),
        ];
        LinkSpec {
            name: format!("link{number}"),
            interfaces,
            forward,
            backward,
            replays: [None, None],
        }
    }

    /// Starts an engine for all links, all with the same impairments.
    pub fn start(&self, seed: u64, forward: &Impairment, backward: &Impairment) -> Engine {
        let links = (0..self.links)
            .map(|number| self.link(number, forward.clone(), backward.clone()))
            .collect();
        Engine::start(self.sockets(1), seed, links).unwrap()
    }

    /// Sockets at both ends of a link: a sender that is connected, and a receiver.
    pub fn udp_pair(&self, link: usize) -> (UdpSocket, UdpSocket) {
        let receiver = self.right.udp(SocketAddr::from((address(link, 2), 4000)));
        let sender = self.left.udp(SocketAddr::from((address(link, 1), 0)));
        sender.connect((address(link, 2), 4000)).unwrap();
        (sender, receiver)
    }
}

/// Time on the clock of the kernel's time stamps.
pub fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Receives a datagram; its length and when the kernel had it. None after a second without any.
pub fn receive_stamped(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, Duration)> {
    let mut space = nix::cmsg_space!(TimeSpec);
    let mut vectors = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::empty();
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut vectors, Some(&mut space), flags).ok()?;
    let stamp = message.cmsgs().unwrap().find_map(|note| match note {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    });
    Some((message.bytes, stamp.unwrap()))
}

/// Sends `count` numbered datagrams of `length` bytes (at least 4), a `gap` apart; when each was sent.
pub fn send_numbered(
    sender: UdpSocket,
    count: u32,
    length: usize,
    gap: Duration,
) -> JoinHandle<Vec<Duration>> {
    std::thread::spawn(move || {
        let mut datagram = vec![0; length];
        let start = Instant::now();
        (0..count)
            .map(|number| {
                std::thread::sleep((gap * number).saturating_sub(start.elapsed()));
                datagram[..4].copy_from_slice(&number.to_le_bytes());
                let sent = wall_clock();
                sender.send(&datagram).unwrap();
                sent
            })
            .collect()
    })
}

/// Receives numbered datagrams until `count` came or none came for a second: number and moment.
pub fn receive_numbered(receiver: &UdpSocket, count: u32) -> Vec<(u32, Duration)> {
    let mut came = Vec::new();
    let mut buffer = [0; 65536];
    while came.len() < count as usize {
        let Some((length, stamp)) = receive_stamped(receiver, &mut buffer) else {
            break;
        };
        assert!(length >= 4);
        came.push((
            u32::from_le_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]),
            stamp,
        ));
    }
    came
}

/// Waits until something holds; whether it did.
pub fn eventually(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    holds()
}
