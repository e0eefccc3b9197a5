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
            segment.run(side, &["ip", "link", "set", "lo", "up"]);
        }
        Some(segment)
    }

    /// The address on a side, 0 or 1.
    pub(crate) fn host(&self, side: usize) -> IpAddr {
        HOSTS[side].into()
    }

    /// Words that make what follows them run on a side.
    pub(crate) fn entry(&self, side: usize) -> Vec<String> {
        let holder = self.holders[side].id().to_string();
        ["nsenter", "--net", "--target", &holder, "--"]
            .map(str::to_owned)
            .into()
    }

    /// Takes the cable off on one side; the other only sees that nothing comes any more.
    pub(crate) fn cut(&self) {
        self.run(1, &["ip", "link", "set", "eth0", "down"]);
    }

    pub(crate) fn mend(&self) {
        self.run(1, &["ip", "link", "set", "eth0", "up"]);
    }

    fn run(&self, side: usize, words: &[&str]) {
        let entry = self.entry(side);
        let output = Command::new(&entry[0])
            .args(&entry[1..])
            .args(words)
            .output()
            .unwrap();
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
