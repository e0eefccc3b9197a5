use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dfaas_control::{CaptureOptions, CapturePlace, ControlError};
use dfaas_model::TimeSpan;
use tokio::signal::unix::{SignalKind, signal};

use super::{LabChoice, block_on};
use crate::error::CliError;
use crate::table::counted;

/// Writes a pcapng file, which Wireshark and tshark read, with nanosecond time stamps and one interface per direction
/// (`n1->s1` and `s1->n1`). Packets are seen in the middle of the link, not in a node. It ends with Ctrl-C, after
/// `--duration` or `--count`, or with the lab; the file is whole in each case.
///
/// Where sender and receiver leave checksums and segmentation to their interface, a packet may be longer than the MTU,
/// and its checksum not filled in.
#[derive(Debug, Args)]
#[command(after_help = "Example: dfaas-testbed capture n1--s1 | wireshark -k -i -")]
pub(crate) struct CaptureArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The link
    link: String,
    /// The file to write, which must not exist [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where packets are seen
    #[arg(long, value_enum, default_value_t = Place::Exit)]
    at: Place,
    /// End after this time
    #[arg(long, value_name = "TIME")]
    duration: Option<TimeSpan>,
    /// End after this many packets
    #[arg(short, long, value_name = "N")]
    count: Option<u64>,
    /// Keep only the first bytes of each packet
    #[arg(short, long, value_name = "BYTES")]
    snaplen: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    /// As they enter the link: before anything is lost or late
    Entry,
    /// As they leave it: what the receiver gets
    Exit,
    /// At both, with an interface for each: `n1->s1 in`, `n1->s1 out`
    Both,
}

pub(crate) fn run(arguments: &CaptureArguments) -> Result<u8, CliError> {
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    if arguments.output.is_none() && std::io::stdout().is_terminal() {
        return Err(CliError::input(
            "a capture is no text for a terminal; name a file (`-o FILE`), or pipe it into `wireshark -k -i -`",
        ));
    }
    let options = CaptureOptions {
        at: match arguments.at {
            Place::Entry => CapturePlace::Entry,
            Place::Exit => CapturePlace::Exit,
            Place::Both => CapturePlace::Both,
        },
        count: arguments.count,
        seconds: arguments.duration.map(|time| time.0.as_secs_f64()),
        longest: arguments.snaplen,
    };
    block_on(async {
        // Before the file: a link that is not there leaves none behind.
        let mut stream = client.capture(&arguments.link, &options).await?;
        let mut output = open(arguments.output.as_deref())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(CliError::failed)?;
        let mut blocks = Blocks::default();
        loop {
            let part = tokio::select! {
                part = stream.next() => part,
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
            };
            match part {
                Ok(Some(bytes)) => blocks.add(&bytes),
                Ok(None) | Err(ControlError::Broken { .. }) => break, // its end, or the lab's
                Err(error) => return Err(error.into()),
            }
            let whole = blocks.take_whole();
            if let Err(error) = output.write_all(&whole).and_then(|()| output.flush()) {
                match error.kind() {
                    std::io::ErrorKind::BrokenPipe => break, // Wireshark has been closed
                    _ => {
                        let text = format!("cannot write the capture: {error}");
                        return Err(CliError::failed(text));
                    }
                }
            }
        }
        say(&blocks.summary());
        Ok(0)
    })?
}

fn open(path: Option<&std::path::Path>) -> Result<Box<dyn Write>, CliError> {
    let Some(path) = path else {
        return Ok(Box::new(std::io::stdout()));
    };
    let file = File::options().write(true).create_new(true).open(path);
    match file {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(CliError::input(format!(
            "cannot create {}: {error}",
            path.display()
        ))),
    }
}

#[expect(clippy::print_stderr, reason = "standard output may be the capture itself")]
fn say(line: &str) {
    eprintln!("{line}");
}

/// The blocks of a pcapng file as they come: what has come in part is held back, packets are counted by interface.
#[derive(Debug, Default)]
struct Blocks {
    bytes: Vec<u8>,
    interfaces: Vec<(String, u64)>,
    missed: u64,
}

const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;

impl Blocks {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// All blocks that have come as a whole.
    fn take_whole(&mut self) -> Vec<u8> {
        let mut end = 0;
        while let (Some(kind), Some(length)) = (word(&self.bytes, end), word(&self.bytes, end + 4)) {
            let next = end + length as usize;
            // The supervisor writes none below that; whatever it is, it must not be an endless loop.
            if length < 12 || next > self.bytes.len() {
                break;
            }
            let block = self.bytes[end..next].to_vec();
            self.note(kind, &block);
            end = next;
        }
        self.bytes.drain(..end).collect()
    }

    fn note(&mut self, kind: u32, block: &[u8]) {
        match kind {
            // Type, length, link type, snap length; then the first option, which is the name.
            INTERFACE => {
                let length = block
                    .get(18..20)
                    .map_or(0, |it| usize::from(u16::from_ne_bytes([it[0], it[1]])));
                let name = block.get(20..20 + length).unwrap_or_default();
                self.interfaces
                    .push((String::from_utf8_lossy(name).into_owned(), 0));
            }
            PACKET => {
                let number = word(block, 8).unwrap_or(u32::MAX) as usize;
                if let Some((_, count)) = self.interfaces.get_mut(number) {
                    *count += 1;
                }
            }
            // Type, length, interface, two words of time, then its only option with eight bytes.
            STATISTICS => {
                if let Some(Ok(count)) = block.get(24..32).map(<[u8; 8]>::try_from) {
                    self.missed = u64::from_ne_bytes(count);
                }
            }
            _ => {}
        }
    }

    fn summary(&self) -> String {
        let ways: Vec<String> = self
            .interfaces
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let all: u64 = self.interfaces.iter().map(|(_, count)| count).sum();
        let all = counted(usize::try_from(all).unwrap_or(usize::MAX), "packet");
        let missed = match self.missed {
            0 => String::new(),
            missed => format!("; {missed} missed, because they came faster than they could be read"),
        };
        format!("{all} ({}){missed}", ways.join(", "))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    word.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dfaas_wire::pcapng;

    use super::*;

    #[test]
    fn blocks_are_counted_and_never_broken() {
        let mut file = pcapng::section("test");
        file.extend(pcapng::interface("a->b", "a link", 0));
        file.extend(pcapng::interface("b->a", "a link", 0));
        for interface in [0, 1, 0] {
            file.extend(pcapng::packet(interface, Duration::ZERO, &[7; 61], 0));
        }
        file.extend(pcapng::statistics(0, Duration::ZERO, 5));
        let mut blocks = Blocks::default();
        let mut taken = Vec::new();
        for part in file.chunks(7) {
            blocks.add(part);
            taken.extend(blocks.take_whole());
        }
        assert_eq!(taken, file);
        assert!(
            blocks
                .summary()
                .starts_with("3 packets (a->b 2, b->a 1); 5 missed")
        );

        blocks.add(&pcapng::packet(0, Duration::ZERO, &[7; 61], 0)[..50]);
        assert_eq!(blocks.take_whole(), b"", "half a block is held back");
    }
}
