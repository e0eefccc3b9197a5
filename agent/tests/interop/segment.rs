//! Two network namespaces joined by a cable, cut off from everything else.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};

/// The namespaces live as long as the processes that hold them.
pub(crate) struct Segment {
    holders: [Child; 2],
}

const HOSTS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];

impl Segment {
    /// Nothing without root; panics when root is required then.
    pub(crate) fn make() -> Option<Self> {
        if !is_root() {
            let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|word| word == "root"),
                "root is required"
            );
            eprintln!("skipped: network namespaces need root");
            return None;
        }
        let segment = Self {
            holders: [(); 2].map(|()| holder()),
        };
        let other = segment.holders[1].id().to_string();
        segment.run(
            0,
            &[
                "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", &other,
            ],
        );
        for (side, host) in HOSTS.iter().enumerate() {
            let address = format!("{host}/24");
            segment.run(side, &["ip", "address", "add", &address, "dev", "eth0"]);
            segment.run(side, &["ip", "link", "set", "eth0", "up"]);
        }
        Some(segment)
    }

    pub(crate) fn agent_host(&self) -> IpAddr {
        HOSTS[0].into()
    }

    pub(crate) fn peer_host(&self) -> IpAddr {
        HOSTS[1].into()
    }

    /// Runs what follows where the agent is to be.
    pub(crate) fn enter_agent(&self) -> Command {
        self.enter(0)
    }

    /// Runs what follows where the peer is to be.
    pub(crate) fn enter_peer(&self) -> Command {
        self.enter(1)
    }

    fn enter(&self, side: usize) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.holders[side].id().to_string(), "--"]);
        command
    }

    fn run(&self, side: usize, words: &[&str]) {
        let output = self.enter(side).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
    }
}

/// A process in a new network namespace; it ends with its standard input.
fn holder() -> Child {
    let mut child = Command::new("unshare")
        .args(["--net", "sh", "-c", "echo && exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It is in its namespace once it speaks.
    let read = std::io::Read::read(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    assert_eq!(read, 1, "no new network namespace");
    child
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

impl Drop for Segment {
    fn drop(&mut self) {
        for holder in &mut self.holders {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}
