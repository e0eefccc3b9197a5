//! Which parts of traffic control this kernel has, found out by using them.

use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use crate::error::NetnsError;
use crate::layout::Interface;
use crate::message::{End, new_idle_veth};
use crate::netlink::{Netlink, Request};
use crate::tc::leaf::{self, Leaf};
use crate::tc::netem::{self, Emulator};
use crate::tc::statistics;
use crate::tc::tbf::{self, TokenBucket};
use crate::tc::{Place, ROOT, filter, put_clsact, put_htb, remove_queue};

/// The namespace tried in, in messages.
const NAMESPACE: &str = "kernel probe";
/// Where every queue is tried.
const PLACE: Place = Place {
    parent: ROOT,
    handle: 1 << 16,
};
/// The two interfaces tried on.
const INTERFACES: [(&str, u32); 2] = [("probe0", 100), ("probe1", 101)];

/// What the running kernel can do; a module that can be loaded counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelFeatures {
    /// Delay, jitter, loss and the like.
    pub netem: bool,
    /// netem's random numbers can be given a seed.
    pub netem_seed: bool,
    /// Rates by token bucket.
    pub tbf: bool,
    /// Rates by class.
    pub htb: bool,
    /// Queues that keep delays short.
    pub codel: bool,
    /// A hook for filters on arriving packets.
    pub clsact: bool,
    /// The classifier that the `tc` backend uses to take every packet.
    pub u32_filter: bool,
    /// The action that hands packets to another interface.
    pub mirred: bool,
}

impl KernelFeatures {
    /// Whether two midpoints can be joined in the kernel at all.
    #[must_use]
    pub fn can_join(&self) -> bool {
        self.clsact && self.u32_filter && self.mirred
    }
}

/// Tries every feature in a network namespace of its own, which is gone afterwards.
///
/// # Errors
///
/// When no namespace or veth pair can be made, mostly for want of permission. A missing feature is not an error.
pub fn probe_kernel() -> Result<KernelFeatures, NetnsError> {
    let failed = |operation: &str, source| NetnsError::System {
        operation: operation.into(),
        namespace: NAMESPACE.into(),
        source,
    };
    // The thread is the only one in the namespace, so the namespace ends with it.
    let thread = thread::Builder::new().name("netns-probe".into()).spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| failed("be", errno.into()))?;
        Probe::new()?.run()
    });
    let thread = thread.map_err(|source| failed("start a thread", source))?;
    thread.join().unwrap_or_else(|_| {
        let reason = "it panicked".into();
        Err(NetnsError::Worker {
            namespace: NAMESPACE.into(),
            reason,
        })
    })
}

struct Probe {
    netlink: Netlink,
}

impl Probe {
    fn new() -> Result<Self, NetnsError> {
        let mut netlink = Netlink::open(NAMESPACE)?;
        let here = std::fs::File::open("/proc/thread-self/ns/net");
        let here = here.map_err(|source| NetnsError::System {
            operation: "open itself".into(),
            namespace: NAMESPACE.into(),
            source,
        })?;
        let [one, other] = INTERFACES.map(|(name, index)| End {
            name,
            interface: Interface { index, mtu: 1500 },
            namespace: std::os::fd::AsRawFd::as_raw_fd(&here),
        });
        netlink.execute(&[new_idle_veth(one, other)])?;
        Ok(Self { netlink })
    }

    fn run(mut self) -> Result<KernelFeatures, NetnsError> {
        let [(_, first), (_, second)] = INTERFACES;
        let emulator = Emulator {
            delay: Duration::from_millis(1),
            limit: 1000,
            seed: SEED,
            ..Emulator::default()
        };
        let netem = self.accepts(netem::put(first, PLACE, &emulator, "try netem".into()))?;
        let netem_seed = netem && self.keeps_seed()?;
        self.clear(first, netem)?;
        let tbf = self.accepts(tbf::put(first, PLACE, &BUCKET, "try tbf".into()))?;
        let codel = Leaf::Codel {
            packets: 1000,
            ecn: false,
        };
        let inside = PLACE.handle + 1;
        let codel = tbf && self.accepts(leaf::put(first, inside, codel, 0, "try codel".into()))?;
        self.clear(first, tbf)?;
        let htb = self.accepts(put_htb(first, PLACE, "try htb".into()))?;
        self.clear(first, htb)?;
        let clsact = self.accepts(put_clsact(first, "try clsact".into()))?;
        let u32_filter = clsact && self.accepts(filter::put_plain(first, "try u32".into()))?;
        let mirror = filter::put_mirror(first, second, "try mirred".into());
        let mirred = u32_filter && self.accepts(mirror)?;
        Ok(KernelFeatures {
            netem,
            netem_seed,
            tbf,
            htb,
            codel,
            clsact,
            u32_filter,
            mirred,
        })
    }

    /// Whether the kernel does it. Only "there is no such thing" is a no; any other refusal is an error.
    fn accepts(&mut self, request: Request) -> Result<bool, NetnsError> {
        match self.netlink.execute(&[request]) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::EOPNOTSUPP)) => {
                tracing::debug!(%error, "not in this kernel");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether netem reports the seed it was given.
    fn keeps_seed(&mut self) -> Result<bool, NetnsError> {
        let answers = self.netlink.dump(&statistics::list())?;
        Ok(answers.iter().any(|answer| netem::reported_seed(answer) == SEED))
    }

    fn clear(&mut self, index: u32, installed: bool) -> Result<(), NetnsError> {
        if installed {
            self.netlink
                .execute(&[remove_queue(index, PLACE, "remove a tried queue".into())])?;
        }
        Ok(())
    }
}

/// A seed that no kernel chooses by itself.
const SEED: Option<u64> = Some(0x5eed);

const BUCKET: TokenBucket = TokenBucket {
    rate: 1_000_000,
    burst: 2_000,
    limit: 20_000,
    overhead: 0,
};
