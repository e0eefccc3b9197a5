//! Captures of what passes a link, in its middle.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dfaas_control::{CaptureOptions, CapturePlace, LabState};
use dfaas_wire::{Direction, Tap, TapPlace, TapReader, Tapped, pcapng};
use tokio::sync::{mpsc, watch};

use crate::error::LabError;
use crate::supervisor::lab::Lab;
use crate::supervisor::network::WIRE_NAMESPACE;

/// Between two looks at whether the capture is over.
const LOOK: Duration = Duration::from_millis(20);
/// Between two notes in the file of how many frames were missed.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// Parts of the file that wait for the reader; each holds what came in one look.
const WAITING_PARTS: usize = 64;

/// A capture that has not begun to read.
pub(crate) struct Capture {
    tap: Tap,
    /// Name and description of the file's interfaces.
    interfaces: Vec<[String; 2]>,
    options: CaptureOptions,
    state: watch::Receiver<LabState>,
}

impl Lab {
    /// Opens a capture; it sees what passes from now on. Blocks while the kernel works.
    pub(crate) fn capture(&self, link: &str, options: CaptureOptions) -> Result<Capture, LabError> {
        let info = self.link(link)?;
        let missing = || LabError::Link {
            link: info.name.clone(),
            reason: "its midpoints are missing".to_owned(),
        };
        let network = self.network().ok_or_else(missing)?;
        let [first, second] = self.midpoints(&info.name).ok_or_else(missing)?;
        let index = |name: &str| network.interface_index(WIRE_NAMESPACE, name).ok_or_else(missing);
        let indexes = [index(&first)?, index(&second)?];
        let place = match options.at {
            CapturePlace::Entry => TapPlace::Entry,
            CapturePlace::Exit => TapPlace::Exit,
            CapturePlace::Both => TapPlace::Both,
        };
        let tap = network.enter(WIRE_NAMESPACE, move || Tap::open(indexes, place))??;
        let [a, b] = info.endpoints.each_ref().map(|end| end.node.as_str());
        Ok(Capture {
            tap,
            interfaces: interfaces(&info.name, [a, b], options.at),
            options,
            state: self.states(),
        })
    }
}

impl Capture {
    /// Reads on a thread of its own, until the capture is over, the lab stops, or nobody takes the file any more. The
    /// file comes in parts of whole blocks.
    pub(crate) fn start(self) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(WAITING_PARTS);
        tokio::task::spawn_blocking(move || self.run(&sender));
        receiver
    }

    fn run(self, file: &mpsc::Sender<Bytes>) {
        let both = self.options.at == CapturePlace::Both;
        let longest = self.options.longest.unwrap_or(0);
        let mut head = pcapng::section(concat!("dfaas-testbed ", env!("CARGO_PKG_VERSION")));
        for [name, description] in &self.interfaces {
            head.extend(pcapng::interface(name, description, longest));
        }
        if file.blocking_send(head.into()).is_err() {
            return;
        }
        let deadline = self
            .options
            .seconds
            .and_then(|seconds| Instant::now().checked_add(Duration::try_from_secs_f64(seconds).ok()?));
        let mut left = self.options.count.unwrap_or(u64::MAX);
        let mut reader = TapReader::new(self.tap);
        let (mut noted, mut missed) = (Instant::now(), 0);
        loop {
            let stopping = *self.state.borrow() == LabState::Stopping;
            let over = stopping || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let Ok(mut seen) = (if over { reader.rest() } else { reader.read(LOOK) }) else {
                return; // the link is gone
            };
            seen.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= seen.len() as u64;
            let over = over || left == 0;
            let mut part = Vec::new();
            for tapped in &seen {
                let interface = interface_of(tapped, both);
                part.extend(pcapng::packet(interface, tapped.stamp, &tapped.bytes, longest));
            }
            if over || noted.elapsed() >= NOTE_EVERY {
                noted = Instant::now();
                let now = reader.missed();
                if over || now > missed {
                    missed = now;
                    let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                    part.extend(pcapng::statistics(0, stamp, missed));
                }
            }
            let gone = if part.is_empty() {
                file.is_closed()
            } else {
                file.blocking_send(part.into()).is_err()
            };
            if over || gone {
                return;
            }
        }
    }
}

/// Forward before backward, and of each entry before exit.
fn interfaces(link: &str, [a, b]: [&str; 2], at: CapturePlace) -> Vec<[String; 2]> {
    let places: &[(&str, &str)] = match at {
        CapturePlace::Entry => &[("", "as it enters the link")],
        CapturePlace::Exit => &[("", "as it leaves the link")],
        CapturePlace::Both => &[
            (" in", "as it enters the link"),
            (" out", "as it leaves the link"),
        ],
    };
    let of_way = |(from, to): (&str, &str)| {
        let name = move |(suffix, how): &(&str, &str)| {
            [
                format!("{from}->{to}{suffix}"),
                format!("link {link}, from {from} to {to}, {how}"),
            ]
        };
        places.iter().map(name).collect::<Vec<_>>()
    };
    [of_way((a, b)), of_way((b, a))].concat()
}

fn interface_of(tapped: &Tapped, both: bool) -> u32 {
    let way = u32::from(tapped.direction == Direction::Backward);
    if both {
        2 * way + u32::from(tapped.leaving)
    } else {
        way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_and_place_has_its_own_interface() {
        let names = |at| -> Vec<String> {
            let all = interfaces("a--s", ["a", "s"], at);
            all.into_iter().map(|[name, _]| name).collect()
        };
        assert_eq!(names(CapturePlace::Exit), ["a->s", "s->a"]);
        assert_eq!(
            names(CapturePlace::Both),
            ["a->s in", "a->s out", "s->a in", "s->a out"]
        );
        let tapped = |direction, leaving| Tapped {
            stamp: Duration::ZERO,
            direction,
            leaving,
            bytes: Vec::new(),
        };
        assert_eq!(interface_of(&tapped(Direction::Backward, false), true), 2);
        assert_eq!(interface_of(&tapped(Direction::Forward, true), true), 1);
        assert_eq!(interface_of(&tapped(Direction::Backward, true), false), 1);
    }
}
