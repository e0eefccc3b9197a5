//! The `tc` backend of links: joins two midpoints in the kernel and impairs what passes between them.

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::egress::{self, Installed};
use crate::error::NetnsError;
use crate::impairment::KernelImpairment;
use crate::layout::Interface;
use crate::message::{self, End};
use crate::namespace::Namespace;
use crate::netlink::Request;
use crate::network::Network;
use crate::queues::Queues;
use crate::tc::{filter, put_clsact};

/// Index of the first interface made for a rate: far above those of the description.
const FIRST_INDEX: u32 = 1_000_000;

/// The middle of a link: the end of a veth pair that is in a wire namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Midpoint<'a> {
    /// The wire namespace.
    pub namespace: &'a str,
    /// The interface in it.
    pub interface: &'a str,
}

/// What was set up for the directions of a network's links.
#[derive(Debug, Default)]
pub(crate) struct Shaping {
    /// By the position of the namespace and the index of the midpoint that sends.
    directions: HashMap<(usize, u32), Direction>,
    /// How many pairs were made for rates.
    pairs: u32,
}

/// What one direction has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Direction {
    midpoint: Installed,
    /// The pair on whose first end the rate is, once there was a need for one; it stays.
    before: Option<Pair>,
    /// Where packets go that arrive at the other midpoint.
    entry: Entry,
}

/// Two ends of a veth pair in the wire namespace: packets are queued on the first and leave by the second to the midpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    ends: [u32; 2],
    installed: Installed,
}

/// Where a direction's packets go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Entry {
    /// Nowhere: there is no filter.
    #[default]
    Nowhere,
    /// To the midpoint that sends.
    Midpoint,
    /// To the pair before it.
    Before,
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
        self.impair(&namespace, a, b, forward)?;
        self.impair(&namespace, b, a, backward)
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
            if !self.shaping().directions.contains_key(&sender.key()) {
                return Err(NetnsError::NotShaped {
                    namespace: midpoint.namespace.into(),
                    interface: midpoint.interface.into(),
                });
            }
        }
        self.impair(&namespace, first, second, forward)?;
        self.impair(&namespace, second, first, backward)
    }

    /// Takes apart what [`Network::shape`] joined: no packet passes any more, and what waits in a queue is lost.
    ///
    /// # Errors
    ///
    /// As [`Network::reshape`].
    pub fn unshape(&self, a: Midpoint<'_>, b: Midpoint<'_>) -> Result<(), NetnsError> {
        let nothing = KernelImpairment {
            blackhole: true,
            ..KernelImpairment::default()
        };
        self.reshape(a, b, &nothing, &nothing)?;
        let (namespace, first, second) = self.find_pair(a, b)?;
        for sender in [first, second] {
            let direction = self.shaping().directions.remove(&sender.key());
            if let Some(pair) = direction.and_then(|direction| direction.before) {
                let [first, _] = pair.ends;
                let request = message::remove_link(first, &format!("rate-{first}"));
                namespace.netlink().execute(&[request])?;
            }
        }
        Ok(())
    }

    fn find_pair<'a>(
        &self,
        a: Midpoint<'a>,
        b: Midpoint<'a>,
    ) -> Result<(Arc<Namespace>, Sender<'a>, Sender<'a>), NetnsError> {
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

    /// Leads what arrives at `from` through the queues of an impairment to `to`.
    fn impair(
        &self,
        namespace: &Namespace,
        from: Sender<'_>,
        to: Sender<'_>,
        impairment: &KernelImpairment,
    ) -> Result<(), NetnsError> {
        let queues = impairment.queues(to.name, to.interface.mtu)?;
        // Held during the change, so that two changes of one midpoint cannot mix.
        let mut shaping = self.shaping();
        let mut now = shaping.directions.get(&to.key()).copied().unwrap_or_default();
        if queues.before.is_some() && now.before.is_none() {
            let first = FIRST_INDEX + 2 * shaping.pairs;
            let pair = Pair {
                ends: [first, first + 1],
                installed: Installed::default(),
            };
            shaping.pairs += 1;
            namespace.netlink().execute(&new_pair(namespace, pair, to))?;
            now.before = Some(pair);
            shaping.directions.insert(to.key(), now);
        }
        let wanted = match (impairment.blackhole, &queues.before) {
            (true, _) => Entry::Nowhere,
            (false, Some(_)) => Entry::Before,
            (false, None) => Entry::Midpoint,
        };
        for step in changes(now, &queues, wanted, from, to) {
            namespace.netlink().execute(&step)?;
        }
        now.midpoint = now.midpoint.after(&queues.midpoint);
        if let (Some(pair), Some(egress)) = (&mut now.before, &queues.before) {
            pair.installed = pair.installed.after(egress);
        }
        now.entry = wanted;
        shaping.directions.insert(to.key(), now);
        Ok(())
    }

    /// The ends of the pair before a midpoint, once there was a need for one.
    pub(crate) fn pair_before(&self, position: usize, midpoint: u32) -> Option<[u32; 2]> {
        let direction = self.shaping().directions.get(&(position, midpoint)).copied();
        direction?.before.map(|pair| pair.ends)
    }

    fn shaping(&self) -> MutexGuard<'_, Shaping> {
        self.shaping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender<'_> {
    fn key(&self) -> (usize, u32) {
        (self.position, self.interface.index)
    }
}

