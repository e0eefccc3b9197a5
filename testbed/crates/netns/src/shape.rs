//! The `tc` backend of links: joins two midpoints in the kernel and impairs what passes between them.

use std::sync::{MutexGuard, PoisonError};

use std::collections::HashMap;

use crate::error::NetnsError;
use crate::impairment::{KernelImpairment, Queues};
use crate::layout::Interface;
use crate::namespace::Namespace;
use crate::netlink::Request;
use crate::network::Network;
use crate::tc::statistics::{self, QueueStatistics};
use crate::tc::{Place, ROOT, filter, netem, put_clsact, remove_queue, tbf};

/// netem as the interface's queue.
const EMULATOR: Place = Place {
    parent: ROOT,
    handle: 1 << 16,
};
/// A token bucket as the interface's queue.
const BUCKET: Place = Place {
    parent: ROOT,
    handle: 2 << 16,
};
/// A token bucket inside netem, whose only class is 1:1.
const INNER_BUCKET: Place = Place {
    parent: (1 << 16) + 1,
    handle: 3 << 16,
};

/// The middle of a link: the end of a veth pair that is in a wire namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Midpoint<'a> {
    /// The wire namespace.
    pub namespace: &'a str,
    /// The interface in it.
    pub interface: &'a str,
}

/// Which queues an interface has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Installed {
    emulator: bool,
    bucket: bool,
}

/// A midpoint with what is needed to talk about it.
#[derive(Debug, Clone, Copy)]
struct Sender<'a> {
    name: &'a str,
    position: usize,
    interface: Interface,
}

impl Network {
    /// Joins two midpoints of one namespace, so that what arrives at one leaves by the other, and impairs both directions:
    /// `forward` what arrives at `a`, `backward` what arrives at `b`.
    ///
    /// A packet is cloned on its way, so it is charged to no socket any more: a full queue drops, and does not hold back a sender
    /// on this machine.
    ///
    /// # Errors
    ///
    /// When a midpoint does not exist, the two are in different namespaces, an impairment is impossible, or the kernel refuses,
    /// for instance because it has no netem (see [`probe_kernel`](crate::probe_kernel)).
    pub fn shape(
        &self,
        a: Midpoint<'_>,
        b: Midpoint<'_>,
        forward: &KernelImpairment,
        backward: &KernelImpairment,
    ) -> Result<(), NetnsError> {
        let (namespace, a, b) = self.find_pair(a, b)?;
        // Queues first: no packet passes unimpaired.
        self.put_queues(namespace, b, forward)?;
        self.put_queues(namespace, a, backward)?;
        let hook = |from: Sender<'_>| {
            put_clsact(
                from.interface.index,
                format!("add clsact to midpoint `{}`", from.name),
            )
        };
        let join = |from: Sender<'_>, to: Sender<'_>| {
            let operation = format!("pass packets of midpoint `{}` to `{}`", from.name, to.name);
            filter::put_mirror(from.interface.index, to.interface.index, operation)
        };
        namespace
            .netlink()
            .execute(&[hook(a), hook(b), join(a, b), join(b, a)])
    }

    /// Changes the impairments of two midpoints that [`Network::shape`] joined. Packets that wait in a queue stay there, unless the
    /// queue itself is not needed any more, or is needed inside another one.
    ///
    /// # Errors
    ///
    /// As [`Network::shape`]; also when the midpoints were not joined.
    pub fn reshape(
        &self,
        a: Midpoint<'_>,
        b: Midpoint<'_>,
        forward: &KernelImpairment,
        backward: &KernelImpairment,
    ) -> Result<(), NetnsError> {
        let (namespace, first, second) = self.find_pair(a, b)?;
        for (midpoint, sender) in [(a, first), (b, second)] {
            if !self
                .installed()
                .contains_key(&(sender.position, sender.interface.index))
            {
                return Err(NetnsError::NotShaped {
                    namespace: midpoint.namespace.into(),
                    interface: midpoint.interface.into(),
                });
            }
        }
        self.put_queues(namespace, second, forward)?;
        self.put_queues(namespace, first, backward)
    }

    /// The counters of every queue in a namespace, the kernel's default ones included.
    ///
    /// # Errors
    ///
    /// When there is no such namespace, or the kernel refuses.
    pub fn queue_statistics(&self, namespace: &str) -> Result<Vec<QueueStatistics>, NetnsError> {
        let (_, found) = self.find(namespace)?;
        let answers = found.netlink().dump(&statistics::list())?;
        let read = |answer: &Vec<u8>| {
            statistics::read(answer).ok_or_else(|| NetnsError::Protocol {
                namespace: namespace.into(),
                reason: "the description of a queue is incomplete".into(),
            })
        };
        answers.iter().map(read).collect()
    }

    fn find_pair<'a>(
        &self,
        a: Midpoint<'a>,
        b: Midpoint<'a>,
    ) -> Result<(&Namespace, Sender<'a>, Sender<'a>), NetnsError> {
        let (position, _) = self.find(a.namespace)?;
        if a.namespace != b.namespace {
            return Err(NetnsError::InvalidSpec {
                subject: format!("midpoints `{}` and `{}`", a.interface, b.interface),
                reason: format!(
                    "they are in different namespaces, `{}` and `{}`",
                    a.namespace, b.namespace
                ),
            });
        }
        let (namespace, first) = self.find_interface(a.namespace, a.interface)?;
        let (_, second) = self.find_interface(b.namespace, b.interface)?;
        let sender = |midpoint: Midpoint<'a>, interface| Sender {
            name: midpoint.interface,
            position,
            interface,
        };
        Ok((namespace, sender(a, first), sender(b, second)))
    }

    fn put_queues(
        &self,
        namespace: &Namespace,
        sender: Sender<'_>,
        impairment: &KernelImpairment,
    ) -> Result<(), NetnsError> {
        let queues = impairment.queues(sender.name, sender.interface.mtu)?;
        let key = (sender.position, sender.interface.index);
        // Held during the change, so that two changes of one midpoint cannot mix.
        let mut installed = self.installed();
        let before = installed.get(&key).copied().unwrap_or_default();
        namespace.netlink().execute(&changes(before, &queues, sender))?;
        let now = Installed {
            emulator: queues.emulator.is_some(),
            bucket: queues.bucket.is_some(),
        };
        installed.insert(key, now);
        Ok(())
    }

    fn installed(&self) -> MutexGuard<'_, HashMap<(usize, u32), Installed>> {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests that lead from the queues there are to those wanted.