/// A pair whose second end passes everything on to the midpoint.
fn new_pair(namespace: &Namespace, pair: Pair, to: Sender<'_>) -> Vec<Request> {
    let [first, second] = pair.ends;
    let names = [first, second].map(|index| format!("rate-{index}"));
    let end = |index: usize| End {
        name: &names[index],
        interface: Interface {
            index: pair.ends[index],
            mtu: to.interface.mtu,
        },
        namespace: namespace.descriptor().as_raw_fd(),
    };
    vec![
        message::new_idle_veth(end(0), end(1)),
        put_clsact(second, format!("add clsact to interface `{}`", names[1])),
        filter::put_mirror(
            second,
            to.interface.index,
            format!("pass packets of interface `{}` to `{}`", names[1], to.name),
        ),
        message::raise_midpoint(first, &names[0]),
        message::raise_midpoint(second, &names[1]),
    ]
}

/// The requests that lead from what there is to what is wanted, in steps, each of which is done only if those before it were. On the
/// way a packet may be impaired by both, but not by none.
fn changes(
    now: Direction,
    queues: &Queues,
    wanted: Entry,
    from: Sender<'_>,
    to: Sender<'_>,
) -> [Vec<Request>; 3] {
    let before = match (now.before, &queues.before) {
        (Some(pair), Some(before)) => egress::changes(pair.installed, before, pair.ends[0], to.name),
        _ => Vec::new(),
    };
    let midpoint = egress::changes(now.midpoint, &queues.midpoint, to.interface.index, to.name);
    let entry = change_entry(now, wanted, from, to);
    if wanted == Entry::Before && now.entry != Entry::Nowhere {
        [before, entry, midpoint]
    } else {
        [before, midpoint, entry]
    }
}

/// Leads packets to where they are wanted.
fn change_entry(now: Direction, wanted: Entry, from: Sender<'_>, to: Sender<'_>) -> Vec<Request> {
    let source = from.interface.index;
    let target = match (wanted, now.before) {
        _ if now.entry == wanted => return Vec::new(),
        (Entry::Nowhere, _) => {
            let operation = format!("drop packets of midpoint `{}`", from.name);
            return vec![filter::remove_mirror(source, operation)];
        }
        (Entry::Before, Some(pair)) => pair.ends[0],
        (Entry::Before | Entry::Midpoint, _) => to.interface.index,
    };
    let mut requests = Vec::new();
    if now.entry == Entry::Nowhere {
        let operation = format!("add clsact to midpoint `{}`", from.name);
        requests.push(put_clsact(source, operation));
    }
    let operation = format!("pass packets of midpoint `{}` to `{}`", from.name, to.name);
    requests.push(filter::put_mirror(source, target, operation));
    requests
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::attribute::read_u32;

    const PUT_QUEUE: u16 = 36;
    const PUT_FILTER: u16 = 44;
    const REMOVE_FILTER: u16 = 45;

    fn sender(name: &str, index: u32) -> Sender<'_> {
        Sender {
            name,
            position: 0,
            interface: Interface { index, mtu: 1500 },
        }
    }

    /// (message type, interface) of every request.
    fn summary(now: Direction, impairment: &KernelImpairment, wanted: Entry) -> Vec<(u16, u32)> {
        let queues = impairment.queues("b", 1500).unwrap();
        let read = |request: &Request| {
            let (kind, _, body) = request.parts();
            (kind, read_u32(body, 4).unwrap())
        };
        let steps = changes(now, &queues, wanted, sender("a", 100), sender("b", 101));
        steps.iter().flatten().map(read).collect()
    }

    fn spread() -> KernelImpairment {
        KernelImpairment {
            jitter: Duration::from_millis(1),
            rate: Some(1_000_000),
            ..KernelImpairment::default()
        }
    }

    fn staged() -> Direction {
        Direction {
            before: Some(Pair {
                ends: [200, 201],
                installed: Installed::default(),
            }),
            entry: Entry::Before,
            ..Direction::default()
        }
    }

    #[test]
    fn queues_come_before_packets() {
        let rate = KernelImpairment {
            rate: Some(1_000_000),
            ..KernelImpairment::default()
        };
        let first = summary(Direction::default(), &rate, Entry::Midpoint);
        // The hook is a queue, too.
        assert_eq!(first, [(PUT_QUEUE, 101), (PUT_QUEUE, 100), (PUT_FILTER, 100)]);
    }

    #[test]
    fn what_is_there_stays() {
        assert_eq!(
            summary(staged(), &spread(), Entry::Before),
            [(PUT_QUEUE, 200), (PUT_QUEUE, 101)]
        );
    }

    #[test]
    fn a_rate_moves_without_a_gap() {
        let direct = Direction {
            entry: Entry::Midpoint,
            ..staged()
        };
        let to_the_pair = [(PUT_QUEUE, 200), (PUT_FILTER, 100), (PUT_QUEUE, 101)];
        assert_eq!(summary(direct, &spread(), Entry::Before), to_the_pair);
        let rate = KernelImpairment {
            jitter: Duration::ZERO,
            ..spread()
        };
        assert_eq!(
            summary(staged(), &rate, Entry::Midpoint),
            [(PUT_QUEUE, 101), (PUT_FILTER, 100)]
        );
    }

    #[test]
    fn a_black_hole_has_no_filter() {
        let nothing = KernelImpairment::default();
        let open = Direction {
            entry: Entry::Midpoint,
            ..Direction::default()
        };
        assert_eq!(summary(open, &nothing, Entry::Nowhere), [(REMOVE_FILTER, 100)]);
        assert_eq!(summary(Direction::default(), &nothing, Entry::Nowhere), []);
    }
}