fn changes(before: Installed, queues: &Queues, sender: Sender<'_>) -> Vec<Request> {
    let index = sender.interface.index;
    let name = sender.name;
    let mut requests = Vec::new();
    if let Some(emulator) = &queues.emulator {
        let operation = format!("set delay and loss of midpoint `{name}`");
        requests.push(netem::put(index, EMULATOR, emulator, operation));
    }
    if let Some(bucket) = &queues.bucket {
        let place = if queues.emulator.is_some() {
            INNER_BUCKET
        } else {
            BUCKET
        };
        requests.push(tbf::put(
            index,
            place,
            bucket,
            format!("set rate of midpoint `{name}`"),
        ));
    }
    match (queues.emulator.is_some(), queues.bucket.is_some()) {
        (true, false) if before.emulator && before.bucket => {
            let operation = format!("remove rate of midpoint `{name}`");
            requests.push(remove_queue(index, INNER_BUCKET, operation));
        }
        (false, false) if before.emulator || before.bucket => {
            let place = if before.emulator { EMULATOR } else { BUCKET };
            let operation = format!("remove impairments of midpoint `{name}`");
            requests.push(remove_queue(index, place, operation));
        }
        _ => {}
    }
    requests
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::attribute::read_u32;

    /// (message type, parent, handle) of every request.
    fn summary(before: [bool; 2], after: [bool; 2]) -> Vec<(u16, u32, u32)> {
        let impairment = KernelImpairment {
            delay: Duration::from_millis(u64::from(after[0])),
            rate: after[1].then_some(1_000_000),
            ..KernelImpairment::default()
        };
        let interface = Interface {
            index: 100,
            mtu: 1500,
        };
        let sender = Sender {
            name: "m0",
            position: 0,
            interface,
        };
        let before = Installed {
            emulator: before[0],
            bucket: before[1],
        };
        let queues = impairment.queues("m0", 1500).unwrap();
        let read = |request: &Request| {
            let (kind, _, body) = request.parts();
            (kind, read_u32(body, 12).unwrap(), read_u32(body, 8).unwrap())
        };
        changes(before, &queues, sender).iter().map(read).collect()
    }

    const PUT: u16 = 36;
    const REMOVE: u16 = 37;

    #[test]
    fn the_same_kinds_are_changed_in_place() {
        for before in [[true, true], [false, false], [true, false], [false, true]] {
            let both = [(PUT, ROOT, 0x1_0000), (PUT, 0x1_0001, 0x3_0000)];
            assert_eq!(summary(before, [true, true]), both);
        }
        assert_eq!(summary([false, true], [false, true]), [(PUT, ROOT, 0x2_0000)]);
        assert_eq!(summary([true, false], [true, false]), [(PUT, ROOT, 0x1_0000)]);
    }

    #[test]
    fn what_is_not_needed_goes() {
        let without_rate = [(PUT, ROOT, 0x1_0000), (REMOVE, 0x1_0001, 0x3_0000)];
        assert_eq!(summary([true, true], [true, false]), without_rate);
        assert_eq!(summary([true, true], [false, false]), [(REMOVE, ROOT, 0x1_0000)]);
        assert_eq!(summary([false, true], [false, false]), [(REMOVE, ROOT, 0x2_0000)]);
        assert_eq!(summary([false, false], [false, false]), []);
    }

    #[test]
    fn one_root_is_exchanged_for_the_other() {
        assert_eq!(summary([true, true], [false, true]), [(PUT, ROOT, 0x2_0000)]);
        assert_eq!(summary([false, true], [true, false]), [(PUT, ROOT, 0x1_0000)]);
    }
}
